"""Replays under every course of events: what is read is the log, or there is no answer.

A state machine writes the stories of several requests, as workers and gateways do, while others
read them and the connection loses what they are told. What the log says is reckoned here by
itself, of every point of it, and what a replay returns has to be what it says at one of them, no
earlier than was asked for. Gateways end what is overdue by such a replay: what they seal is held
against the log as well.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, replace
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from mesh.bus import batch, history
from mesh.bus.connection import BusError
from mesh.bus.jetstream import WHATEVER_COMES, JetStream
from mesh.bus.log_end import LASTS, Outdated
from mesh.bus.replay import RETRY, Replayer, Replays
from mesh.bus.stored import Stored
from mesh.bus.track import Track
from mesh.gateway.endings import Endings, _late
from mesh.protocol import subjects
from mesh.protocol.codec import decode_event, decode_frame
from mesh.protocol.errors import ErrorCode
from mesh.protocol.events import Cancel, Cancelled, Claim, Done, Failed, Queued, RunEvent
from mesh.protocol.frames import Entry, Frame
from mesh.protocol.run import Applied, Run, ids_checksum, text_checksum
from mesh.protocol.subjects import Writer
from tests.integration.bus.conftest import a_request
from tests.unit.bus.memory import WIRE, Clockwork, Fate, MemoryLog
from tests.unit.bus.wire import Reply, Way, Wire

GATEWAYS = [Writer("gateway", "a"), Writer("gateway", "b")]
WORKERS = [Writer(f"w{k}", "a") for k in range(2)]
RIDS = ["r0", "r1", "r2"]
SOON = 8.0
"""Seconds in which whoever reads has an answer, once there is no trouble any more: one question
that was not answered, and some tries."""

picks = st.integers(0, 5)
replies: st.SearchStrategy[list[Reply]] = st.lists(
    st.sampled_from(["fine", "fine", "silent", "away"]), max_size=4
)
fates: st.SearchStrategy[list[Fate]] = st.lists(
    st.sampled_from(["fine", "away", "unanswered", "transient"]), max_size=3
)
ways = st.lists(
    st.builds(
        Way,
        size=st.integers(1, 5),
        lag=st.integers(0, 6),
        lost=st.frozensets(st.integers(0, 4), max_size=2),
        refused=st.sampled_from([False, False, False, True]),
    ),
    max_size=3,
)

Ids = tuple[tuple[int, ...], ...] | None


@dataclass(frozen=True)
class Told:
    """What the log says of one request up to some sequence, by the rule of the latest claim."""

    last: int = 0
    queued_at: int = 0
    pen: tuple[int, Writer] | None = None
    claimed_at: int = 0
    claims: tuple[str, ...] = ()
    cancel: bool = False
    end: str = ""
    words: tuple[str, ...] = ()
    ids: Ids = ()

    @property
    def n(self) -> int:
        return self.pen[0] if self.pen else 0

    def event(self, data: bytes, writer: Writer, seq: int) -> "Told":
        """After an event, of which there is none behind an end."""
        assert not self.end
        try:
            event = decode_event(data)
        except msgspec.DecodeError:
            return replace(self, last=seq)
        match event:
            case Queued():
                return replace(self, last=seq, queued_at=seq)
            case Claim(n=n, fingerprint=mark):
                assert n == self.n + 1
                claims = (*self.claims, mark)
                return replace(self, last=seq, pen=(n, writer), claimed_at=seq, claims=claims)
            case Cancel():
                return replace(self, last=seq, cancel=True)
            case Done() | Failed() | Cancelled():
                self.hold(event)
                return replace(self, last=seq, end=event.uid)
        raise AssertionError(event)

    def hold(self, end: Done | Failed | Cancelled) -> None:
        """What an end vouches for is what the log says."""
        if end.seal is not None:
            text, ids = "".join(self.words), self.ids
            assert end.text == text and end.seal.text == text_checksum(text), "not what was written"
            assert end.seal.count == len(self.words)
            assert end.seal.ids == (None if ids is None else ids_checksum(list(ids)))

    def entry(self, entry: Entry, writer: Writer) -> "Told":
        have = len(self.words)
        if self.end or self.pen != (entry.n, writer) or entry.index > have:
            return self
        new = slice(have - entry.index, None)
        ids = None if self.ids is None or entry.ids is None else (*self.ids, *entry.ids[new])
        return replace(self, words=(*self.words, *entry.texts[new]), ids=ids)


def told_by(run: Run) -> Told:
    """The same of what was read."""
    return Told(
        last=run.last,
        queued_at=run.queued_at,
        pen=run.pen,
        claimed_at=run.claimed_at,
        claims=tuple(run.fingerprints),
        cancel=run.cancel,
        end=run.end.uid if run.end else "",
        words=tuple(run.texts),
        ids=None if run.ids is None else tuple(run.ids),
    )


@dataclass
class Pen:
    """A worker's claim as it sees it: it may have been taken over, and not know."""

    n: int
    words: list[str]


@dataclass
class Asked:
    """Somebody reads. least: the point of the log that the answer must not be before; known: who
    reads has heard of that; whole: the words, too."""

    rid: str
    least: int
    task: asyncio.Task[Any]
    known: bool = False
    whole: bool = False


class Replaying(RuleBasedStateMachine):
    """Writers, readers, and a connection between these and the log."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = Clockwork()
        self.log = MemoryLog()
        self.wire = Wire(self.log)
        self.js = self.wire.js
        self.replays = Replays(self.js)
        self.endings = [Endings(self.wire.bus, self.js, each, lambda: 5e9) for each in GATEWAYS]
        self.ending: list[asyncio.Task[None]] = []
        self.queued: dict[str, Queued] = {}
        self.told: dict[str, list[Told]] = {}
        self.points: dict[str, list[int]] = {}
        self.pens: dict[tuple[int, str], Pen] = {}
        self.asked: list[Asked] = []
        self.reckoned = 0
        self.uids = 0

    def do(self, work: Coroutine[Any, Any, None]) -> None:
        self.loop.run_until_complete(work)

    def uid(self) -> str:
        self.uids += 1
        return f"u{self.uids}"

    # --- what the log says ------------------------------------------------------------------------

    def reckon(self) -> None:
        """Put down what every message that is new says."""
        for stored in self.log.ever[self.reckoned :]:
            where = subjects.parse_run(stored.subject)
            if where.kind == "evt" and where.rid in self.told:
                now = self.told[where.rid][-1].event(stored.data, where.writer, stored.seq)
                self.note(where.rid, now, stored.seq)
            elif where.kind == "tok":
                self.reckon_frame(stored, where.writer)
        self.reckoned = len(self.log.ever)

    def reckon_frame(self, stored: Stored, writer: Writer) -> None:
        try:
            frame = decode_frame(stored.data)
        except msgspec.DecodeError:
            return
        for entry in frame.entries:
            self.note(entry.rid, self.told[entry.rid][-1].entry(entry, writer), stored.seq)

    def note(self, rid: str, now: Told, seq: int) -> None:
        self.told[rid].append(now)
        self.points[rid].append(seq)

    def since(self, rid: str, least: int) -> list[Told]:
        """All that the log has said of a request at a point, or later."""
        first = max(k for k, point in enumerate(self.points[rid]) if point <= least)
        return self.told[rid][first:]

    def now(self, rid: str) -> Told:
        self.reckon()
        return self.told[rid][-1]

    def by_the_leader(self) -> int:
        """Where the log ends for whoever knows nothing of it."""
        return max(0, self.log.seq - self.wire.old)

    def open(self) -> list[str]:
        return [rid for rid in self.told if not self.now(rid).end]

    def held(self) -> list[tuple[int, str]]:
        """Whose pen is the latest."""
        return [
            (who, rid)
            for (who, rid), pen in self.pens.items()
            if self.now(rid).pen == (pen.n, WORKERS[who]) and not self.now(rid).end
        ]

    # --- what is written --------------------------------------------------------------------------

    def append(self, rid: str, writer: Writer, event: RunEvent | bytes) -> None:
        self.log.store(subjects.event("gw1", rid, writer), event, self.now(rid).last)

    @precondition(lambda self: len(self.told) < len(RIDS))
    @rule()
    def queue(self) -> None:
        rid = RIDS[len(self.told)]
        self.told[rid], self.points[rid] = [Told()], [0]
        self.queued[rid] = Queued(uid=self.uid(), request=a_request(rid))
        self.append(rid, GATEWAYS[0], self.queued[rid])

    @initialize(outclaimed=st.booleans())
    def begin(self, outclaimed: bool = False) -> None:
        """One has its first words already, by who holds the pen or has lost it since."""
        self.queue()
        self.claim(pick=0, who=0)
        self.write(pick=0, count=1, together=False, ids=True)
        if outclaimed:
            self.claim(pick=0, who=1)

    @precondition(lambda self: self.open())
    @rule(pick=picks, who=st.integers(0, len(WORKERS) - 1))
    def claim(self, pick: int, who: int) -> None:
        rid = self.open()[pick % len(self.open())]
        told, uid = self.now(rid), self.uid()
        self.pens[who, rid] = Pen(told.n + 1, list(told.words))
        event = Claim(uid=uid, n=told.n + 1, item=1, ack_reply="a", model="m", fingerprint=uid)
        self.append(rid, WORKERS[who], event)

    @precondition(lambda self: self.pens)
    @rule(pick=picks, count=st.integers(1, 3), together=st.booleans(), ids=st.booleans())
    def write(self, pick: int, count: int, together: bool, ids: bool) -> None:
        """A frame of words that nobody else would write, with the pen or long without."""
        who, rid = list(self.pens)[pick % len(self.pens)]
        mine = [other for writer, other in self.pens if writer == who] if together else [rid]
        entries = [self.entry(who, other, count, ids) for other in mine]
        self.log.store(subjects.tokens("gw1", WORKERS[who]), Frame(entries))
        self.do(asyncio.sleep(WIRE))

    def entry(self, who: int, rid: str, count: int, ids: bool) -> Entry:
        pen = self.pens[who, rid]
        at = len(pen.words)
        words = [f"{who}.{pen.n}.{at + k} " for k in range(count)]
        pen.words += words
        numbers: list[tuple[int, ...]] = [(who, pen.n, at + k) for k in range(count)]
        return Entry(rid, pen.n, at, words, numbers if ids else None)

    @precondition(lambda self: self.held())
    @rule(pick=picks)
    def finish(self, pick: int) -> None:
        who, rid = self.held()[pick % len(self.held())]
        told = self.now(rid)
        whole = Run(texts=list(told.words), ids=None if told.ids is None else list(told.ids))
        end = Done(uid=self.uid(), finish="stop", text=whole.text, seal=whole.seal())
        self.append(rid, WORKERS[who], end)

    @precondition(lambda self: self.open())
    @rule(pick=picks, ends=st.booleans())
    def interfere(self, pick: int, ends: bool) -> None:
        """The gateway asks to stop, or ends what nobody else does, without a seal."""
        rid = self.open()[pick % len(self.open())]
        failed = Failed(uid=self.uid(), code=ErrorCode.DEADLINE_EXCEEDED)
        self.append(rid, GATEWAYS[0], failed if ends else Cancel(uid=self.uid()))

    @precondition(lambda self: self.open())
    @rule(pick=picks, frame=st.booleans(), data=st.sampled_from([b'{"type":"newer"}', b"\xff{"]))
    def garble(self, pick: int, frame: bool, data: bytes) -> None:
        """Something that nobody can read."""
        if frame:
            self.log.store(subjects.tokens("gw1", WORKERS[0]), data)
        else:
            self.append(self.open()[pick % len(self.open())], GATEWAYS[0], data)

    @rule()
    def write_elsewhere(self) -> None:
        """Another gateway's log goes on."""
        self.log.store(subjects.event("gw2", "r9", GATEWAYS[0]), Cancel(uid="x"))

    @precondition(lambda self: self.open())
    @rule(pick=picks, who=st.integers(0, len(GATEWAYS) - 1), fates=fates)
    def end_what_is_overdue(self, pick: int, who: int, fates: list[Fate]) -> None:
        self.log.fates.extend(fates)
        rid = self.open()[pick % len(self.open())]
        self.ending.append(self.loop.create_task(self.overdue(rid, self.endings[who])))

    async def overdue(self, rid: str, endings: Endings) -> None:
        """A gateway that has heard of nothing but the events."""
        try:
            heard = await history.story(self.js, rid)
        except BusError:
            return
        if heard is not None:
            track = Track(rid, heard.queued_at)
            track.run = heard
            await endings.overdue(track)

    # --- who reads --------------------------------------------------------------------------------

    @rule(
        pick=picks,
        before=st.integers(0, 5),
        upto=st.none() | st.integers(0, 6),
        ways=ways,
        replies=replies,
    )
    def ask(
        self, pick: int, before: int, upto: int | None, ways: list[Way], replies: list[Reply]
    ) -> None:
        """From its first event on or earlier; up to a point that was reached, or whatever comes."""
        self.meet_with_trouble(ways, replies)
        rid = list(self.told)[pick % len(self.told)]
        self.reckon()
        start = max(0, self.told[rid][1].queued_at - before)
        reached = [each.seq for each in self.log.ever if ".gw1." in each.subject]
        point = WHATEVER_COMES if upto is None else reached[-1 - upto % len(reached)]
        least = self.by_the_leader() if upto is None else point
        task = self.loop.create_task(self.replays.run(rid, self.queued[rid], start, point))
        self.asked.append(Asked(rid, least, task, known=upto is not None, whole=True))

    @rule(pick=picks, ways=ways, replies=replies)
    def ask_how_it_stands(self, pick: int, ways: list[Way], replies: list[Reply]) -> None:
        self.meet_with_trouble(ways, replies)
        rid = list(self.told)[pick % len(self.told)]
        self.reckon()
        task = self.loop.create_task(history.story(self.js, rid))
        self.asked.append(Asked(rid, self.by_the_leader(), task))

    @precondition(lambda self: self.asked)
    @rule(pick=picks)
    def leave(self, pick: int) -> None:
        """Whoever reads for others, too, goes away."""
        self.asked.pop(pick % len(self.asked)).task.cancel()
        self.do(asyncio.sleep(0))

    @rule(seconds=st.sampled_from([0.002, 0.004, 0.01, 0.3, 2.5]))
    def wait(self, seconds: float) -> None:
        self.do(asyncio.sleep(seconds))

    # --- trouble ----------------------------------------------------------------------------------

    def meet_with_trouble(self, ways: list[Way], replies: list[Reply]) -> None:
        self.wire.ways.extend(ways)
        self.wire.replies.extend(replies)

    @rule(old=st.sampled_from([0, 0, 0, 2, 4]))
    def change_the_leader(self, old: int) -> None:
        """In a cluster that comes together again: the new one may lack the newest messages.

        Who knows of none of these can only have what it says.
        """
        self.wire.old = old
        for asked in self.asked:
            if not asked.known:
                asked.least = min(asked.least, self.by_the_leader())

    # --- what has to hold -------------------------------------------------------------------------

    @invariant()
    def what_was_read_is_what_the_log_says(self) -> None:
        self.reckon()
        over = [asked for asked in self.asked if asked.task.done()]
        for asked in over:
            self.asked.remove(asked)
            self.judge(asked)

    def judge(self, asked: Asked) -> None:
        error = asked.task.exception()
        if error is not None:
            assert isinstance(error, BusError), error
            return
        run, possible = asked.task.result(), self.since(asked.rid, asked.least)
        if not asked.whole:
            possible = [replace(each, words=(), ids=()) for each in possible]
        read = Told() if run is None else told_by(run)
        assert read in possible, f"{asked.rid} since {asked.least}"

    def teardown(self) -> None:
        """Whoever reads has an answer soon after the trouble is over."""
        self.wire.calm()
        try:
            self.do(asyncio.sleep(SOON))
            self.what_was_read_is_what_the_log_says()
            assert not self.asked, "this comes to no end"
            for ending in self.ending:
                assert ending.done(), "this comes to no end"
                ending.result()
        finally:
            for task in [*asyncio.all_tasks(self.loop), *(asked.task for asked in self.asked)]:
                task.cancel()
                task.add_done_callback(lambda task: task.cancelled() or task.exception())
            self.do(asyncio.sleep(0))
            self.loop.close()


SETTINGS = settings(
    max_examples=100,
    stateful_step_count=40,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture(autouse=True)
def quiet(caplog: pytest.LogCaptureFixture) -> None:
    """A thousand messages that cannot be read are no news here."""
    caplog.set_level(logging.CRITICAL, "mesh")


def test_a_replay_is_the_log_up_to_some_point_or_fails() -> None:
    run_state_machine_as_test(Replaying, settings=SETTINGS)


def outdated() -> Replaying:
    """Somebody knows of words that whoever leads now lacks."""
    course = Replaying()
    course.begin()
    course.write(pick=0, count=2, together=False, ids=True)
    course.change_the_leader(old=2)
    course.ask(pick=0, before=0, upto=0, ways=[], replies=[])
    course.wait(LASTS - 1)
    return course


def test_a_leader_that_lacks_what_is_known_is_waited_for() -> None:
    course = outdated()
    course.what_was_read_is_what_the_log_says()
    (asked,) = course.asked
    course.change_the_leader(old=0)
    course.wait(1.0)
    assert asked.task.result().texts == list(course.now("r0").words)
    course.teardown()


def test_a_leader_that_goes_on_lacking_it_is_an_error_not_a_shorter_story() -> None:
    course = outdated()
    (asked,) = course.asked
    course.wait(2.0)
    assert isinstance(asked.task.exception(), Outdated)
    course.teardown()


def in_vain(log: MemoryLog, count: int) -> tuple[list[Run | BaseException], float]:
    """What so many get who ask at once for what the leader lacks, and seconds until all had it."""
    loop = Clockwork()
    replayer = Replayer(log.js, "gw1")

    async def ask() -> list[Run | BaseException]:
        asking = (replayer.run("r", 1, known=9) for _ in range(count))
        return await asyncio.gather(*asking, return_exceptions=True)

    try:
        return loop.run_until_complete(ask()), loop.time()
    finally:
        loop.close()


def test_who_shares_a_reading_that_came_to_nothing_is_told_at_once() -> None:
    log = MemoryLog()
    log.seq = 5
    found, seconds = in_vain(log, 20)
    assert all(isinstance(each, Outdated) for each in found)
    assert seconds < 3 * LASTS, "one that began at once, and one for all who came meanwhile"


def test_silence_does_not_count_for_a_leader_that_lacks_something() -> None:
    log = MemoryLog()
    log.seq, log.silent = 5, int(1.2 * LASTS / RETRY)
    _, seconds = in_vain(log, 1)
    assert seconds > 2 * LASTS


def falling_back_once_the_pen_was_taken() -> None:
    course = Replaying()
    course.begin()
    course.write(pick=0, count=2, together=False, ids=True)
    course.end_what_is_overdue(pick=0, who=0, fates=[])
    while course.now("r0").n == 1:
        course.wait(WIRE / 2)
    course.change_the_leader(old=2)
    course.wait(2.0)
    course.teardown()
    assert course.now("r0").end


def test_what_a_gateway_seals_is_all_that_was_written_before_its_claim() -> None:
    """Also if another leads the log meanwhile, and lacks both."""
    falling_back_once_the_pen_was_taken()


# --- negative controls: a replay that lacks something is noticed ----------------------------------


def without_the_leaders_word(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the replica that answers says that there is no more, there is none."""

    async def nothing_more(*_: object) -> None:
        return None

    monkeypatch.setattr(JetStream, "next", nothing_more)


def without_the_rule_of_the_latest_claim(monkeypatch: pytest.MonkeyPatch) -> None:
    counts = Run.entry

    def entry(self: Run, entry: Entry, writer: Writer, odds: Sequence[Any] = ()) -> Applied:
        if self.pen is not None:
            self.pen = (entry.n, writer)
        return counts(self, entry, writer, odds)

    monkeypatch.setattr(Run, "entry", entry)


def without_heed_of_holes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch, "_follows", lambda *_: True)


def without_following_the_chain(monkeypatch: pytest.MonkeyPatch) -> None:
    """The events are searched for, forwards, by whichever replica answers."""

    async def events(js: JetStream, rid: str) -> list[Stored]:
        reading = js.read(subjects.RUN_STREAM, subjects.events_of(rid), 1, WHATEVER_COMES)
        return [stored async for batch in reading for stored in batch]

    monkeypatch.setattr(history, "events", events)


def without_beginning_again_for_who_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever read for all went away, and the others take what there is."""
    reads = Replayer._read

    async def read(self: Replayer, wanted: Any) -> None:
        try:
            await reads(self, wanted)
        finally:
            wanted.finished = True

    monkeypatch.setattr(Replayer, "_read", read)


def without_taking_the_pen(monkeypatch: pytest.MonkeyPatch) -> None:
    """A gateway reads what was written, and ends it with that, while its holder writes on."""

    async def end(self: Endings, track: Track) -> bool:
        run = track.run
        assert run.queued is not None
        whole = await self._replays.run(track.rid, run.queued, run.queued_at, run.last)
        return await self._end(run.queued.request, _late(whole), run.last)

    monkeypatch.setattr(Endings, "_end_claimed", end)


def without_knowledge_of_the_log(monkeypatch: pytest.MonkeyPatch) -> None:
    """What whoever leads the log says is all there is, though more of it is known."""

    async def end(self: Replayer, known: int) -> int:
        return await self._js.end(subjects.RUN_STREAM)

    monkeypatch.setattr(Replayer, "_end", end)


def read_badly(*ways: Way) -> None:
    """All that was written is read over such ways, and how it stands."""
    for words in (True, False):
        course = Replaying()
        course.begin()
        course.write(pick=0, count=2, together=False, ids=True)
        course.claim(pick=0, who=1)
        if words:
            course.ask(pick=0, before=0, upto=None, ways=list(ways), replies=[])
        else:
            course.ask_how_it_stands(pick=0, ways=list(ways), replies=[])
        course.wait(0.02)
        course.teardown()


def by_a_replica_that_lags() -> None:
    read_badly(Way(size=5, lag=2))


def with_holes() -> None:
    read_badly(Way(size=5, lost=frozenset([2])))


def who_reads_for_others_leaves() -> None:
    course = Replaying()
    course.begin()
    for _ in range(3):
        course.ask(pick=0, before=0, upto=None, ways=[], replies=[])
    while len(course.asked) == 3:  # the first reads for itself, and the others together
        course.wait(WIRE)
        course.what_was_read_is_what_the_log_says()
    course.wait(2 * WIRE)
    course.leave(pick=0)
    course.teardown()


def words_are_written_while_a_gateway_ends() -> None:
    course = Replaying()
    course.begin()
    course.end_what_is_overdue(pick=0, who=0, fates=[])
    for _ in range(30):
        course.write(pick=0, count=1, together=False, ids=True)
    course.teardown()


@pytest.mark.parametrize(
    ("course", "lacking"),
    [
        (by_a_replica_that_lags, without_the_leaders_word),
        (by_a_replica_that_lags, without_following_the_chain),
        (with_holes, without_heed_of_holes),
        (who_reads_for_others_leaves, without_beginning_again_for_who_stays),
        (words_are_written_while_a_gateway_ends, without_taking_the_pen),
        (falling_back_once_the_pen_was_taken, without_knowledge_of_the_log),
    ],
)
def test_without_the_mechanism_the_machine_notices(
    course: Callable[[], None],
    lacking: Callable[[pytest.MonkeyPatch], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    course()
    lacking(monkeypatch)
    with pytest.raises(AssertionError):
        course()


def test_without_the_rule_of_the_latest_claim_the_machine_notices(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    without_the_rule_of_the_latest_claim(monkeypatch)
    quick = settings(
        SETTINGS, max_examples=1000, report_multiple_bugs=False, phases=(Phase.generate,)
    )
    with pytest.raises(AssertionError):
        run_state_machine_as_test(Replaying, settings=quick)
