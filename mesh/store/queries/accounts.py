"""Users and refresh tokens."""

from secrets import token_hex

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from mesh.protocol import chats as wire
from mesh.protocol.chats import GetUser, Ok, RevokeRefresh, SaveRefresh, SignIn, UseRefresh
from mesh.protocol.errors import ErrorCode, MeshError
from mesh.store import view
from mesh.store.models import RefreshToken, User
from mesh.store.queries import find


async def sign_in(session: AsyncSession, query: SignIn, now: float) -> wire.User:
    """The user behind an account; created when new, and called as the provider calls them now."""
    user = await session.scalar(
        select(User).where(User.provider == query.provider, User.account == query.account)
    )
    if user is None:
        user = User(
            id=token_hex(16),
            provider=query.provider,
            account=query.account,
            role="user",
            created_at=now,
        )
        session.add(user)
    user.display_name = query.display_name
    return view.user(user)


async def get_user(session: AsyncSession, query: GetUser) -> wire.User:
    return view.user(await find.user(session, query.user_id))


async def save_refresh(session: AsyncSession, query: SaveRefresh, now: float) -> Ok:
    await find.user(session, query.user_id)
    token = RefreshToken(
        token_hash=query.token_hash,
        user_id=query.user_id,
        created_at=now,
        expires_at=query.expires_at,
    )
    await session.merge(token)
    return Ok()


async def use_refresh(session: AsyncSession, query: UseRefresh, now: float) -> wire.User:
    """Raises MeshError: invalid_token if it is unknown or was revoked, token_expired."""
    token = await session.get(RefreshToken, query.token_hash)
    if token is None:
        raise MeshError(ErrorCode.INVALID_TOKEN)
    if token.expires_at <= now:
        raise MeshError(ErrorCode.TOKEN_EXPIRED)
    return view.user(await find.user(session, token.user_id))


async def revoke_refresh(session: AsyncSession, query: RevokeRefresh) -> Ok:
    mine = delete(RefreshToken).where(RefreshToken.user_id == query.user_id)
    if query.token_hash is not None:
        mine = mine.where(RefreshToken.token_hash == query.token_hash)
    await session.execute(mine)
    return Ok()
