"""Assistants, tools and threads as objects."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "assistants",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("fields", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_assistants"),
    )
    op.create_index("ix_assistants_owner", "assistants", ["owner"])
    op.create_table(
        "tools",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("tool", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_tools"),
        sa.UniqueConstraint("owner", "name", name="uq_tools_owner_name"),
    )
    _pairs("assistant_users", ("assistant_id", "assistants"), ("user", None))
    _pairs("assistant_tools", ("assistant_id", "assistants"), ("tool_id", "tools"))
    op.create_table(
        "threads",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("length", sa.Integer(), nullable=False),
        sa.Column("meta_data", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_threads"),
    )
    op.create_index("ix_threads_owner", "threads", ["owner"])
    _pairs("thread_participants", ("thread_id", "threads"), ("user", None))
    _messages()
    # Not as a batch: copying the table would take the actions of its runs away.
    op.add_column("tool_runs", sa.Column("assistant", sa.Text(), nullable=False, server_default=""))


def _messages() -> None:
    op.create_table(
        "thread_messages",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("thread_id", sa.Text(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("sender", sa.Text(), nullable=False),
        sa.Column("assistant_id", sa.Text(), nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("tool_calls", sa.Text(), nullable=False),
        sa.Column("tool_call_id", sa.Text(), nullable=False),
        sa.Column("meta_data", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        _refers("thread_messages", "thread_id", "threads"),
        sa.PrimaryKeyConstraint("id", name="pk_thread_messages"),
    )
    op.create_index(
        "ix_thread_messages_thread_id_number", "thread_messages", ["thread_id", "number"]
    )
    op.create_index("ix_thread_messages_sender", "thread_messages", ["sender"])
    op.create_index("ix_thread_messages_run_id", "thread_messages", ["run_id"])


def _pairs(table: str, one: tuple[str, str], other: tuple[str, str | None]) -> None:
    """A table of what belongs together, looked up from both sides."""
    names = (one[0], other[0])
    refers = [_refers(table, name, to) for name, to in (one, other) if to is not None]
    op.create_table(
        table,
        *(sa.Column(name, sa.Text(), nullable=False) for name in names),
        *refers,
        sa.PrimaryKeyConstraint(*names, name=f"pk_{table}"),
    )
    op.create_index(f"ix_{table}_{names[1]}", table, [names[1]])


def _refers(table: str, column: str, to: str) -> sa.ForeignKeyConstraint:
    name = f"fk_{table}_{column}"
    return sa.ForeignKeyConstraint([column], [f"{to}.id"], name=name, ondelete="CASCADE")


def downgrade() -> None:
    op.drop_column("tool_runs", "assistant")
    for table in (
        "thread_messages",
        "thread_participants",
        "threads",
        "assistant_tools",
        "assistant_users",
        "tools",
        "assistants",
    ):
        op.drop_table(table)
