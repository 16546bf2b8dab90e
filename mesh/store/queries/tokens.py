"""Refresh tokens: each is good for one use, then another takes its place, in the same family.

Whoever shows one whose place was taken is either late (within the leeway: two tabs, an answer
that got lost) or has stolen it, or was robbed: then nobody of that family stays signed in.
RFC 9700, section 4.14.2. With a family its access tokens end, of which the gateways are told for
as long as these might last.

A family is one chain: who is late gets the very successor that the first got, never one of their
own. RFC 9700 finds a theft out by two who go on from one token, one of whom has to show one that
was used; with a successor for each a thief who was quick would go on beside the robbed unnoticed,
for as long as they like. So the two meet again at the next use that is not as quick.
"""

from msgspec.structs import replace
from sqlalchemy import delete, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from mesh.protocol import accounts as wire
from mesh.protocol.accounts import RevokeRefresh, SaveRefresh, UseRefresh
from mesh.protocol.chats import Ok
from mesh.protocol.errors import ErrorCode, MeshError
from mesh.protocol.keys import session_of
from mesh.store import view
from mesh.store.mirror import News
from mesh.store.models import RefreshToken, User
from mesh.store.queries import find

SIGNED_OUT = "This account was signed out everywhere just now; sign in again."

MOST_ENDED = 1000
"""Ended sign-ins of one person that the gateways remember at a time; whoever ends more is signed
out everywhere instead, which is one mark for all of them."""

LATE = 3600.0
"""Seconds that they are remembered longer than needed: machines' clocks differ."""


async def save_refresh(session: AsyncSession, query: SaveRefresh, now: float) -> Ok:
    user = await find.user(session, query.user_id)
    if query.valid_from not in (None, user.valid_from):
        raise MeshError(ErrorCode.INVALID_TOKEN, SIGNED_OUT)
    token = RefreshToken(
        token_hash=query.token_hash,
        user_id=query.user_id,
        family=query.token_hash,
        created_at=now,
        expires_at=query.expires_at,
        access_until=query.access_until,
    )
    await session.merge(token)
    return Ok()


async def use_refresh(
    session: AsyncSession, query: UseRefresh, now: float, leeway: float, news: News
) -> wire.User | None:
    """The token's user; None if it was used before, and its family is revoked.

    Raises MeshError: invalid_token if it is unknown or was revoked, token_expired.
    """
    token = await session.get(RefreshToken, query.token_hash)
    if token is None:
        raise MeshError(ErrorCode.INVALID_TOKEN)
    if token.rotated_at is not None and now > token.rotated_at + leeway:
        await _revoke_family(session, token, now, news)
        return None
    if token.expires_at <= now:
        raise MeshError(ErrorCode.TOKEN_EXPIRED)
    if query.new_hash:
        await _rotate(session, token, query, now)
    user = view.user(await find.user(session, token.user_id))
    return replace(user, session=session_of(token.family))


async def _rotate(
    session: AsyncSession, token: RefreshToken, query: UseRefresh, now: float
) -> None:
    """Raises MeshError (invalid_token) for another successor than the one that there is."""
    if token.rotated_at is not None:
        heir = await session.get(RefreshToken, query.new_hash)
        if heir is None or heir.family != token.family:
            raise MeshError(ErrorCode.INVALID_TOKEN)
        heir.access_until = max(heir.access_until, query.access_until)
        return
    token.rotated_at = now
    session.add(
        RefreshToken(
            token_hash=query.new_hash,
            user_id=token.user_id,
            family=token.family,
            created_at=now,
            expires_at=query.expires_at,
            access_until=query.access_until,
        )
    )


async def revoke_refresh(session: AsyncSession, query: RevokeRefresh, now: float, news: News) -> Ok:
    """One token's family, or every one of a user, with the access tokens that are about."""
    if query.token_hash is None:
        await sign_out(session, await find.user(session, query.user_id), now, news)
        return Ok()
    token = await session.get(RefreshToken, query.token_hash)
    if token is not None and query.user_id in ("", token.user_id):
        await _revoke_family(session, token, now, news)
    return Ok()


async def sign_out(session: AsyncSession, user: User, now: float, news: News) -> None:
    """End all that a user is signed in with; keys stay."""
    await session.execute(delete(RefreshToken).where(RefreshToken.user_id == user.id))
    user.valid_from = now
    news.user(user, now)


async def _revoke_family(
    session: AsyncSession, token: RefreshToken, now: float, news: News
) -> None:
    """End one sign-in: its refresh tokens, and the access tokens that came of them."""
    of_family = RefreshToken.family == token.family
    user, name = await find.user(session, token.user_id), session_of(token.family)
    last = await session.scalar(select(func.max(RefreshToken.access_until)).where(of_family))
    await session.execute(delete(RefreshToken).where(of_family))
    if not last or last + LATE <= now:  # none of them names its sign-in, or lasts
        return
    user.ended = view.ended(user, now) | {name: last + LATE}
    if len(user.ended) > MOST_ENDED:
        user.ended = None
        await sign_out(session, user, now, news)
    else:
        news.user(user, now)
