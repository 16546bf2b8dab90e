"""What is left of an answer, read out of the log a part at a time: all of it once, in order."""

import asyncio

import pytest

from mesh.bus.rest import Forgotten, Rest
from mesh.protocol import subjects
from mesh.protocol.events import Claim, Done, Queued
from mesh.protocol.frames import Entry, Frame
from mesh.protocol.run import Run
from mesh.protocol.subjects import Writer
from tests.integration.bus.conftest import a_request
from tests.unit.bus.memory import MemoryLog

GATEWAY, WORKER, OTHER = Writer("gateway", "a"), Writer("w1", "a"), Writer("w2", "a")
TEXTS = [f"{k} " for k in range(40)]


class Log(MemoryLog):
    """A log with one answer, of which another worker took over the second half."""

    def __init__(self) -> None:
        super().__init__()
        self.tell_all()

    def tell_all(self) -> None:
        self.latest = 0
        self.event(GATEWAY, Queued(uid="q", request=a_request("r1")))
        self.store(subjects.event("gw1", "r2", GATEWAY), Queued(uid="o", request=a_request("r2")))
        self.event(WORKER, Claim(uid="c1", n=1, item=1, ack_reply="a", model="m"))
        for at in range(0, 20, 2):
            self.frame(WORKER, 1, at, TEXTS[at : at + 2])
        self.event(OTHER, Claim(uid="c2", n=2, item=1, ack_reply="a", model="m"))
        self.frame(WORKER, 1, 20, ["what nobody counts"])
        for at in range(20, 40, 5):
            self.frame(OTHER, 2, at, TEXTS[at : at + 5])
        seal = Run(texts=list(TEXTS), ids=None).seal()
        self.event(OTHER, Done(uid="d", finish="stop", text="".join(TEXTS), seal=seal))

    def event(self, writer: Writer, event: Queued | Claim | Done) -> None:
        self.latest = self.store(subjects.event("gw1", "r1", writer), event, self.latest)

    def frame(self, writer: Writer, n: int, at: int, texts: list[str]) -> None:
        beside = Entry("r2", 1, at, ["another's"] * len(texts))
        entries = [beside, Entry("r1", n, at, texts)]
        self.store(subjects.tokens("gw1", writer), Frame(entries))


def rest(log: Log, turn: asyncio.Lock | None = None) -> Rest:
    return Rest(log.js, "r1", "gw1", turn or asyncio.Lock())


async def read_all(found: Rest, at: int, window: int) -> list[str]:
    """All pieces from one on, so many at a time, never holding many more."""
    texts: list[str] = []
    while found.run.end is None or found.run.count > at:
        await found.read(at, at + window)
        assert len(found.run.texts) < window + 5
        upto = min(at + window, found.run.count)
        texts += found.run.pieces(at, upto)
        at = upto
    return texts


@pytest.mark.parametrize("window", [1, 3, 7, 100])
@pytest.mark.parametrize("first", [0, 1, 19, 33, 39, 40])
async def test_all_that_is_left_is_read_once_and_in_order(first: int, window: int) -> None:
    found = rest(Log())
    assert await read_all(found, first, window) == TEXTS[first:]
    assert isinstance(found.run.end, Done) and found.run.count == len(TEXTS)


async def test_all_parts_together_are_one_reading() -> None:
    log, asked = Log(), []
    read = log.read

    def counted(stream: str, subject: str, start: int, upto: int) -> object:
        asked.append(start)
        return read(stream, subject, start, upto)

    log.read = counted  # type: ignore[method-assign,assignment]
    await read_all(rest(log), 0, 5)
    assert asked == sorted(asked) and asked.count(asked[0]) == 1


async def test_a_broker_that_is_away_and_a_replica_that_lags_are_waited_for() -> None:
    log = Log()
    found = rest(log)
    await found.read(0, 5)
    log.silent, log.lag = 3, 12
    assert await read_all(found, 5, 6) == TEXTS[5:]


async def test_several_read_at_once_and_each_reads_all() -> None:
    log, turn = Log(), asyncio.Lock()
    readings = [read_all(rest(log, turn), at, 4) for at in (0, 10, 20)]
    assert await asyncio.gather(*readings) == [TEXTS, TEXTS[10:], TEXTS[20:]]


async def test_what_the_log_has_forgotten_is_said_so() -> None:
    log = Log()
    found = rest(log)
    await found.read(0, 5)
    log.expire(subjects.tokens("gw1", WORKER))
    with pytest.raises(Forgotten):
        await found.read(5, 40)
    log.expire(subjects.events_of("r1"))
    with pytest.raises(Forgotten):
        await rest(log).read(0, 5)


async def test_what_has_lost_its_end_alone_is_said_so_as_well() -> None:
    log = Log()
    log.messages = [each for each in log.messages if each.seq != log.latest]
    with pytest.raises(Forgotten):
        await rest(log).read(39, 41)


async def test_in_a_log_that_was_made_anew_it_is_read_from_its_beginning() -> None:
    log = Log()
    found = rest(log)
    await found.read(0, 25)
    log.expire("m1.>")
    log.messages.clear()
    log.tell_all()
    assert await read_all(found, 25, 6) == TEXTS[25:]
