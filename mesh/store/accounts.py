"""Answers what is asked about people, tokens, keys and links, and tells the gateways what changed.

Passwords are hashed and compared between transactions, never within one: that takes its time.
"""

import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from sqlalchemy.ext.asyncio import AsyncSession

from mesh.protocol.accounts import (
    AddUser,
    CreateKey,
    GetShared,
    GetUser,
    ListKeys,
    ListRuns,
    ListShares,
    ListUsers,
    LogIn,
    NoteKeyUse,
    RemoveUser,
    RenameUser,
    RevokeKey,
    RevokeRefresh,
    RevokeShare,
    SaveRefresh,
    SetPassword,
    SetRole,
    ShareChat,
    SignIn,
    User,
    UseRefresh,
)
from mesh.protocol.errors import ErrorCode, MeshError
from mesh.protocol.limits import GetAllowance, SetAllowance
from mesh.protocol.queries import AccountQuery, Reply
from mesh.store import view
from mesh.store.attempts import Attempts
from mesh.store.database import Database
from mesh.store.mirror import News
from mesh.store.passwords import Passwords
from mesh.store.queries import accounts, find, keys, leaving, runs, shares, tokens, usage
from mesh.store.queries.find import PASSWORD, account_name

Read = GetUser | ListUsers | ListKeys | ListRuns | ListShares | GetShared | GetAllowance
Change = (
    SignIn
    | SetRole
    | RenameUser
    | RemoveUser
    | SaveRefresh
    | UseRefresh
    | RevokeRefresh
    | CreateKey
    | RevokeKey
    | NoteKeyUse
    | ShareChat
    | RevokeShare
    | SetAllowance
)

WRONG = "This name and this password do not belong together."


class Gateways(Protocol):
    """Those who have to hear of changes (`mirror.py`)."""

    def turn(self) -> AbstractAsyncContextManager[object]:
        """Held from before a change until the gateways were told."""
        ...

    async def tell(self, news: News) -> None: ...


class Accounts:
    """People and what they sign in with. leeway: seconds, see `UseRefresh`."""

    def __init__(
        self,
        database: Database,
        gateways: Gateways,
        leeway: float,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._database = database
        self._gateways = gateways
        self._leeway = leeway
        self._clock = clock
        self._passwords = Passwords()
        self._attempts = Attempts(clock)

    async def serve(self, query: AccountQuery) -> Reply:
        """The reply. Raises MeshError where it cannot be granted."""
        match query:
            case LogIn():
                return await self._log_in(query)
            case AddUser():
                return await self.add_user(query)
            case SetPassword():
                return await self._set_password(query)
        if isinstance(query, Read):
            return await self._read(query)
        return await self._change(query)

    async def has_admin(self) -> bool:
        async with self._database.read() as session:
            return await accounts.count_admins(session) > 0

    async def add_user(self, query: AddUser) -> User:
        hashed = None
        if query.provider == PASSWORD:
            hashed = await self._passwords.hash(query.password)
        async with self._database.write() as session:
            return await accounts.add_user(session, query, hashed, self._clock())

    async def _log_in(self, query: LogIn) -> User:
        """Unknown names and wrong passwords look the same, and take the same time."""
        name = account_name(query.account)
        self._attempts.begin(name, query.address)
        async with self._database.read() as session:
            found = await accounts.password_of(session, name)
        kept = found[1] if found else None
        if not await self._passwords.matches(kept, query.password) or found is None:
            raise MeshError(ErrorCode.INVALID_TOKEN, WRONG)
        self._attempts.passed(name, query.address)
        user, kept = found
        if self._passwords.is_old(kept):
            new = await self._passwords.hash(query.password)
            async with self._database.write() as session:
                await accounts.keep_hash(session, user.id, kept, new)
        return view.user(user)

    async def _set_password(self, query: SetPassword) -> User:
        if query.old is not None:
            async with self._database.read() as session:
                owner = await find.person(session, query.user)
            accounts.check_has_password(owner)
            await self._log_in(LogIn(account=owner.account, password=query.old))
        hashed = await self._passwords.hash(query.password)
        news = News()
        async with self._gateways.turn():
            async with self._database.write() as session:
                user = await accounts.set_password(session, query.user, hashed, self._clock(), news)
            await self._gateways.tell(news)
        return user

    async def _read(self, query: Read) -> Reply:
        now = self._clock()
        async with self._database.read() as session:
            match query:
                case GetUser():
                    return await accounts.get_user(session, query)
                case ListUsers():
                    return await accounts.list_users(session, query)
                case ListKeys():
                    return await keys.list_keys(session, query)
                case ListRuns():
                    return await runs.list_runs(session, query, now)
                case ListShares():
                    return await shares.list_shares(session, query)
                case GetShared():
                    return await shares.get_shared(session, query, now)
                case GetAllowance():
                    return await usage.get_allowance(session, query)

    async def _change(self, query: Change) -> Reply:
        news = News()
        async with self._gateways.turn():
            async with self._database.write() as session:
                reply = await self._written(session, query, news)
            await self._gateways.tell(news)
        if reply is None:
            raise MeshError(ErrorCode.INVALID_TOKEN)
        return reply

    async def _written(self, session: AsyncSession, query: Change, news: News) -> Reply | None:
        now = self._clock()
        match query:
            case SignIn():
                return await accounts.sign_in(session, query, now)
            case SetRole():
                return await accounts.set_role(session, query, now, news)
            case RenameUser():
                return await accounts.rename_user(session, query, news)
            case RemoveUser():
                return await leaving.remove_user(session, query, now, news)
            case SaveRefresh():
                return await tokens.save_refresh(session, query, now)
            case UseRefresh():
                return await tokens.use_refresh(session, query, now, self._leeway, news)
            case RevokeRefresh():
                return await tokens.revoke_refresh(session, query, now, news)
            case CreateKey():
                return await keys.create_key(session, query, now, news)
            case RevokeKey():
                return await keys.revoke_key(session, query, news)
            case NoteKeyUse():
                return await keys.note_key_use(session, query)
            case ShareChat():
                return await shares.share_chat(session, query, now)
            case RevokeShare():
                return await shares.revoke_share(session, query)
            case SetAllowance():
                return await usage.set_allowance(session, query, now, news)
