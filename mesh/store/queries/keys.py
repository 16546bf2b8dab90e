"""API keys: made, listed, revoked, and when they were used last. Their secrets are never here."""

import re
from secrets import token_hex

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from mesh.protocol import accounts as wire
from mesh.protocol.accounts import CreateKey, Keys, ListKeys, NoteKeyUse, RevokeKey
from mesh.protocol.chats import Ok
from mesh.protocol.errors import ErrorCode, MeshError
from mesh.store import view
from mesh.store.mirror import News
from mesh.store.models import ApiKey
from mesh.store.queries import find
from mesh.store.refusals import bad, no_such

MOST = 100
"""Keys of one person."""
LONGEST_NAME = 100
CLIENT = re.compile(r"[A-Za-z0-9._-]{1,40}")


async def create_key(session: AsyncSession, query: CreateKey, now: float, news: News) -> wire.Key:
    owner = await find.person(session, query.user)
    name = query.name.strip()
    if not 1 <= len(name) <= LONGEST_NAME or not name.isprintable():
        raise bad(f"A key has a name of 1 to {LONGEST_NAME} printable characters.", "name")
    if query.expires_at is not None and query.expires_at <= now:
        raise bad("This key would have expired already; give a later time.", "expires_at")
    if query.client and not CLIENT.fullmatch(query.client):
        raise bad("A client's name has 1 to 40 letters, digits, dots, - and _.", "client")
    if query.client and owner.role != "admin":
        raise MeshError(
            ErrorCode.FORBIDDEN, "Only an admin's key may speak for others, as a trusted client."
        )
    mine = select(func.count()).where(ApiKey.user_id == owner.id)
    if (await session.scalar(mine) or 0) >= MOST:
        raise MeshError(ErrorCode.CONFLICT, f"You have {MOST} keys; revoke one first.")
    row = ApiKey(
        id=token_hex(16),
        user_id=owner.id,
        key_hash=query.key_hash,
        name=name,
        hint=query.hint,
        scopes=" ".join(query.scopes),
        client=query.client,
        created_at=now,
        expires_at=query.expires_at,
    )
    session.add(row)
    news.key(row, owner)
    return view.key(row)


async def list_keys(session: AsyncSession, query: ListKeys) -> Keys:
    wanted = select(ApiKey).order_by(ApiKey.created_at, ApiKey.id)
    if query.user:
        owner = await find.person(session, query.user)
        wanted = wanted.where(ApiKey.user_id == owner.id)
    return Keys(keys=tuple(view.key(row) for row in await session.scalars(wanted)))


async def revoke_key(session: AsyncSession, query: RevokeKey, news: News) -> Ok:
    row = await session.get(ApiKey, query.key_id)
    if row is None or query.user_id not in ("", row.user_id):
        raise no_such("key")
    news.revoked(row)
    await session.delete(row)
    return Ok()


async def note_key_use(session: AsyncSession, query: NoteKeyUse) -> Ok:
    """Later uses win; a key that was revoked meanwhile is no matter."""
    for use in query.uses:
        later = (ApiKey.last_used_at.is_(None)) | (ApiKey.last_used_at < use.at)
        used = update(ApiKey).where(ApiKey.id == use.key_id, later)
        await session.execute(used.values(last_used_at=use.at))
    return Ok()
