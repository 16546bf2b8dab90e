"""A broker's log in memory that keeps the rules of the real one and misbehaves on demand.

For state machines only, which need thousands of courses of events: whether the real broker keeps
these rules is shown in tests/integration/bus. Time is made up as well (`Clockwork`).
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine
from datetime import UTC, datetime
from math import inf
from types import SimpleNamespace
from typing import Any, Literal, TypeVar, cast

from msgspec import Struct
from nats.aio.msg import Msg

from mesh.bus.api import TRANSIENT_LAST, WRONG_LAST, ApiError, StreamConfig, StreamInfo, StreamState
from mesh.bus.connection import Bus, Disconnected, NoResponders, Silence
from mesh.bus.jetstream import JetStream
from mesh.bus.stored import EXPECTED, EXPECTED_SUBJECT, Stored
from mesh.protocol.codec import encode

T = TypeVar("T")

WIRE = 0.001
"""Seconds that a call takes, so that others come in between."""

Fate = Literal["fine", "away", "unanswered", "transient"]
"""What becomes of an append: stored and answered; no broker; stored, but nobody hears so; refused
as a cluster refuses while it changes its leader."""

Answer = Callable[[str, Any, float], Coroutine[Any, Any, Struct]]
"""Answers a request (subject, message, patience in seconds), or raises BusError."""


class Clockwork(asyncio.SelectorEventLoop):
    """An event loop whose time leaps to the next timer when there is nothing else to do."""

    _leapt = 0.0

    def time(self) -> float:
        return self._leapt

    def _run_once(self) -> None:
        inside = cast(Any, self)
        live = [timer.when() for timer in inside._scheduled if not timer.cancelled()]
        if not inside._ready and live:  # of one that was cancelled nobody waits for the time
            self._leapt = max(self._leapt, min(live))
        cast(Any, super())._run_once()


class MemoryLog:
    """One stream. `wire`: stored messages on their way to whoever listens. Each is stored a second
    after the one before.

    fates: of the next appends; lag: messages that the replica which answers reads lacks; silent:
    how many of the next questions to the leader are not answered; lapse: which one of them is not;
    old: messages by which the leader says that the log ends too early; answer: who answers
    requests; reads: how often a part of it was read.
    """

    def __init__(self) -> None:
        self.reads = 0
        self.created = "once"
        self.messages: list[Stored] = []
        self.ever: list[Stored] = []
        self.seq = 0
        self.wire: deque[Stored] = deque()
        self.fates: deque[Fate] = deque()
        self.lag = 0
        self.silent = 0
        self.lapse = 0
        self.old = 0
        self.answer: Answer = _nobody
        self.connected = True
        self.max_payload = 8 << 20
        self.client = SimpleNamespace(is_closed=False)
        self.returned = -inf
        self._listening: list[Callable[[Msg], None]] = []
        self._doubtful: list[Callable[[], None]] = []
        self._breaking: list[Callable[[], None]] = []

    @property
    def js(self) -> JetStream:
        return cast(JetStream, self)

    @property
    def bus(self) -> Bus:
        return cast(Bus, self)

    # --- what a test does with it -----------------------------------------------------------------

    def store(self, subject: str, message: Struct | bytes, expected: int | None = None) -> int:
        """Store a message whose fence has been checked; returns its sequence."""
        self.seq += 1
        previous = self._last(subject)
        data = message if isinstance(message, bytes) else encode(message)
        before = previous.seq if previous else 0
        stored = Stored(self.seq, subject, data, float(self.seq), expected, before)
        self.messages.append(stored)
        self.ever.append(stored)
        self.wire.append(stored)
        return self.seq

    def expire(self, subject: str) -> None:
        """Forget the messages under a subject, as the stream does when they are too old."""
        self.messages = [each for each in self.messages if not matches(subject, each.subject)]

    def tell(self, stored: Stored) -> None:
        """Republish a message."""
        headers = {
            "Nats-Sequence": str(stored.seq),
            "Nats-Subject": stored.subject,
            "Nats-Time-Stamp": stamp(stored.at),
            "Nats-Last-Sequence": str(stored.previous),
        }
        if stored.expected is not None:
            headers[EXPECTED] = str(stored.expected)
        for callback in self._listening:
            callback(Msg(cast(Any, None), stored.subject, "", stored.data, headers))

    def break_off(self) -> None:
        """The connection broke; that it was made again is told by `doubt`."""
        for callback in self._breaking:
            callback()

    def doubt(self) -> None:
        """The connection broke and was made again."""
        for callback in self._doubtful:
            callback()

    # --- what the code under test sees ------------------------------------------------------------

    async def listen(self, subject: str, callback: Callable[[Msg], None]) -> "Listening":
        self._listening.append(callback)
        return Listening(self._listening, callback)

    def on_doubt(self, callback: Callable[[], None]) -> None:
        self._doubtful.append(callback)

    def on_break(self, callback: Callable[[], None]) -> None:
        self._breaking.append(callback)

    def forget(self, callback: Callable[[], None]) -> None:
        for listening in (self._doubtful, self._breaking):
            if callback in listening:
                listening.remove(callback)

    async def request(self, subject: str, payload: Any, timeout: float = 2.0) -> Msg:
        await asyncio.sleep(WIRE)
        answer = await self.answer(subject, payload, timeout)
        return Msg(cast(Any, None), data=encode(answer))

    ask = request

    async def append(self, subject: str, data: bytes, headers: dict[str, str]) -> int:
        await asyncio.sleep(WIRE)
        fate = self.fates.popleft() if self.fates else "fine"
        if fate == "away":
            raise Disconnected("no broker")
        if fate == "transient":
            raise ApiError(TRANSIENT_LAST, "no leader")
        expected = headers.get(EXPECTED)
        if expected is not None:
            last = self._last(headers.get(EXPECTED_SUBJECT, subject))
            found = last.seq if last else 0
            if found != int(expected):
                raise ApiError(WRONG_LAST, f"wrong last sequence: {found}")
        seq = self.store(subject, data, None if expected is None else int(expected))
        await asyncio.sleep(WIRE)
        if fate == "unanswered":
            raise Silence("not answered")
        return seq

    async def stream_info(self, stream: str) -> StreamInfo:
        state = StreamState(last_seq=await self.end(stream))
        return StreamInfo(StreamConfig(stream), state, self.created)

    async def end(self, stream: str) -> int:
        await self._leader()
        return self.seq - self.old

    async def last(self, stream: str, subject: str) -> Stored | None:
        await self._leader()
        return self._last(subject)

    async def get(self, stream: str, seq: int) -> Stored | None:
        await self._leader()
        return next((each for each in self.messages if each.seq == seq), None)

    async def next(self, stream: str, subject: str, start: int) -> Stored | None:
        await self._leader()
        found = (each for each in self.messages if matches(subject, each.subject))
        return next((each for each in found if each.seq >= start), None)

    async def read(
        self, stream: str, subject: str, start: int, upto: int
    ) -> AsyncIterator[list[Stored]]:
        self.reads += 1
        await asyncio.sleep(WIRE)
        seen = self.messages[: len(self.messages) - self.lag]
        self.lag = 0
        found = [each for each in seen if start <= each.seq <= upto]
        found = [each for each in found if matches(subject, each.subject)]
        for at in range(0, len(found), 3):
            yield found[at : at + 3]
            await asyncio.sleep(WIRE)

    async def _leader(self) -> None:
        """Ask the leader something."""
        await asyncio.sleep(WIRE)
        self.lapse -= 1
        if self.lapse == 0:
            raise Silence("not answered")
        if self.silent:
            self.silent -= 1
            raise Silence("not answered")

    def _last(self, subject: str) -> Stored | None:
        found = (each for each in reversed(self.messages) if matches(subject, each.subject))
        return next(found, None)


class Listening:
    """A subscription."""

    def __init__(self, all_: list[Callable[[Msg], None]], callback: Callable[[Msg], None]) -> None:
        self._all = all_
        self._callback = callback

    async def unsubscribe(self) -> None:
        self._all.remove(self._callback)


def stamp(at: float) -> str:
    """A time as the broker says it."""
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%dT%H:%M:%S}Z"


def matches(pattern: str, subject: str) -> bool:
    """Whether a subject is one that a filter with wildcards means."""
    wanted, given = pattern.split("."), subject.split(".")
    if wanted[-1] == ">":
        wanted, given = wanted[:-1], given[: len(wanted) - 1]
    same = all(want in ("*", have) for want, have in zip(wanted, given, strict=False))
    return len(wanted) == len(given) and same


async def _nobody(subject: str, payload: Any, timeout: float) -> Struct:
    raise NoResponders(f"nobody listens on {subject}")
