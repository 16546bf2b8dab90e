"""The tables of assistants, tools and threads. No queries and no rules in here.

Owners, participants and senders are tenants, so a private gateway's guest has such objects, too.
"""

from sqlalchemy import ForeignKey, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from mesh.protocol.assistants import AssistantFields
from mesh.protocol.request import Tool, ToolCall
from mesh.store.tables import Base, Encoded

Calls = tuple[ToolCall, ...]
MetaData = dict[str, str]


class Assistant(Base):
    """A way to answer that somebody keeps."""

    __tablename__ = "assistants"

    id: Mapped[str] = mapped_column(primary_key=True)
    owner: Mapped[str] = mapped_column(index=True)
    fields: Mapped[AssistantFields] = mapped_column(Encoded(AssistantFields))
    created_at: Mapped[float]


class AssistantUser(Base):
    """Somebody with whom its owner shares an assistant."""

    __tablename__ = "assistant_users"

    assistant_id: Mapped[str] = mapped_column(
        ForeignKey("assistants.id", ondelete="CASCADE"), primary_key=True
    )
    user: Mapped[str] = mapped_column(primary_key=True, index=True)


class KeptTool(Base):
    """A tool's description. name: that of the description, to find it by."""

    __tablename__ = "tools"
    __table_args__ = (UniqueConstraint("owner", "name"),)

    id: Mapped[str] = mapped_column(primary_key=True)
    owner: Mapped[str]
    name: Mapped[str]
    tool: Mapped[Tool] = mapped_column(Encoded(Tool))
    created_at: Mapped[float]


class AssistantTool(Base):
    """A tool that an assistant was given."""

    __tablename__ = "assistant_tools"

    assistant_id: Mapped[str] = mapped_column(
        ForeignKey("assistants.id", ondelete="CASCADE"), primary_key=True
    )
    tool_id: Mapped[str] = mapped_column(
        ForeignKey("tools.id", ondelete="CASCADE"), primary_key=True, index=True
    )


class Thread(Base):
    """A conversation. length: how many messages it has had, and the next one's number."""

    __tablename__ = "threads"

    id: Mapped[str] = mapped_column(primary_key=True)
    owner: Mapped[str] = mapped_column(index=True)
    length: Mapped[int]
    meta_data: Mapped[MetaData] = mapped_column(Encoded(MetaData))
    created_at: Mapped[float]


class ThreadParticipant(Base):
    """Somebody who takes part in a thread; its owner does, too."""

    __tablename__ = "thread_participants"

    thread_id: Mapped[str] = mapped_column(
        ForeignKey("threads.id", ondelete="CASCADE"), primary_key=True
    )
    user: Mapped[str] = mapped_column(primary_key=True, index=True)


class ThreadMessage(Base):
    """A message of a thread; of a run's, the log tells. sender: who wrote it, or began the run."""

    __tablename__ = "thread_messages"
    __table_args__ = (Index(None, "thread_id", "number"),)

    id: Mapped[str] = mapped_column(primary_key=True)
    thread_id: Mapped[str] = mapped_column(ForeignKey("threads.id", ondelete="CASCADE"))
    number: Mapped[int]
    role: Mapped[str]
    content: Mapped[str]
    status: Mapped[str]
    sender: Mapped[str] = mapped_column(index=True)
    assistant_id: Mapped[str]
    run_id: Mapped[str] = mapped_column(index=True)
    tool_calls: Mapped[Calls] = mapped_column(Encoded(Calls))
    tool_call_id: Mapped[str]
    meta_data: Mapped[MetaData] = mapped_column(Encoded(MetaData))
    created_at: Mapped[float]
