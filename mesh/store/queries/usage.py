"""What was used, by day, user, key and model; and what a user or a key may use."""

from sqlalchemy import select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from mesh.protocol.errors import ErrorCode, MeshError
from mesh.protocol.limits import Allowance, GetAllowance, GetUsage, SetAllowance, Usage, UsageRow
from mesh.store.mirror import News
from mesh.store.models import ApiKey, User
from mesh.store.queries import find
from mesh.store.queries.paging import page
from mesh.store.refusals import no_such
from mesh.store.usage import UsageDay

NOTHING_SAID = Allowance()

NOT_OF_A_KEY = (
    "A key's weight is 1 or more: who has less makes others wait who have less, too. "
    "An admin can give its user less."
)

MOST = 10_000
"""Rows in one answer."""


async def get_usage(session: AsyncSession, query: GetUsage, applied: int) -> Usage:
    """A user who has no account here, such as a guest, has an id all the same."""
    wanted = select(UsageDay)
    if query.user:
        wanted = wanted.where(UsageDay.tenant == await _tenant(session, query.user))
    if query.key:
        wanted = wanted.where(UsageDay.key == query.key)
    if query.model:
        wanted = wanted.where(UsageDay.model == query.model)
    if query.since:
        wanted = wanted.where(UsageDay.day >= query.since)
    if query.until:
        wanted = wanted.where(UsageDay.day <= query.until)
    key = UsageDay.day, UsageDay.tenant, UsageDay.key, UsageDay.model
    if query.after is not None:
        wanted = wanted.where(tuple_(*key) > query.after)
    found = await session.scalars(wanted.order_by(*key).limit(MOST + 1))
    rows, more = page(list(map(_row, found)), MOST)
    last = rows[-1] if more else None
    following = (last.day, last.user, last.key, last.model) if last is not None else None
    return Usage(rows=rows, applied=applied, next=following)


async def _tenant(session: AsyncSession, named: str) -> str:
    try:
        return (await find.person(session, named)).id
    except MeshError:
        return named


async def get_allowance(session: AsyncSession, query: GetAllowance) -> Allowance:
    holder, _ = await _holder(session, query.user, query.key_id)
    return holder.allowance or NOTHING_SAID


async def set_allowance(
    session: AsyncSession, query: SetAllowance, now: float, news: News
) -> Allowance:
    if query.key_id and (query.allowance.weight or 1.0) < 1.0:
        raise MeshError(ErrorCode.BAD_REQUEST, NOT_OF_A_KEY, param="weight")
    holder, owner = await _holder(session, query.user, query.key_id)
    holder.allowance = None if query.allowance == NOTHING_SAID else query.allowance
    if isinstance(holder, ApiKey):
        news.key(holder, owner)
    else:
        news.user(holder, now)
    return query.allowance


async def _holder(session: AsyncSession, user: str, key_id: str) -> tuple[User | ApiKey, User]:
    """Whose allowance it is, and the user. Raises MeshError (not_found)."""
    owner = await find.person(session, user) if user else None
    if not key_id:
        if owner is None:
            raise no_such("user")
        return owner, owner
    key = await session.get(ApiKey, key_id)
    if key is None or (owner is not None and key.user_id != owner.id):
        raise no_such("key")
    return key, owner or await find.user(session, key.user_id)


def _row(row: UsageDay) -> UsageRow:
    return UsageRow(
        day=row.day,
        user=row.tenant,
        key=row.key,
        model=row.model,
        requests=row.requests,
        failed=row.failed,
        prompt_tokens=row.prompt_tokens,
        completion_tokens=row.completion_tokens,
        cached_tokens=row.cached_tokens,
    )
