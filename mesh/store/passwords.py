"""Passwords: Argon2id hashes, made and compared off the event loop, a few at a time.

A name without a password takes as long as one with a wrong one, so that the time tells nothing.
"""

import asyncio
import unicodedata
from collections.abc import Callable
from functools import cached_property
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from mesh.store.refusals import bad, unavailable

T = TypeVar("T")

SHORTEST, LONGEST = 8, 1024
"""Characters of a password (NIST SP 800-63B, section 3.1.1.2: at least 8, long ones allowed)."""

AT_ONCE = 2
"""Hashes computed at once: each takes 64 MiB and some 50 ms of a core (RFC 9106, section 4)."""

MOST_WAITING = 50
"""Sign-ins that may wait for their turn: some seconds of work."""


class Passwords:
    """Hashes and compares. The parameters are argon2-cffi's, which follow RFC 9106."""

    def __init__(self) -> None:
        self._hasher = PasswordHasher()
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._waiting = 0

    async def hash(self, password: str) -> str:
        """The hash to keep. Raises MeshError: bad_request for one that is too short or too long,
        store_unavailable."""
        check(password)
        return await self._turn(self._hasher.hash, _normal(password))

    async def matches(self, kept: str | None, password: str) -> bool:
        """Whether this is the password of a hash; None: there is none, which takes as long.

        Raises MeshError (store_unavailable) if too many want to know.
        """
        if len(password) > LONGEST:
            return False
        same = await self._turn(self._verify, kept or self._nobodys, _normal(password))
        return same and kept is not None

    def is_old(self, kept: str) -> bool:
        """Whether a hash was made with weaker parameters than are used now."""
        return self._hasher.check_needs_rehash(kept)

    def _verify(self, kept: str, password: str) -> bool:
        try:
            return self._hasher.verify(kept, password)
        except (VerificationError, InvalidHashError):
            return False

    @cached_property
    def _nobodys(self) -> str:
        return self._hasher.hash("nobody has this password")

    async def _turn(self, work: Callable[..., T], *words: str) -> T:
        if self._waiting >= MOST_WAITING:
            raise unavailable("Too many want to sign in at this moment; try again in a while.")
        self._waiting += 1
        try:
            async with self._turns:
                return await asyncio.to_thread(work, *words)
        finally:
            self._waiting -= 1


def check(password: str) -> None:
    """Raise MeshError (bad_request) unless this may be a password."""
    if not SHORTEST <= len(password) <= LONGEST:
        raise bad(f"A password has {SHORTEST} to {LONGEST:,} characters.", "password")


def _normal(password: str) -> str:
    """One spelling of equal text, however a keyboard put it together (RFC 8265, section 4.2)."""
    return unicodedata.normalize("NFC", password)
