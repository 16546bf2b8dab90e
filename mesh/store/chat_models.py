"""The tables of chats, and of what their readers think of them. No queries and no rules in here."""

from sqlalchemy import ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from mesh.store.tables import Base


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
