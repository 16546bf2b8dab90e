"""A log in memory, and the events that tell stories in it, spelled as briefly as tests want."""

import asyncio

from msgspec import Struct

from mesh.bus.stored import Stored
from mesh.bus.tail import Head
from mesh.protocol import subjects
from mesh.protocol.codec import decode_event, encode
from mesh.protocol.errors import ErrorCode
from mesh.protocol.events import (
    Cancel,
    Cancelled,
    Claim,
    Done,
    End,
    Failed,
    FleetEvent,
    LogEvent,
    Queued,
    Seal,
    Timings,
    Usage,
    WorkerLost,
    WorkerStarted,
    WorkerStopped,
)
from mesh.protocol.request import Message, Request, Sampling, Turn, UserMessage
from mesh.protocol.run import text_checksum
from mesh.protocol.subjects import FLEET, Writer
from mesh.protocol.worker_info import ModelCard, WorkerInfo

BEGAN = 1_700_000_000.0
"""Unix time of sequence 0 in a MemoryLog; each sequence is a second later."""

GATEWAY = Writer("gateway", "g1")


class MemoryLog:
    """What the store sees of a RUN stream: events with growing sequences, and an identity."""

    def __init__(self, created: str = "first") -> None:
        self.created = created
        self.messages: list[Stored] = []
        self.last = 0
        self.batch = 1_000
        self._news = asyncio.Event()

    def append(self, event: LogEvent | bytes, rid: str, writer: Writer = GATEWAY) -> int:
        """Add an event of a request (or garbage, as bytes); returns its sequence."""
        fleet = isinstance(event, FleetEvent)
        subject = subjects.event(FLEET if fleet else "gw1", rid, writer)
        return self.put(subject, encode(event) if isinstance(event, Struct) else event)

    def put(self, subject: str, data: bytes) -> int:
        self.last += 1
        self.messages.append(Stored(self.last, subject, data, BEGAN + self.last))
        self.wake()
        return self.last

    def tokens(self, frames: int = 1) -> None:
        """Frames of tokens stand between the events; the store does not read them."""
        self.last += frames

    async def read(self, after: int, limit: int) -> list[Stored]:
        found = [stored for stored in self.messages if stored.seq > after]
        return found[: min(limit, self.batch)]

    async def head(self) -> Head:
        return Head(self.created, self.last)

    async def wait(self, timeout: float) -> None:
        try:
            async with asyncio.timeout(timeout):
                await self._news.wait()
        except TimeoutError:
            pass
        self._news.clear()

    def wake(self) -> None:
        self._news.set()


# --- requests -------------------------------------------------------------------------------------


def turn(chat_id: str, user_id: str, said: UserMessage) -> Turn:
    return Turn(chat_id=chat_id, user_id=user_id, user_message=said, system_prompt="Be brief.")


def said(id: str, content: str = "hello", parent: str | None = None) -> UserMessage:
    return UserMessage(id=id, content=content, parent_id=parent, created=BEGAN)


def queued(rid: str, place: Turn | None = None, tenant: str = "alice", late: float = 0) -> Queued:
    """late: seconds added to the time of the request."""
    request = Request(
        rid=rid,
        reply="gw1",
        tenant=tenant,
        model="echo",
        messages=(Message(role="user", content="hello"),),
        sampling=Sampling(temperature=0.5),
        max_tokens=64,
        created=BEGAN + late,
        deadline=BEGAN + late + 600,
        trace=f"trace-{rid}",
    )
    return Queued(uid=f"q-{rid}", request=request, turn=place)


def claim(n: int = 1) -> Claim:
    return Claim(uid=f"c-{n}", n=n, item=7, ack_reply="$JS.ACK.x", model="echo")


def cancel() -> Cancel:
    return Cancel(uid="x", by="alice")


def seal(text: str) -> Seal:
    return Seal(count=len(text), text=text_checksum(text), ids=None)


def done(text: str = "hello back", n: int = 1) -> Done:
    return Done(
        uid=f"d-{n}",
        n=n,
        text=text,
        finish="stop",
        usage=Usage(prompt_tokens=3, completion_tokens=len(text)),
        timings=Timings(queue=0.25, first_token=0.5, generate=1.5),
        seal=seal(text),
    )


def failed(code: ErrorCode = ErrorCode.ENGINE_FAILED, text: str = "hel") -> Failed:
    return Failed(uid="f", n=1, text=text, code=code, detail="The engine is out of memory.")


def cancelled(text: str = "hel") -> Cancelled:
    return Cancelled(uid="e", n=1, text=text, seal=seal(text))


def answered(
    log: MemoryLog, rid: str, place: Turn | None = None, end: End | None = None, worker: str = "w1"
) -> int:
    """A whole story: queued, claimed, ended. Returns the last sequence."""
    log.append(queued(rid, place), rid)
    log.append(claim(), rid, Writer(worker, "i1"))
    return log.append(end or done(), rid, Writer(worker, "i1"))


def turn_of(stored: Stored) -> Turn | None:
    """The turn that a stored `queued` event carries."""
    event = decode_event(stored.data)
    assert isinstance(event, Queued)
    return event.turn


# --- workers --------------------------------------------------------------------------------------


def started(log: MemoryLog, name: str, inc: str = "i1") -> int:
    writer = Writer(name, inc)
    card = ModelCard(name="echo", fingerprint="f", engine="echo", context_length=2048)
    info = WorkerInfo(
        name=name,
        inc=inc,
        protocol=1,
        version="0",
        models=(card,),
        slots=4,
        started=BEGAN,
        hardware="CPU",
    )
    return log.append(WorkerStarted(uid="s", info=info), subjects.process(writer), writer)


def stopped(log: MemoryLog, name: str, inc: str = "i1") -> int:
    writer = Writer(name, inc)
    event = WorkerStopped(uid="t", name=name, inc=inc, reason="drained")
    return log.append(event, subjects.process(writer), writer)


def lost(log: MemoryLog, name: str, inc: str = "i1", by: Writer = GATEWAY) -> int:
    event = WorkerLost(uid="l", name=name, inc=inc)
    return log.append(event, subjects.process(Writer(name, inc)), by)
