"""Tells every gateway what it has to know of accounts, in a KV bucket: keys, and what was revoked.

So keys and access tokens are checked while the store is away. The database is the truth: what is
changed there is told before the change is confirmed, and the whole bucket is compared with it at
the start, whenever the connection was broken, and once a minute.
"""

import asyncio
import logging
import time
from collections.abc import Mapping

from sqlalchemy import or_, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession

from mesh.bus.bucket import entries
from mesh.bus.connection import BusError
from mesh.bus.jetstream import JetStream
from mesh.protocol import subjects
from mesh.protocol.accounts import AccountMark, KeyCard
from mesh.protocol.codec import encode
from mesh.store import view
from mesh.store.database import Database, sentence
from mesh.store.models import ApiKey, DeletedUser, User
from mesh.store.refusals import unavailable

log = logging.getLogger(__name__)

EVERY, AGAIN = 60.0, 0.5
"""Seconds between two comparisons, and after one that failed."""

NOTHING = b""
"""In the place of what was taken away."""


class News:
    """What changed for the gateways: messages by subject."""

    def __init__(self) -> None:
        self.messages: dict[str, bytes] = {}

    def key(self, row: ApiKey, owner: User) -> None:
        card = KeyCard(
            id=row.id,
            user_id=owner.id,
            name=owner.display_name,
            role=view.user(owner).role,
            scopes=view.scopes(row),
            client=row.client,
            expires_at=row.expires_at,
            allowance=row.allowance,
        )
        self.messages[subjects.account_key(row.key_hash)] = encode(card)

    def revoked(self, row: ApiKey) -> None:
        self.messages[subjects.account_key(row.key_hash)] = NOTHING

    def user(self, row: User, now: float) -> None:
        """An empty mark of one of whom nothing is to be said any more counts as none."""
        ended = tuple(view.ended(row, now))
        mark = AccountMark(since=row.valid_from, allowance=row.allowance, ended=ended)
        self.messages[subjects.account_mark(row.id)] = encode(mark)

    def gone(self, user_id: str) -> None:
        self.messages[subjects.account_mark(user_id)] = encode(AccountMark(gone=True))


async def all_news(session: AsyncSession, now: float) -> News:
    """All that the gateways should know at a Unix time, as the database has it."""
    news = News()
    marked = or_(User.valid_from > 0, User.allowance.is_not(None), User.ended.is_not(None))
    for user in await session.scalars(select(User).where(marked)):
        news.user(user, now)
    for user_id in await session.scalars(select(DeletedUser.id)):
        news.gone(user_id)
    keys = select(ApiKey, User).join(User, User.id == ApiKey.user_id)
    for key, owner in await session.execute(keys):
        news.key(key, owner)
    return news


class Mirror:
    """The bucket, as the store writes it.

    `turn` is held from before a change to the database until the gateways were told: of a key that
    is made and revoked they must not hear in the other order.
    """

    def __init__(self, database: Database, js: JetStream) -> None:
        self._database = database
        self._js = js
        self._turn = asyncio.Lock()
        self._doubt = asyncio.Event()
        js.bus.on_doubt(self._doubt.set)

    def turn(self) -> asyncio.Lock:
        """Held from before a change to the database until the gateways were told."""
        return self._turn

    async def tell(self, news: News) -> None:
        """Tell the gateways; for the holder of `turn`.

        Raises MeshError (store_unavailable) if they may not have heard.
        """
        try:
            await self._write(news.messages)
        except BusError as error:
            self._doubt.set()
            log.warning("The gateways could not be told of a change: %s", error)
            raise unavailable(
                "It is kept, but the gateways could not be told yet; try again in a moment."
            ) from error

    async def run(self) -> None:
        """Keep the bucket as the database has it, until cancelled."""
        while True:
            self._doubt.clear()
            try:
                async with self._turn:
                    await self._compare()
                pause = EVERY
            except BusError as error:
                log.debug("The accounts could not be compared: %s", error)
                pause = AGAIN
            except SQLAlchemyError as error:
                log.warning("The accounts could not be compared: %s", sentence(error))
                pause = AGAIN
            try:
                async with asyncio.timeout(pause):
                    await self._doubt.wait()
                await asyncio.sleep(AGAIN)
            except TimeoutError:
                pass

    async def _compare(self) -> None:
        bucket = subjects.ACCOUNTS_STREAM, subjects.ACCOUNTS_ALL
        there = await entries(self._js, *bucket)
        async with self._database.read() as session:
            wanted = (await all_news(session, time.time())).messages
        extra = {subject: NOTHING for subject, data in there.items() if data}
        await self._write(
            {
                subject: data
                for subject, data in (extra | wanted).items()
                if there.get(subject, NOTHING) != data
            }
        )

    async def _write(self, messages: Mapping[str, bytes]) -> None:
        for subject, data in messages.items():
            await self._js.append(subject, data)
