"""This gateway's copy of what the store tells all of them about accounts, so that nobody need ask.

Every key that may be used, under its hash, and who was signed out or deleted, and when. Looked up
by hash: what it takes to find a key tells nothing of one, for keys are random and hashed first.
"""

import asyncio
import logging
import time

import msgspec

from mesh.bus.bucket import entries, listen
from mesh.bus.connection import Bus, BusError
from mesh.bus.jetstream import JetStream
from mesh.gateway.store import Store
from mesh.gateway.tokens import Principal
from mesh.protocol import subjects
from mesh.protocol.accounts import AccountMark, KeyCard, KeyUse, NoteKeyUse
from mesh.protocol.codec import decode
from mesh.protocol.errors import ErrorCode, MeshError
from mesh.protocol.keys import hash_of
from mesh.protocol.limits import NONE_SAID, Allowance

log = logging.getLogger(__name__)

EVERY = 10.0
"""Seconds between two reports of when keys were used, and two comparisons with the bucket."""

STALE = 5.0
"""Seconds for which what was heard counts more than what is read: a replica may lag behind."""

GONE = "This account was deleted."


class Accounts:
    """The copy. `start` reads it, `run` keeps it and reports the use of keys."""

    def __init__(self, bus: Bus, js: JetStream, store: Store) -> None:
        self._bus = bus
        self._js = js
        self._store = store
        self._keys: dict[str, KeyCard] = {}
        self._marks: dict[str, AccountMark] = {}
        self._of_key: dict[str, Allowance] = {}
        self._heard: dict[str, float] = {}
        self._used: dict[str, float] = {}
        self._listens = False
        self._gone: set[str] = set()
        self._left: set[str] = set()
        self._departed = asyncio.Event()
        self.told = 0
        """How often anything was heard, also what says nothing new."""
        self._doubt = asyncio.Event()
        bus.on_doubt(self._doubt.set)

    async def start(self) -> None:
        """Listen, then read what is there. Raises BusError; may be called again then."""
        if not self._listens:
            await listen(self._bus, subjects.ACCOUNTS_ALL, self._receive)
            self._listens = True
        await self._read()

    async def run(self) -> None:
        """Report which keys were used, and read all anew after trouble, until cancelled."""
        while True:
            try:
                async with asyncio.timeout(EVERY):
                    await self._doubt.wait()
            except TimeoutError:
                pass
            await self.report()
            try:
                self._doubt.clear()
                await self._read()
            except BusError as error:
                self._doubt.set()
                log.debug("The accounts could not be read: %s", error)
                await asyncio.sleep(1.0)

    async def report(self) -> None:
        """Tell the store when keys were used; what it did not hear is told again."""
        used, self._used = self._used, {}
        if not used:
            return
        uses = tuple(KeyUse(key_id=key_id, at=at) for key_id, at in used.items())
        try:
            await self._store.ask(NoteKeyUse(uses=uses))
        except (MeshError, BusError) as error:
            log.debug("The use of keys could not be reported: %s", error)
            self._used = used | self._used

    def by_key(self, key: str) -> Principal:
        """Who a key speaks for. Raises MeshError: invalid_token, token_expired."""
        card = self.card(key)
        if card is None or card.client:
            raise MeshError(ErrorCode.INVALID_TOKEN, "There is no such key; it may be revoked.")
        return Principal(
            card.user_id, card.name, card.role, key=card.id, scopes=frozenset(card.scopes)
        )

    def card(self, key: str) -> KeyCard | None:
        """What is known of a key, which counts as used. Raises MeshError (token_expired)."""
        card = self._keys.get(hash_of(key))
        if card is None:
            return None
        now = time.time()
        if card.expires_at is not None and card.expires_at <= now:
            raise MeshError(ErrorCode.TOKEN_EXPIRED, "This key has expired; make another.")
        self._used[card.id] = now
        return card

    def check(self, user_id: str, issued: float, session: str) -> None:
        """Raise MeshError for an access token, made at a Unix time, that counts no more:

        token_expired where signing in again helps, invalid_token where the account is gone.
        """
        mark = self._marks.get(user_id)
        if mark is not None and mark.gone:
            raise MeshError(ErrorCode.INVALID_TOKEN, GONE)
        if mark is not None and (issued < mark.since or session in mark.ended):
            raise MeshError(ErrorCode.TOKEN_EXPIRED)

    def mark(self, user_id: str) -> AccountMark | None:
        """What changed about a person, as far as it was heard; another one where more did."""
        return self._marks.get(user_id)

    def is_gone(self, user_id: str) -> bool:
        """Whether somebody was deleted, as far as it was heard."""
        mark = self._marks.get(user_id)
        return mark is not None and mark.gone

    async def departed(self) -> frozenset[str]:
        """Wait until somebody was deleted of whom this has not told yet; the ids of them all."""
        await self._departed.wait()
        self._departed.clear()
        left, self._left = frozenset(self._left), set()
        return left

    def allowance(self, user_id: str, key_id: str) -> Allowance:
        """What a user, or with a key's id the key, may ask for, as far as anybody has said."""
        if not key_id:
            mark = self._marks.get(user_id)
            return (mark and mark.allowance) or NONE_SAID
        return self._of_key.get(key_id, NONE_SAID)

    async def _read(self) -> None:
        """Take over what the bucket has, save where something newer was heard of late."""
        found = await entries(self._js, subjects.ACCOUNTS_STREAM, subjects.ACCOUNTS_ALL)
        now = time.monotonic()
        self._heard = {subject: at for subject, at in self._heard.items() if at > now - STALE}
        there = {_name(subject) for subject in (*found, *self._heard)}
        self._keys = {name: card for name, card in self._keys.items() if name in there}
        self._marks = {name: mark for name, mark in self._marks.items() if name in there}
        for subject, data in found.items():
            if subject not in self._heard:
                self._hear(subject, data)

    def _receive(self, subject: str, data: bytes) -> None:
        self._heard[subject] = time.monotonic()
        self._hear(subject, data)

    def _hear(self, subject: str, data: bytes) -> None:
        name = _name(subject)
        self.told += 1
        try:
            if not data:
                self._keys.pop(name, None)
                self._marks.pop(name, None)
            elif subject == subjects.account_key(name):
                self._keys[name] = card = decode(data, KeyCard)
                self._of_key[card.id] = card.allowance or NONE_SAID
            else:
                self._marks[name] = mark = decode(data, AccountMark)
                if mark.gone and name not in self._gone:
                    self._gone.add(name)
                    self._left.add(name)
                    self._departed.set()
        except msgspec.DecodeError as error:
            log.warning("%s cannot be read: %s", subject, error)


def _name(subject: str) -> str:
    """The hash or id that a message of the bucket is about."""
    return subject.rpartition(".")[2]
