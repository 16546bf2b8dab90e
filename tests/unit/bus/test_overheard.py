"""What was heard live need not be read again, and whatever was not is: the same events either way.

The broker is made up (`MemoryLog`), and a follower of the address `gw1` notes what it says.
"""

import asyncio
from collections.abc import Coroutine, Iterator
from typing import Any, NamedTuple, TypeVar

import pytest

from mesh.bus.connection import Silence
from mesh.bus.follow import Follower
from mesh.bus.log_end import Outdated
from mesh.bus.overheard import BYTES, KEPT, Overheard
from mesh.bus.stored import Stored
from mesh.bus.tail import ON_ITS_WAY, Tail
from mesh.protocol import subjects
from mesh.protocol.events import Cancel
from mesh.protocol.frames import Frame
from mesh.protocol.subjects import Writer
from tests.unit.bus.memory import Clockwork, MemoryLog, matches

T = TypeVar("T")

GATEWAY, WORKER = Writer("gateway", "a"), Writer("w1", "a")
EVENT = subjects.event("gw1", "r1", GATEWAY)
FRAME = subjects.tokens("gw1", WORKER)
OTHERS = subjects.event("gw2", "r2", GATEWAY)
OTHERS_FRAME = subjects.tokens("gw2", WORKER)


# --- what is kept ---------------------------------------------------------------------------------


def heard(*seqs: int, kept: int = KEPT) -> Overheard:
    """Of messages of these sequences, each an event; a frame where it is negative."""
    overheard = Overheard(kept)
    for seq in seqs:
        overheard.note(message(seq))
    return overheard


def message(seq: int, size: int = 1) -> Stored:
    return Stored(abs(seq), EVENT if seq > 0 else FRAME, bytes(size))


def told(overheard: Overheard, after: int, upto: int) -> list[int] | None:
    found = overheard.between(after, upto)
    return None if found is None else [stored.seq for stored in found]


@pytest.mark.parametrize(
    ("seqs", "after", "upto", "expected"),
    [
        pytest.param([], 0, 0, None, id="nothing was heard"),
        pytest.param([1, 2, 3], 0, 3, [1, 2, 3], id="from the log's beginning"),
        pytest.param([1, 2, 3], 1, 2, [2], id="in the middle"),
        pytest.param([1, 2, 3], 3, 3, [], id="at the end"),
        pytest.param([1, 2, 3], 2, 4, None, id="beyond the end"),
        pytest.param([1, 2, 3], 4, 4, None, id="from beyond the end"),
        pytest.param([7, 8], 6, 8, [7, 8], id="from where it began"),
        pytest.param([7, 8], 5, 8, None, id="from before it began"),
        pytest.param([1, -2, 3, -4], 0, 4, [1, 3], id="frames in between"),
        pytest.param([-1, -2], 0, 2, [], id="frames alone"),
        pytest.param([1, 2, 4, 5], 1, 5, None, id="over a hole"),
        pytest.param([1, 2, 4, 5], 0, 2, None, id="before a hole"),
        pytest.param([1, 2, 4, 5], 3, 5, [4, 5], id="behind a hole"),
        pytest.param([4, 5, 5, 6], 3, 6, None, id="from before what was heard twice"),
        pytest.param([4, 5, 5, 6], 4, 6, [5, 6], id="one that was heard twice"),
        pytest.param([8, 9, 3, 4], 7, 9, None, id="what was before the log went back"),
        pytest.param([8, 9, 3, 4], 2, 4, [3, 4], id="a log that went back"),
        pytest.param([4, 6, 5, 6, 7], 3, 7, None, id="from before one that was overtaken"),
        pytest.param([4, 6, 5, 6, 7], 4, 7, [5, 6, 7], id="one that was overtaken"),
    ],
)
def test_a_stretch_without_a_hole_is_known_and_nothing_else(
    seqs: list[int], after: int, upto: int, expected: list[int] | None
) -> None:
    assert told(heard(*seqs), after, upto) == expected


@pytest.mark.parametrize(("after", "covered"), [(5, False), (6, True), (8, True), (9, False)])
def test_what_comes_next_is_waited_for_only_behind_what_is_known(after: int, covered: bool) -> None:
    assert heard(7, 8).covers(after) is covered


def test_behind_a_break_a_stretch_of_its_own_begins_though_the_sequences_go_on() -> None:
    overheard = heard(1, 2)
    overheard.lost()
    assert told(overheard, 0, 2) is None and not overheard.covers(2)
    overheard.note(message(3))
    assert told(overheard, 1, 3) is None
    assert told(overheard, 2, 3) == [3]


def test_of_more_than_is_kept_the_latest_are() -> None:
    overheard = heard(1, -2, -3, -4, 5, 6, kept=2)
    assert told(overheard, 0, 6) is None
    assert told(overheard, 1, 6) == [5, 6]
    overheard.note(message(7))
    assert told(overheard, 4, 7) is None
    assert told(overheard, 5, 7) == [6, 7]


def test_where_nobody_would_read_it_nothing_is_kept() -> None:
    overheard = heard(1, 2, kept=0)
    assert told(overheard, 1, 2) is None
    assert told(overheard, 2, 2) == []


def test_large_ones_are_kept_as_far_as_there_is_room() -> None:
    overheard, size = Overheard(), BYTES * 2 // 5
    for seq in (1, 2, 3):
        overheard.note(message(seq, size))
    assert told(overheard, 0, 3) is None
    assert told(overheard, 1, 3) == [2, 3]
    overheard.note(message(4, BYTES + 1))
    assert told(overheard, 3, 4) is None, "it is larger than the room there is"
    assert told(overheard, 4, 4) == []
    for seq in (5, 6):
        overheard.note(message(seq, size))
    assert told(overheard, 4, 6) == [5, 6]
    overheard.lost()
    for seq in (7, 8):
        overheard.note(message(seq, size))
    assert told(overheard, 6, 8) == [7, 8], "what was lost takes no room"


@pytest.mark.parametrize(
    "subject",
    [
        EVENT,
        FRAME,
        subjects.event("tok", "tok", Writer("tok", "tok")),
        subjects.tokens("gw1", Writer("evt", "i")),
        subjects.tokens("evt", Writer("evt", "evt")),
        f"{subjects.PREFIX}.run.gw1.evt",
        f"{subjects.PREFIX}.run.gw1.evt.odd",
        f"{subjects.PREFIX}.run.gw1.evt.odd.odd.odd.odd",
        f"{subjects.PREFIX}.run.gw1.odd.evt.odd",
        f"{subjects.PREFIX}.run.odd",
    ],
)
def test_an_event_is_what_is_read_as_one(subject: str) -> None:
    read = matches(subjects.RUN_EVENTS, subject) and len(subject.split(".")) > 4
    assert subjects.is_event(subject) is read


# --- what is read all the same --------------------------------------------------------------------


class Said(NamedTuple):
    """What one reading gave. reads: how often the log was read for it; took: seconds."""

    events: list[Stored]
    reads: int
    took: float


class World:
    """A log, a gateway that has heard what it heard, and who reads the log there."""

    def __init__(self, loop: Clockwork) -> None:
        self.loop = loop
        self.log = MemoryLog()
        self.overheard = Overheard()
        self.tail = Tail(self.log.bus, self.log.js, overheard=self.overheard)
        self.follower = self.follow()

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(work)

    def follow(self) -> Follower:
        follower = Follower(self.log.bus, self.log.js, "gw1", overheard=self.overheard)
        self.do(follower.start())
        return follower

    def write(self, *subjects_: str, hear: bool = True) -> None:
        """Store messages; those at our address are heard at once, unless they are lost."""
        for subject in subjects_:
            self.log.store(subject, Cancel(uid="x") if subjects.is_event(subject) else Frame([]))
            stored = self.log.wire.pop()
            if hear and stored.subject not in (OTHERS, OTHERS_FRAME):
                self.tell(stored)

    def tell(self, stored: Stored) -> None:
        async def say() -> None:
            self.log.tell(stored)

        self.do(say())

    def read(self, after: int, limit: int = 100, tail: Tail | None = None) -> Said:
        reads, began = self.log.reads, self.loop.time()
        events = self.do(everything(tail or self.tail, self.log.seq, after, limit))
        return Said(events, self.log.reads - reads, self.loop.time() - began)

    def expect(self, said: Said, after: int) -> None:
        """It is what who has heard nothing reads, each with its time, and in order."""
        plain = self.read(after, tail=Tail(self.log.bus, self.log.js))
        assert plain.reads > 0
        assert [as_read(each) for each in said.events] == [as_read(each) for each in plain.events]
        assert all(each.at == each.seq for each in said.events)


async def everything(tail: Tail, end: int, after: int, limit: int) -> list[Stored]:
    found: list[Stored] = []
    async for batch in tail.upto(end, after, limit):
        assert 0 < len(batch) <= limit
        found += batch
    return found


def as_read(stored: Stored) -> tuple[int, str, bytes, float, int | None]:
    """What is told of a message whichever way it came; only what comes live names the one before
    it."""
    return stored.seq, stored.subject, stored.data, stored.at, stored.expected


@pytest.fixture
def world() -> Iterator[World]:
    loop = Clockwork()
    world = World(loop)
    try:
        yield world
        world.do(world.follower.stop())
    finally:
        loop.close()


def test_where_all_was_heard_nothing_is_read(world: World) -> None:
    world.write(EVENT, EVENT, FRAME, EVENT, FRAME)
    for after, count in ((0, 3), (1, 2), (2, 1), (3, 1), (4, 0)):
        said = world.read(after)
        assert (len(said.events), said.reads, said.took) == (count, 0, 0)
        world.expect(said, after)


def test_it_is_told_in_parts_of_the_size_that_was_asked_for(world: World) -> None:
    world.write(EVENT, EVENT, FRAME, EVENT, EVENT, FRAME, EVENT)
    said = world.read(0, limit=2)
    assert (len(said.events), said.reads) == (5, 0)
    world.expect(said, 0)


@pytest.mark.parametrize("subject", [EVENT, FRAME])
def test_what_comes_a_little_late_is_waited_for(world: World, subject: str) -> None:
    world.write(EVENT)
    world.write(subject, hear=False)
    world.loop.call_later(ON_ITS_WAY / 2, world.log.tell, world.log.ever[-1])
    said = world.read(0)
    assert said.reads == 0
    assert ON_ITS_WAY / 3 < said.took < ON_ITS_WAY
    world.expect(said, 0)


def test_what_does_not_come_is_read(world: World) -> None:
    world.write(EVENT)
    world.write(EVENT, hear=False)
    said = world.read(0)
    assert said.reads == 1 and said.took < 2 * ON_ITS_WAY
    world.expect(said, 0)


def test_what_was_lost_in_the_middle_is_read(world: World) -> None:
    world.write(EVENT)
    world.write(EVENT, hear=False)
    world.write(EVENT, FRAME, EVENT)
    said = world.read(0)
    assert said.reads == 1 and said.took < ON_ITS_WAY, "it is not waited for"
    world.expect(said, 0)
    said = world.read(2)
    assert (len(said.events), said.reads) == (2, 0), "behind it nothing is missing"


@pytest.mark.parametrize("others", [OTHERS, OTHERS_FRAME])
def test_what_another_wrote_is_read(world: World, others: str) -> None:
    world.write(EVENT, EVENT, others, EVENT, EVENT)
    for after in (0, 2):
        said = world.read(after)
        assert said.reads == 1
        world.expect(said, after)


@pytest.mark.parametrize("others", [OTHERS, OTHERS_FRAME])
def test_what_another_wrote_last_is_waited_for_once(world: World, others: str) -> None:
    world.write(EVENT, EVENT, others)
    said = world.read(0)
    assert said.reads > 0 and said.took < 2 * ON_ITS_WAY
    world.expect(said, 0)


def test_who_comes_from_before_reads_only_as_far_as_it_has_to(world: World) -> None:
    world.write(EVENT, EVENT, OTHERS, EVENT, EVENT, EVENT)
    said = world.read(0, limit=3)
    assert (len(said.events), said.reads) == (6, 1)
    world.expect(said, 0)


@pytest.mark.parametrize("way", ["break", "doubt"])
def test_what_was_heard_before_a_break_is_read(world: World, way: str) -> None:
    world.write(EVENT, EVENT)
    world.do(broken(world.log, way))
    world.write(EVENT)
    said = world.read(0)
    assert said.reads == 1
    world.expect(said, 0)
    said = world.read(2)
    assert (len(said.events), said.reads) == (1, 0)


async def broken(log: MemoryLog, way: str) -> None:
    """The connection broke, or was made again; the follower has read what it may have missed."""
    if way == "break":
        log.break_off()
    else:
        log.doubt()
    await asyncio.sleep(0.1)


def test_what_a_follower_heard_that_could_not_start_is_read(world: World) -> None:
    """The connection may have broken before anybody could be told of it."""
    world.do(world.follower.stop())
    world.write(EVENT, EVENT)
    for seq in (1, 2):
        world.overheard.note(world.log.ever[seq - 1])
    world.log.silent = 1
    with pytest.raises(Silence):
        world.follow()
    world.follower = world.follow()
    world.write(EVENT)
    said = world.read(0)
    assert said.reads == 1
    world.expect(said, 0)


def test_a_follower_that_has_stopped_forgets_to_listen_for_breaks(world: World) -> None:
    world.do(world.follower.stop())
    world.overheard.note(message(1))
    world.do(broken(world.log, "doubt"))
    world.do(broken(world.log, "break"))
    assert told(world.overheard, 0, 1) == [1]
    world.follower = world.follow()


def test_a_follower_that_notes_for_nobody_holds_no_prompts(world: World) -> None:
    """There is one for each gateway whose answers are read here."""
    other = Follower(world.log.bus, world.log.js, "gw1")
    world.do(other.start())
    world.write(EVENT, EVENT)
    assert told(world.overheard, 0, 2) == [1, 2]
    assert told(other._overheard, 0, 2) is None
    world.do(other.stop())


def test_who_wants_the_frames_as_well_reads_them(world: World) -> None:
    world.write(EVENT, FRAME, EVENT)
    tail = Tail(world.log.bus, world.log.js, tokens=True, overheard=world.overheard)
    said = world.read(0, tail=tail)
    assert [stored.seq for stored in said.events] == [1, 2, 3]


# --- another log, where no connection broke -------------------------------------------------------


def replace(log: MemoryLog) -> None:
    """Somebody takes the log away, and makes another; its messages have other texts."""
    log.created = "twice"
    log.messages.clear()
    log.ever.clear()
    log.seq = 0


def test_who_notices_that_the_log_is_another_is_told_nothing_of_the_first(world: World) -> None:
    world.write(EVENT, EVENT, EVENT)
    world.do(world.tail.head())
    replace(world.log)
    world.write(FRAME, OTHERS, hear=False)
    head = world.do(world.tail.head())
    assert head.created == "twice"
    said = world.read(0)
    assert [stored.subject for stored in said.events] == [OTHERS]
    world.expect(said, 0)
    world.write(EVENT)
    world.do(world.tail.head())
    said = world.read(2)
    assert (len(said.events), said.reads) == (1, 0), "it is noticed once"


def test_so_is_whoever_else_reads_once_the_follower_has_noticed(world: World) -> None:
    world.write(EVENT, EVENT, EVENT)
    watching = world.loop.create_task(world.follower.watch())
    replace(world.log)
    world.write(OTHERS, FRAME, OTHERS, hear=False)
    world.do(asyncio.sleep(3.0))
    world.write(EVENT)
    said = world.read(0)
    assert [stored.subject for stored in said.events] == [OTHERS, OTHERS, EVENT]
    world.expect(said, 0)
    watching.cancel()
    world.do(asyncio.sleep(0))


def test_where_the_log_is_said_to_end_before_what_was_heard_it_is_read(world: World) -> None:
    """Its end may be lost, and others may write there what has the same sequences."""
    world.write(EVENT, EVENT, EVENT)
    watching = world.loop.create_task(world.follower.watch())
    del world.log.messages[1:]
    world.log.seq = 1
    world.do(asyncio.sleep(1.5))
    world.write(OTHERS, OTHERS, EVENT)
    said = world.read(0)
    assert [stored.subject for stored in said.events] == [EVENT, OTHERS, OTHERS, EVENT]
    world.expect(said, 0)
    watching.cancel()
    world.do(asyncio.sleep(0))


def test_a_log_never_ends_before_what_was_told_of_it(world: World) -> None:
    world.do(world.tail.head())
    world.write(EVENT, EVENT)
    assert world.read(0).reads == 0
    world.log.old = 1
    with pytest.raises(Outdated):
        world.do(world.tail.head())
