"""What was said last in a thread is kept with its message alone, not with the run that followed."""

from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # It may be another's, who has deleted it since. Only runs on threads have an assistant.
    op.execute("UPDATE tool_runs SET question = '' WHERE on_thread OR assistant != ''")


def downgrade() -> None:
    """What was dropped is in the messages, as far as they are there."""
