"""Which draft a reader found better than which, and the numbers by which users know chats."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "evaluations",
        sa.Column("message_id", sa.Text(), nullable=False),
        sa.Column("inferior_id", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(["message_id"], ["messages.id"], name="fk_evaluations_message_id"),
        sa.ForeignKeyConstraint(
            ["inferior_id"], ["messages.id"], name="fk_evaluations_inferior_id"
        ),
        sa.PrimaryKeyConstraint("message_id", "inferior_id", name="pk_evaluations"),
    )
    op.add_column("chats", sa.Column("number", sa.Integer(), nullable=True))
    op.create_index("ix_chats_user_id_number", "chats", ["user_id", "number"], unique=True)


def downgrade() -> None:
    op.drop_index("ix_chats_user_id_number", "chats")
    op.drop_column("chats", "number")
    op.drop_table("evaluations")
