"""Accounts: passwords, API keys, families of refresh tokens, links to chats, who was deleted."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "deleted_users",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("deleted_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_deleted_users"),
    )
    op.create_index("ix_deleted_users_deleted_at", "deleted_users", ["deleted_at"])

    op.create_table(
        "passwords",
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.Column("changed_at", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_passwords_user_id"),
        sa.PrimaryKeyConstraint("user_id", name="pk_passwords"),
    )
    op.create_table(
        "api_keys",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("key_hash", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("hint", sa.Text(), nullable=False),
        sa.Column("scopes", sa.Text(), nullable=False),
        sa.Column("client", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("expires_at", sa.Double(), nullable=True),
        sa.Column("last_used_at", sa.Double(), nullable=True),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_api_keys_user_id"),
        sa.PrimaryKeyConstraint("id", name="pk_api_keys"),
        sa.UniqueConstraint("key_hash", name="uq_api_keys_key_hash"),
    )
    op.create_index("ix_api_keys_user_id", "api_keys", ["user_id"])

    op.create_table(
        "shares",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("chat_id", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(["chat_id"], ["chats.id"], name="fk_shares_chat_id"),
        sa.PrimaryKeyConstraint("id", name="pk_shares"),
    )
    op.create_index("ix_shares_chat_id", "shares", ["chat_id"])

    with op.batch_alter_table("users") as users:
        users.add_column(sa.Column("valid_from", sa.Double(), nullable=False, server_default="0"))
    with op.batch_alter_table("refresh_tokens") as tokens:
        tokens.add_column(sa.Column("family", sa.Text(), nullable=False, server_default=""))
        tokens.add_column(sa.Column("rotated_at", sa.Double(), nullable=True))
        tokens.create_index("ix_refresh_tokens_family", ["family"])
    op.execute("UPDATE refresh_tokens SET family = token_hash")


def downgrade() -> None:
    with op.batch_alter_table("refresh_tokens") as tokens:
        tokens.drop_index("ix_refresh_tokens_family")
        tokens.drop_column("rotated_at")
        tokens.drop_column("family")
    with op.batch_alter_table("users") as users:
        users.drop_column("valid_from")
    for table in ("shares", "api_keys", "passwords", "deleted_users"):
        op.drop_table(table)
