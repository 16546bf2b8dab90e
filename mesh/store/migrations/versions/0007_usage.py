"""What was used by day, user, key and model; and what somebody may use."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

COUNTS = ("requests", "failed", "prompt_tokens", "completion_tokens", "cached_tokens")
KEY = ("day", "tenant", "key", "model")


def upgrade() -> None:
    op.create_table(
        "usage_days",
        *(sa.Column(name, sa.Text(), nullable=False) for name in KEY),
        *(sa.Column(name, sa.BigInteger(), nullable=False) for name in COUNTS),
        sa.PrimaryKeyConstraint(*KEY, name="pk_usage_days"),
    )
    op.create_index("ix_usage_days_tenant_day", "usage_days", ["tenant", "day"])
    # Not as batches: copying a table would take away what refers to its rows.
    op.add_column("runs", sa.Column("key", sa.Text(), nullable=False, server_default=""))
    op.add_column("users", sa.Column("allowance", sa.Text(), nullable=True))
    op.add_column("api_keys", sa.Column("allowance", sa.Text(), nullable=True))


def downgrade() -> None:
    op.drop_column("api_keys", "allowance")
    op.drop_column("users", "allowance")
    op.drop_column("runs", "key")
    op.drop_table("usage_days")
