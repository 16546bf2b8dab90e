"""The address at which a run is told: what is written of it elsewhere counts for nothing."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("runs", sa.Column("reply", sa.Text(), nullable=True))


def downgrade() -> None:
    op.drop_column("runs", "reply")
