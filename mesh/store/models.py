"""The tables. No queries and no rules in here; `docs/store.md` tells them in words.

Times are Unix seconds. Text from people is kept as it came. An answer is two rows with one id:
its `Message`, which is its place in the chat, and its `Run`, which is how it was made.
"""

from typing import Any, TypeVar

import msgspec
from sqlalchemy import (
    BigInteger,
    Dialect,
    Double,
    ForeignKey,
    Index,
    MetaData,
    Text,
    UniqueConstraint,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.types import TypeDecorator

from mesh.protocol.chats import WorkParameters
from mesh.protocol.limits import Allowance
from mesh.protocol.messages import WorkerInfo

T = TypeVar("T")


class Base(DeclarativeBase):
    """Constraints have names, so that a migration can change them on any database."""

    type_annotation_map = {float: Double, str: Text}
    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


class Encoded(TypeDecorator[T]):
    """A Struct of the protocol, or what one is made of, in a text column, as JSON."""

    impl = Text
    cache_ok = True

    def __init__(self, kind: type[T]) -> None:
        super().__init__()
        self.kind = kind

    def process_bind_param(self, value: T | None, dialect: Dialect) -> str | None:
        return None if value is None else msgspec.json.encode(value).decode()

    def process_result_value(self, value: Any, dialect: Dialect) -> T | None:
        return None if value is None else msgspec.json.decode(value, type=self.kind)


# --- people ---------------------------------------------------------------------------------------


class User(Base):
    """A person, known by an account of an identity provider.

    valid_from: access tokens made before are worth nothing; ended: sign-ins whose access tokens
    are worth nothing either, and until when to remember that; allowance: what they may ask for,
    where that was said of them.
    """

    __tablename__ = "users"
    __table_args__ = (UniqueConstraint("provider", "account"),)

    id: Mapped[str] = mapped_column(primary_key=True)
    provider: Mapped[str]
    account: Mapped[str]
    display_name: Mapped[str]
    role: Mapped[str]
    created_at: Mapped[float]
    valid_from: Mapped[float] = mapped_column(default=0.0)
    ended: Mapped[dict[str, float] | None] = mapped_column(Encoded(dict[str, float]))
    allowance: Mapped[Allowance | None] = mapped_column(Encoded(Allowance))


class Password(Base):
    """A person's password, by its Argon2id hash; apart from the person, so that no list has it."""

    __tablename__ = "passwords"

    user_id: Mapped[str] = mapped_column(ForeignKey("users.id"), primary_key=True)
    hash: Mapped[str]
    changed_at: Mapped[float]


class DeletedUser(Base):
    """A person who was deleted: tokens are refused, and events still to come bring nothing back."""

    __tablename__ = "deleted_users"

    id: Mapped[str] = mapped_column(primary_key=True)
    deleted_at: Mapped[float] = mapped_column(index=True)


class RefreshToken(Base):
    """A refresh token, by its SHA-256 in hex; revoked means deleted.

    family: the first token's hash, common to all that took its place one after the other;
    rotated_at: when another took this one's place; access_until: when the access token expires
    that was given out with it, 0 where that names no sign-in.
    """

    __tablename__ = "refresh_tokens"

    token_hash: Mapped[str] = mapped_column(primary_key=True)
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id"), index=True)
    family: Mapped[str] = mapped_column(index=True)
    created_at: Mapped[float]
    expires_at: Mapped[float] = mapped_column(index=True)
    rotated_at: Mapped[float | None]
    access_until: Mapped[float] = mapped_column(default=0.0)


class ApiKey(Base):
    """An API key, by its SHA-256 in hex; revoked means deleted. scopes: separated by spaces."""

    __tablename__ = "api_keys"

    id: Mapped[str] = mapped_column(primary_key=True)
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id"), index=True)
    key_hash: Mapped[str] = mapped_column(unique=True)
    name: Mapped[str]
    hint: Mapped[str]
    scopes: Mapped[str]
    client: Mapped[str]
    created_at: Mapped[float]
    expires_at: Mapped[float | None]
    last_used_at: Mapped[float | None]
    allowance: Mapped[Allowance | None] = mapped_column(Encoded(Allowance))


# --- chats ----------------------------------------------------------------------------------------


class Chat(Base):
    """A chat. active_tail: the leaf that its reader looks at; number: by which its user knows it,
    if it was begun so."""

    __tablename__ = "chats"
    __table_args__ = (
        Index(None, "user_id", "created_at", "id"),
        Index(None, "user_id", "number", unique=True),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id"))
    title: Mapped[str | None]
    hidden: Mapped[bool]
    allow_data_use: Mapped[bool]
    active_tail: Mapped[str | None]
    created_at: Mapped[float]
    modified_at: Mapped[float]
    number: Mapped[int | None]


class DeletedChat(Base):
    """A chat that was deleted: events still to come must not bring it back.

    created_at is the chat's own, so that it still serves as a cursor.
    """

    __tablename__ = "deleted_chats"

    id: Mapped[str] = mapped_column(primary_key=True)
    user_id: Mapped[str]
    created_at: Mapped[float]
    deleted_at: Mapped[float] = mapped_column(index=True)


class Share(Base):
    """A link to a chat as it was at created_at, with the title and the leaf that it had then; the
    id is the secret. Revoked means deleted."""

    __tablename__ = "shares"

    id: Mapped[str] = mapped_column(primary_key=True)
    chat_id: Mapped[str] = mapped_column(ForeignKey("chats.id"), index=True)
    title: Mapped[str | None]
    active_tail: Mapped[str | None]
    created_at: Mapped[float]


class Message(Base):
    """A node of a chat's tree. content is that of a person; an answer's text is its run's."""

    __tablename__ = "messages"
    __table_args__ = (Index(None, "chat_id", "created_at", "id"),)

    id: Mapped[str] = mapped_column(primary_key=True)
    chat_id: Mapped[str] = mapped_column(ForeignKey("chats.id"))
    parent_id: Mapped[str | None] = mapped_column(ForeignKey("messages.id"), index=True)
    role: Mapped[str]
    content: Mapped[str | None]
    created_at: Mapped[float]


class Vote(Base):
    """A user's score of an answer: -1, 0 or 1."""

    __tablename__ = "votes"

    message_id: Mapped[str] = mapped_column(ForeignKey("messages.id"), primary_key=True)
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id"), primary_key=True, index=True)
    score: Mapped[int]
    created_at: Mapped[float]


class Report(Base):
    """What a user says is wrong with a message."""

    __tablename__ = "reports"

    id: Mapped[str] = mapped_column(primary_key=True)
    message_id: Mapped[str] = mapped_column(ForeignKey("messages.id"), index=True)
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id"), index=True)
    report_type: Mapped[str]
    reason: Mapped[str]
    created_at: Mapped[float]


class Evaluation(Base):
    """The reader of a chat found an answer better than one of its siblings."""

    __tablename__ = "evaluations"

    message_id: Mapped[str] = mapped_column(ForeignKey("messages.id"), primary_key=True)
    inferior_id: Mapped[str] = mapped_column(
        ForeignKey("messages.id"), primary_key=True, index=True
    )
    created_at: Mapped[float]


# --- the log's rows -------------------------------------------------------------------------------


class Run(Base):
    """One generation, in a chat or not, as its events tell it.

    state: queued, running, done, failed or cancelled. attempts: the highest claim; worker, inc,
    claimed_at: of that claim. pieces and the checksums are the seal of the pen's holder. client,
    client_user: whom of the tenant's the tokens are charged to; key: the API key's id.
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
    began; assistant: who answered there; state: in_progress, requires_action, completed, failed,
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


class Worker(Base):
    """A worker by name, as of its latest event. state: up, stopped or lost."""

    __tablename__ = "workers"

    name: Mapped[str] = mapped_column(primary_key=True)
    inc: Mapped[str]
    state: Mapped[str]
    first_seen: Mapped[float]
    last_seen: Mapped[float]
    info: Mapped[WorkerInfo | None] = mapped_column(Encoded(WorkerInfo))


class WorkerEvent(Base):
    """One thing that happened to a worker. (kind, key) names it, so that it is there once.

    key: the id of the worker process's story for started, stopped and lost; the rid for
    first_token, finished and failed, and with the claim's number for claimed.
    """

    __tablename__ = "worker_events"
    __table_args__ = (Index(None, "worker", "at"), Index(None, "at", "seq"))

    kind: Mapped[str] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    seq: Mapped[int] = mapped_column(BigInteger)
    at: Mapped[float]
    worker: Mapped[str]
    rid: Mapped[str | None]
    detail: Mapped[str]


# --- how far the log is applied -------------------------------------------------------------------


class Position(Base):
    """The one row that says how far the log is applied; written with the rows themselves.

    log: when the stream was created, which identifies it; seq: the last sequence applied;
    events: how many were applied, ever.
    """

    __tablename__ = "position"

    id: Mapped[int] = mapped_column(primary_key=True)
    log: Mapped[str]
    seq: Mapped[int] = mapped_column(BigInteger)
    events: Mapped[int] = mapped_column(BigInteger)


class SkippedEvent(Base):
    """A message of the log that could not be understood or kept, and why."""

    __tablename__ = "skipped_events"

    log: Mapped[str] = mapped_column(primary_key=True)
    seq: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    subject: Mapped[str]
    at: Mapped[float] = mapped_column(index=True)
    reason: Mapped[str]
