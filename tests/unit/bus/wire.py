"""The log in memory as a broker serves it over a connection, for the real `JetStream` to ask.

What `MemoryLog` answers as calls is said here as messages, so that they can be lost one by one.
"""

import asyncio
import base64
from collections import deque
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, Literal, cast

import msgspec
from msgspec import Struct
from nats.aio.msg import Msg

from mesh.bus.api import NOT_FOUND, ApiError
from mesh.bus.connection import Bus, Callback, Disconnected, Silence
from mesh.bus.jetstream import JetStream
from mesh.bus.seclusion import Seclusion
from mesh.bus.stored import EXPECTED, Stored
from mesh.protocol.codec import encode
from tests.unit.bus.memory import WIRE, MemoryLog, matches, stamp

Reply = Literal["fine", "silent", "away"]
"""What becomes of a question to the leader: answered, not answered, or there is no connection."""


@dataclass(frozen=True)
class Way:
    """How one batch comes. size: messages that it has at most; lag: messages that the replica
    lacks; lost: which of its messages do not arrive; refused: nobody serves the stream now."""

    size: int = 3
    lag: int = 0
    lost: frozenset[int] = frozenset()
    refused: bool = False


class Wire:
    """A connection to whoever serves the log. replies, ways: what becomes of the next questions to
    the leader, and of the next batches; old: messages that the leader lacks, which has just become
    one in a cluster that comes together again."""

    def __init__(self, log: MemoryLog) -> None:
        self.log = log
        self.replies: deque[Reply] = deque()
        self.ways: deque[Way] = deque()
        self.old = 0
        self.inbox = "_INBOX"
        self.client = SimpleNamespace(is_closed=False)
        self.seclusion = Seclusion(lambda: False)
        self._inboxes: dict[str, Callback] = {}
        self._batches: set[asyncio.Task[None]] = set()

    @property
    def bus(self) -> Bus:
        return cast(Bus, self)

    @property
    def js(self) -> JetStream:
        return JetStream(self.bus)

    def calm(self) -> None:
        """No trouble from now on."""
        self.replies.clear()
        self.ways.clear()
        self.log.fates.clear()
        self.old = 0

    # --- what the code under test sees ------------------------------------------------------------

    async def request(
        self,
        subject: str,
        payload: Struct | bytes,
        timeout: float = 2.0,
        headers: dict[str, str] | None = None,
    ) -> Msg:
        data = payload if isinstance(payload, bytes) else encode(payload)
        if subject.startswith("$JS."):
            await self._reach(timeout)
            said = self._answer(subject, msgspec.json.decode(data))
        else:
            said = await self._append(subject, data, headers or {})
        return Msg(cast(Any, None), data=msgspec.json.encode(said))

    async def listen(self, subject: str, callback: Callback, queue: str = "") -> Any:
        async def unsubscribe() -> None:
            del self._inboxes[subject]

        self._inboxes[subject] = callback
        return SimpleNamespace(unsubscribe=unsubscribe)

    async def send(
        self, subject: str, data: bytes, reply: str = "", headers: dict[str, str] | None = None
    ) -> None:
        batch = asyncio.create_task(self._batch(reply, msgspec.json.decode(data)))
        self._batches.add(batch)
        batch.add_done_callback(self._batches.discard)

    # --- what the broker does ---------------------------------------------------------------------

    async def _reach(self, timeout: float) -> None:
        await asyncio.sleep(WIRE)
        match self.replies.popleft() if self.replies else "fine":
            case "silent":
                await asyncio.sleep(timeout)
                raise Silence("not answered")
            case "away":
                raise Disconnected("no broker")

    def _answer(self, subject: str, query: dict[str, Any]) -> dict[str, Any]:
        known = _without(self.log.messages, self.old)
        if ".STREAM.INFO." in subject:
            state = {"last_seq": known[-1].seq if known else 0}
            return {"config": {"name": "RUN"}, "state": state, "created": self.log.created}
        assert ".STREAM.MSG.GET." in subject
        if "last_by_subj" in query:
            found = [each for each in known if matches(query["last_by_subj"], each.subject)][-1:]
        elif "next_by_subj" in query:
            found = [each for each in known if matches(query["next_by_subj"], each.subject)]
            found = [each for each in found if each.seq >= query["seq"]]
        else:
            found = [each for each in known if each.seq == query["seq"]]
        if not found:
            return {"error": {"err_code": NOT_FOUND, "description": "no message found"}}
        return {"message": _raw(found[0])}

    async def _append(self, subject: str, data: bytes, headers: dict[str, str]) -> dict[str, Any]:
        try:
            return {"seq": await self.log.append(subject, data, headers)}
        except ApiError as error:
            return {"error": {"err_code": error.code, "description": error.description}}

    async def _batch(self, inbox: str, query: dict[str, Any]) -> None:
        """Answer a batched direct get (ADR-31 of the NATS architecture), or part of it."""
        await asyncio.sleep(WIRE)
        way = self.ways.popleft() if self.ways else Way()
        for number, headers, data in self._said(way, query):
            await asyncio.sleep(WIRE)
            if number not in way.lost and inbox in self._inboxes:
                self._inboxes[inbox](Msg(cast(Any, None), inbox, "", data, headers))

    def _said(self, way: Way, query: dict[str, Any]) -> list[tuple[int, dict[str, str], bytes]]:
        if way.refused:
            return [(0, {"Status": "503"}, b"")]
        seen = _without(self.log.messages, way.lag)
        found = [each for each in seen if each.seq >= query["seq"]]
        found = [each for each in found if matches(query["next_by_subj"], each.subject)]
        if not found:
            return [(0, {"Status": "404"}, b"")]
        said, last = [], 0
        for number, each in enumerate(found[: way.size]):
            said.append((number, _headers(each, last), each.data))
            last = each.seq
        pending = str(len(found) - len(said))
        end = {"Status": "204", "Nats-Num-Pending": pending, "Nats-Last-Sequence": str(last)}
        return [*said, (len(said), end, b"")]


def _without(messages: list[Stored], newest: int) -> list[Stored]:
    """The messages that somebody has who lacks so many of the newest."""
    return messages[: max(0, len(messages) - newest)]


def _headers(stored: Stored, last: int) -> dict[str, str]:
    """The headers of a message in a batch. last: the sequence of the one before."""
    headers = {
        "Nats-Sequence": str(stored.seq),
        "Nats-Subject": stored.subject,
        "Nats-Time-Stamp": stamp(stored.at),
        "Nats-Last-Sequence": str(last),
    }
    return headers if stored.expected is None else {**headers, EXPECTED: str(stored.expected)}


def _raw(stored: Stored) -> dict[str, Any]:
    """A message as the leader's answer has it."""
    fence = "" if stored.expected is None else f"{EXPECTED}: {stored.expected}\r\n"
    return {
        "subject": stored.subject,
        "seq": stored.seq,
        "time": stamp(stored.at),
        "data": base64.b64encode(stored.data).decode(),
        "hdrs": base64.b64encode(f"NATS/1.0\r\n{fence}\r\n".encode()).decode(),
    }
