"""The tables of workers, and of what happened to them. No queries and no rules in here."""

from sqlalchemy import BigInteger, Index
from sqlalchemy.orm import Mapped, mapped_column

from mesh.protocol.worker_info import WorkerInfo
from mesh.store.tables import Base, Encoded


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
