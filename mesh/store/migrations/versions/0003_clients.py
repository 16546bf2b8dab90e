"""The clients of `POST /v1/ask`: whom a run is charged to, and what each has used."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "client_usage",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("client", sa.Text(), nullable=False),
        sa.Column("user", sa.Text(), nullable=False),
        sa.Column("requests", sa.BigInteger(), nullable=False),
        sa.Column("prompt_tokens", sa.BigInteger(), nullable=False),
        sa.Column("completion_tokens", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "client", "user", name="pk_client_usage"),
    )
    with op.batch_alter_table("runs") as runs:
        runs.add_column(sa.Column("client", sa.Text(), nullable=True))
        runs.add_column(sa.Column("client_user", sa.Text(), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("runs") as runs:
        runs.drop_column("client_user")
        runs.drop_column("client")
    op.drop_table("client_usage")
