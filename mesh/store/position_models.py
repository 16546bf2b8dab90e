"""The tables that say how far the log is applied. No queries and no rules in here."""

from sqlalchemy import BigInteger
from sqlalchemy.orm import Mapped, mapped_column

from mesh.store.tables import Base


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
