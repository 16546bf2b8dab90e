"""Which runs are on a thread, whoever takes part in it by now."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

TAKES_PART = """
    SELECT 1 FROM thread_participants AS part
    WHERE part.thread_id = tool_runs.thread AND part.user = tool_runs.tenant
"""
SAID = """
    SELECT 1 FROM thread_messages AS said
    WHERE said.thread_id = tool_runs.thread AND said.run_id = tool_runs.id
"""


def upgrade() -> None:
    # Not as a batch: copying the table would take the actions of its runs away.
    op.add_column(
        "tool_runs", sa.Column("on_thread", sa.Boolean(), nullable=False, server_default="0")
    )
    op.create_index("ix_tool_runs_thread_created_at", "tool_runs", ["thread", "created_at"])
    # Of who takes part no longer, what the runs have said there is all that is known.
    op.execute(f"UPDATE tool_runs SET on_thread = EXISTS ({TAKES_PART}) OR EXISTS ({SAID})")


def downgrade() -> None:
    op.drop_index("ix_tool_runs_thread_created_at", "tool_runs")
    op.drop_column("tool_runs", "on_thread")
