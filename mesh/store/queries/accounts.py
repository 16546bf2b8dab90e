"""People: found, made, changed, listed. What hangs on them is in the files beside this one."""

import re
from secrets import token_hex

from sqlalchemy import func, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from mesh.protocol import accounts as wire
from mesh.protocol.accounts import (
    Accounts,
    AddUser,
    GetUser,
    ListUsers,
    RenameUser,
    SetRole,
    SignIn,
)
from mesh.protocol.errors import ErrorCode, MeshError
from mesh.store import view
from mesh.store.mirror import News
from mesh.store.models import ApiKey, Chat, Password, User
from mesh.store.queries import find
from mesh.store.queries.find import PASSWORD, account_name
from mesh.store.queries.paging import check_limit, page
from mesh.store.queries.tokens import sign_out
from mesh.store.refusals import bad, no_such

MOST_LISTED = 1000
NO_WAY_IN = ("api", "client", "debug")
"""Providers of those who have neither a password nor a site to sign in through: who was made by
`POST /v1/users`, a trusted client's user, and who is known by name alone, which is on loopback."""
NAME = re.compile(r"[^\s\x00-\x1f\x7f-\x9f\ufffd:/]{1,100}")
"""A name to sign in with: one word, without what a link or `provider:account` would trip over."""


async def sign_in(session: AsyncSession, query: SignIn, now: float) -> wire.User:
    """The user behind an account; created when new, and called as the provider calls them now.

    Raises MeshError: not_found, forbidden (`_check_issuer`).
    """
    user = await session.scalar(
        select(User).where(User.provider == query.provider, User.account == query.account)
    )
    if user is None:
        if query.known_only:
            raise no_such("user")
        user = _new(query.provider, query.account, "user", now)
        session.add(user)
    _check_issuer(user, query.issuer)
    user.issuer = user.issuer or query.issuer or None
    user.display_name = query.display_name
    return view.user(user)


def _check_issuer(user: User, issuer: str) -> None:
    """Raise MeshError (forbidden) for an account of another site than the one that was asked: an id
    is a person's only together with its issuer (OpenID Connect Core 1.0, section 5.7)."""
    if issuer and user.issuer not in (None, issuer):
        raise MeshError(
            ErrorCode.FORBIDDEN,
            f"The account {user.provider}:{user.account} is that of somebody at {user.issuer}, and "
            f"{user.provider} leads to {issuer} now. Ask an admin for an account of your own.",
        )


def _new(provider: str, account: str, role: wire.Role, now: float) -> User:
    return User(
        id=token_hex(16),
        provider=provider,
        account=account,
        display_name=account,
        role=role,
        created_at=now,
        valid_from=0.0,
    )


async def get_user(session: AsyncSession, query: GetUser) -> wire.User:
    return view.user(await find.user(session, query.user_id))


async def rename_user(session: AsyncSession, query: RenameUser, news: News) -> wire.User:
    user = await find.user(session, query.user_id)
    user.display_name = query.display_name
    for key in await session.scalars(select(ApiKey).where(ApiKey.user_id == user.id)):
        news.key(key, user)
    return view.user(user)


async def list_users(session: AsyncSession, query: ListUsers) -> Accounts:
    """Oldest first by (created_at, id)."""
    check_limit(query.limit, MOST_LISTED)
    keys = select(func.count()).where(ApiKey.user_id == User.id).scalar_subquery()
    chats = select(func.count()).where(Chat.user_id == User.id).scalar_subquery()
    wanted = (
        select(User, Password.changed_at, keys, chats)
        .outerjoin(Password, Password.user_id == User.id)
        .order_by(User.created_at, User.id)
        .limit(query.limit + 1)
    )
    if query.after is not None:
        last = await find.user(session, query.after)
        wanted = wanted.where(tuple_(User.created_at, User.id) > (last.created_at, last.id))
    found = (await session.execute(wanted)).all()
    listed = [
        wire.Account(user=view.user(user), password=changed is not None, keys=keys, chats=chats)
        for user, changed, keys, chats in found
    ]
    shown, more = page(listed, query.limit)
    return Accounts(accounts=shown, next=shown[-1].user.id if more else None)


async def add_user(
    session: AsyncSession, query: AddUser, password_hash: str | None, now: float
) -> wire.User:
    """A person who is not there yet; with a password, if that is how they sign in."""
    account = query.account
    if query.provider == PASSWORD:
        account = account_name(query.account)
    if not NAME.fullmatch(account):
        raise bad("A name is one word of 1 to 100 characters without : and /.", "account")
    same = select(User.id).where(User.provider == query.provider, User.account == account)
    if await session.scalar(same) is not None:
        raise MeshError(ErrorCode.CONFLICT, f"There is a user {account!r} already.")
    user = _new(query.provider, account, query.role, now)
    session.add(user)
    await session.flush()
    if password_hash is not None:
        session.add(Password(user_id=user.id, hash=password_hash, changed_at=now))
    return view.user(user)


async def password_of(session: AsyncSession, account: str) -> tuple[User, str] | None:
    """The user who signs in with this name, and the hash of their password."""
    wanted = (
        select(User, Password.hash)
        .join(Password, Password.user_id == User.id)
        .where(User.provider == PASSWORD, User.account == account_name(account))
    )
    row = (await session.execute(wanted)).one_or_none()
    return None if row is None else (row[0], row[1])


async def set_password(
    session: AsyncSession, named: str, password_hash: str, now: float, news: News
) -> wire.User:
    """Who knew the old one is signed out everywhere; keys stay."""
    user = await find.person(session, named)
    check_has_password(user)
    await session.merge(Password(user_id=user.id, hash=password_hash, changed_at=now))
    await sign_out(session, user, now, news)
    return view.user(user)


def check_has_password(user: User) -> None:
    """Raise MeshError (bad_request) for somebody who signs in by another way."""
    if user.provider != PASSWORD:
        raise bad(f"{user.display_name} signs in by {user.provider} and has no password here.")


async def keep_hash(session: AsyncSession, user_id: str, old: str, new: str) -> None:
    """The same password, hashed with the parameters of today, unless it was changed meanwhile."""
    row = await session.get(Password, user_id)
    if row is not None and row.hash == old:
        row.hash = new


async def set_role(session: AsyncSession, query: SetRole, now: float, news: News) -> wire.User:
    """The new role counts at once: access tokens with the old one end, keys are told anew."""
    user = await find.person(session, query.user)
    if user.role != query.role:
        await check_not_last_admin(session, user)
        user.role = query.role
        user.valid_from = now
        news.user(user, now)
        for key in await session.scalars(select(ApiKey).where(ApiKey.user_id == user.id)):
            news.key(key, user)
    return view.user(user)


async def check_not_last_admin(session: AsyncSession, user: User) -> None:
    """Raise MeshError (conflict) for the only admin, and the only one who can sign in."""
    if user.role != "admin":
        return
    others = select(func.count()).where(User.role == "admin", User.id != user.id)
    if user.provider not in NO_WAY_IN:
        others = others.where(User.provider.not_in(NO_WAY_IN))
    if not await session.scalar(others):
        raise MeshError(
            ErrorCode.CONFLICT,
            f"{user.display_name} is the only admin who can sign in; make somebody else one first, "
            "with `mesh user role NAME admin`.",
        )


async def count_admins(session: AsyncSession) -> int:
    return await session.scalar(select(func.count()).where(User.role == "admin")) or 0
