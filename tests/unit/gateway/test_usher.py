"""What a gateway reads of the log: who waits, and what became of them. The broker is made up."""

from typing import cast

from mesh.bus.jetstream import JetStream
from mesh.bus.stored import Stored
from mesh.bus.tail import Tail
from mesh.gateway.usher import Usher
from mesh.protocol import subjects
from mesh.protocol.codec import encode
from mesh.protocol.events import Done, Queued, RunEvent
from mesh.protocol.request import Message, Prompt, Request
from mesh.protocol.subjects import Writer
from tests.unit.bus.memory import MemoryLog

WAITING = Request(
    rid="r1",
    reply="gw1",
    tenant="u",
    model="tiny",
    messages=(Message(role="user", content="x"),),
    created=100.0,
    deadline=1e9,
)
EVENTS: list[RunEvent] = [Queued(uid="q", request=WAITING), Done(uid="d", finish="stop")]


class Past(Tail):
    """A broker whose log has these events, a minute apart; the first one's request waits."""

    def __init__(self) -> None:
        unasked = MemoryLog()
        super().__init__(unasked.bus, unasked.js)
        subject = subjects.event("gw1", "r1", Writer("gateway", "i"))
        self.log = [
            Stored(seq, subject, encode(event), 60.0 * seq) for seq, event in enumerate(EVENTS, 1)
        ]

    async def next(self, stream: str, subject: str, seq: int) -> Stored | None:
        prompt = Prompt(queued=1, request=WAITING)
        return Stored(1, subjects.req("tiny", "u"), encode(prompt))

    async def last(self) -> int:
        return len(self.log)

    async def read(self, after: int, limit: int) -> list[Stored]:
        return self.log[after : after + limit]


async def test_what_is_read_at_the_start_is_told_with_the_time_it_was_stored() -> None:
    told: list[tuple[str, int, float]] = []
    past = Past()
    usher = Usher(
        cast(JetStream, past),
        past,
        lambda rid, event, seq, at: told.append((rid, seq, at)),
        "gw1",
        lambda at, batch: None,
    )
    await usher.start()
    assert told == [("r1", 1, 60.0), ("r1", 2, 120.0)]
