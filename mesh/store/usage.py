"""Adds up by day, user, key and model what requests took, when they end. Pure, but for `load`."""

from collections.abc import Iterable
from datetime import UTC, datetime

from sqlalchemy import BigInteger, Index, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from mesh.protocol.events import Cancelled, Done, Failed
from mesh.store.models import Base, Run
from mesh.store.records import Record

MOST = 2**63 - 1
"""What a database keeps in 64 bits."""

Spent = tuple[str, str, str, str]
"""Day, tenant, key and model."""


class UsageDay(Base):
    """What was used on a day (`2026-11-21`, UTC). key: id of the API key, "": asked without one.

    requests: that ended on it, failed: of these.
    """

    __tablename__ = "usage_days"
    __table_args__ = (Index(None, "tenant", "day"),)

    day: Mapped[str] = mapped_column(primary_key=True)
    tenant: Mapped[str] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    model: Mapped[str] = mapped_column(primary_key=True)
    requests: Mapped[int] = mapped_column(BigInteger)
    failed: Mapped[int] = mapped_column(BigInteger)
    prompt_tokens: Mapped[int] = mapped_column(BigInteger)
    completion_tokens: Mapped[int] = mapped_column(BigInteger)
    cached_tokens: Mapped[int] = mapped_column(BigInteger)


def day(at: float) -> str:
    """The day of a Unix time."""
    return datetime.fromtimestamp(at, UTC).date().isoformat()


async def load(
    session: AsyncSession, records: Iterable[Record], tenants: set[str]
) -> dict[Spent, UsageDay]:
    """The rows of these tenants for the days on which some of these requests end."""
    ends = [each for each in records if isinstance(each.event, Done | Failed | Cancelled)]
    if not ends:
        return {}
    days = {day(each.at) for each in ends}
    wanted = select(UsageDay).where(UsageDay.tenant.in_(tenants), UsageDay.day.in_(days))
    found = await session.scalars(wanted)
    return {(row.day, row.tenant, row.key, row.model): row for row in found}


def ended(row: UsageDay, run: Run) -> None:
    """A request has ended, for the first time: what it took is used, however it ended."""
    row.requests += 1
    row.failed += run.state == "failed"
    row.prompt_tokens = added(row.prompt_tokens, run.prompt_tokens)
    row.completion_tokens = added(row.completion_tokens, run.completion_tokens)
    row.cached_tokens = added(row.cached_tokens, run.cached_tokens)


def added(so_far: int, tokens: int) -> int:
    """A sum of tokens that the database can keep, whatever stands there from earlier versions."""
    return min(so_far + tokens, MOST)


def begun(of: Spent) -> UsageDay:
    """A day on which nothing was used yet."""
    when, tenant, key, model = of
    return UsageDay(
        day=when,
        tenant=tenant,
        key=key,
        model=model,
        requests=0,
        failed=0,
        prompt_tokens=0,
        completion_tokens=0,
        cached_tokens=0,
    )
