"""Which sign-ins have ended, for the access tokens that came of them; what a link shows."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Not as batches: copying a table would take away what refers to its rows.
    op.add_column("users", sa.Column("ended", sa.Text(), nullable=True))
    op.add_column(
        "refresh_tokens",
        sa.Column("access_until", sa.Double(), nullable=False, server_default="0"),
    )
    for name in ("title", "active_tail"):
        op.add_column("shares", sa.Column(name, sa.Text(), nullable=True))
        # Of links that are there already nobody knows what it was: from now on it stays.
        op.execute(
            f"UPDATE shares SET {name} = (SELECT {name} FROM chats WHERE chats.id = shares.chat_id)"
        )


def downgrade() -> None:
    op.drop_column("shares", "active_tail")
    op.drop_column("shares", "title")
    op.drop_column("refresh_tokens", "access_until")
    op.drop_column("users", "ended")
