"""Which site has told who somebody is: what a provider's name led to then."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Not as a batch: copying a table would take away what refers to its rows.
    op.add_column("users", sa.Column("issuer", sa.Text(), nullable=True))


def downgrade() -> None:
    op.drop_column("users", "issuer")
