"""The tables of what was generated, as the log tells it. No queries and no rules in here."""

from sqlalchemy import BigInteger, ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from mesh.protocol.chats import WorkParameters
from mesh.store.tables import Base, Encoded


class Run(Base):
    """One generation, in a chat or not, as its events tell it.

    state: queued, running, done, failed or cancelled. attempts: the highest claim; worker, inc,
    claimed_at: of that claim. pieces and the checksums are the seal of the pen's holder. client,
    client_user: whom of the tenant's the tokens are charged to; key: the API key's id; reply: the
    address at which the run is told, None where that was not kept yet.
    """

    __tablename__ = "runs"

    rid: Mapped[str] = mapped_column(primary_key=True)
    chat_id: Mapped[str | None] = mapped_column(ForeignKey("chats.id"), index=True)
    tenant: Mapped[str]
    key: Mapped[str] = mapped_column(default="")
    client: Mapped[str | None]
    client_user: Mapped[str | None]
    model: Mapped[str]
    parameters: Mapped[WorkParameters] = mapped_column(Encoded(WorkParameters))
    trace: Mapped[str]
    reply: Mapped[str | None]
    created_at: Mapped[float] = mapped_column(index=True)
    deadline: Mapped[float]
    state: Mapped[str]
    attempts: Mapped[int]
    worker: Mapped[str | None]
    inc: Mapped[str | None]
    claimed_at: Mapped[float | None]
    cancel_asked_at: Mapped[float | None]
    ended_at: Mapped[float | None]
    text: Mapped[str]
    finish: Mapped[str | None]
    truncated: Mapped[int]
    error_code: Mapped[str | None]
    error: Mapped[str | None]
    prompt_tokens: Mapped[int] = mapped_column(BigInteger)
    completion_tokens: Mapped[int] = mapped_column(BigInteger)
    cached_tokens: Mapped[int] = mapped_column(BigInteger)
    queue_seconds: Mapped[float]
    first_token_seconds: Mapped[float | None]
    generate_seconds: Mapped[float]
    pieces: Mapped[int | None] = mapped_column(BigInteger)
    text_checksum: Mapped[str | None]
    ids_checksum: Mapped[str | None]


class ToolRun(Base):
    """A run that calls tools, as its events tell it; each asking of the model is a `Run`.

    thread: of the tenant's, which the question (what was said last) and the text were added to, or
    the id of a `Thread`; on_thread: whether it is that, and the tenant took part in it when the run
    began; assistant: who answered there; question: "" on a `Thread`, whose messages have the words,
    which may be another's; state: in_progress, requires_action, completed, incomplete, failed,
    cancelled or expired; text: the last answer, or what there was of it.
    """

    __tablename__ = "tool_runs"
    __table_args__ = (
        Index(None, "tenant", "thread", "created_at"),
        Index(None, "thread", "created_at"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    tenant: Mapped[str]
    thread: Mapped[str]
    on_thread: Mapped[bool] = mapped_column(default=False)
    assistant: Mapped[str] = mapped_column(default="")
    question: Mapped[str]
    model: Mapped[str]
    state: Mapped[str]
    text: Mapped[str]
    error_code: Mapped[str | None]
    error: Mapped[str | None]
    created_at: Mapped[float] = mapped_column(index=True)
    deadline: Mapped[float]
    ended_at: Mapped[float | None]


class Action(Base):
    """A call that a model made in such a run. state: pending, completed, failed, cancelled or
    expired; by: who found out what came of it."""

    __tablename__ = "actions"

    run_id: Mapped[str] = mapped_column(
        ForeignKey("tool_runs.id", ondelete="CASCADE"), primary_key=True
    )
    call: Mapped[str] = mapped_column(primary_key=True)
    number: Mapped[int]
    tool: Mapped[str]
    arguments: Mapped[str]
    state: Mapped[str]
    output: Mapped[str | None]
    by: Mapped[str | None]
    created_at: Mapped[float]
    expires_at: Mapped[float]
    ended_at: Mapped[float | None]


class ClientUsage(Base):
    """What a user of a tenant's client has used; the sum over the users is the client's."""

    __tablename__ = "client_usage"

    tenant: Mapped[str] = mapped_column(primary_key=True)
    client: Mapped[str] = mapped_column(primary_key=True)
    user: Mapped[str] = mapped_column(primary_key=True)
    requests: Mapped[int] = mapped_column(BigInteger)
    prompt_tokens: Mapped[int] = mapped_column(BigInteger)
    completion_tokens: Mapped[int] = mapped_column(BigInteger)
