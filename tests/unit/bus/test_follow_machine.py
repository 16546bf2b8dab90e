"""A follower under every course of events: what it applies is the log, however badly it hears.

A state machine writes a log as workers and gateways do, and decides of each stored message
whether it is heard, lost, heard twice or late. What the log says is reckoned here by itself, and
held against the tracks: never a word that is not in it, and in the end all of them.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from itertools import count
from typing import Any, TypeVar, cast

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from mesh.bus.follow import TRUST, Follower, Track
from mesh.bus.log_end import LASTS, Outdated
from mesh.bus.overheard import Overheard
from mesh.bus.replay import Replayer
from mesh.bus.tracks import BELIED, LOST, Tracks
from mesh.protocol import subjects
from mesh.protocol.errors import ErrorCode
from mesh.protocol.events import Cancel, Claim, Done, Failed, Queued, RunEvent
from mesh.protocol.frames import Entry, Frame
from mesh.protocol.run import Applied, Run
from mesh.protocol.subjects import Writer
from tests.integration.bus.conftest import a_request
from tests.unit.bus.memory import Clockwork, MemoryLog

T = TypeVar("T")

GATEWAY = Writer("gateway", "a")
WORKERS = [Writer(f"w{k}", "a") for k in range(2)]
RIDS = ["r0", "r1"]

picks = st.integers(0, 5)
workers = st.integers(0, len(WORKERS) - 1)


@dataclass
class Pen:
    """A worker's claim as it sees it: it may have been taken over, and not know."""

    n: int
    texts: list[str]


@dataclass
class Told:
    """What the log says of one request. last: sequence of its last event."""

    last: int
    n: int = 0
    holder: int = -1
    texts: list[str] = field(default_factory=list)
    ended: bool = False


class Comparing(Follower):
    """counts: how many comparisons, of those that something was there for, have read the log and
    have not; and how many of these were in doubt."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.counts = Counter[str]()

    async def _compare(self, target: int) -> bool:
        reads, new = cast(Any, self._js).reads, target > self._sound
        whole = await super()._compare(target)
        if new:
            self.counts["read" if cast(Any, self._js).reads > reads else "unread"] += 1
            self.counts["doubtful"] += not whole
        return whole


class Following(RuleBasedStateMachine):
    """Writers, a wire, and one follower."""

    def __init__(self, before: int = 0) -> None:
        super().__init__()
        self.loop = Clockwork()
        self.log = MemoryLog()
        for _ in range(before):
            self.elsewhere()
        self.told: dict[str, Told] = {}
        self.pens: dict[tuple[int, str], Pen] = {}
        self.tracks: dict[str, Track] = {}
        self.read: dict[str, list[str]] = {}
        self.overheard = Overheard(kept=5)
        self.follower = Comparing(self.log.bus, self.log.js, "gw1", overheard=self.overheard)
        self.do(self.follower.start())
        self.watching = self.loop.create_task(self.follower.watch())

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(work)

    def now(self, work: Callable[[], T]) -> T:
        """Do something at once, on the loop."""

        async def step() -> T:
            return work()

        return self.do(step())

    def open(self) -> list[str]:
        return [rid for rid, told in self.told.items() if not told.ended]

    def held(self) -> list[str]:
        return [rid for rid in self.open() if self.told[rid].holder >= 0]

    # --- what is written --------------------------------------------------------------------------

    def append(self, rid: str, writer: Writer, event: RunEvent) -> None:
        told = self.told[rid]
        told.last = self.log.store(subjects.event("gw1", rid, writer), event, told.last)

    @precondition(lambda self: len(self.told) < len(RIDS))
    @rule()
    def queue(self) -> None:
        rid = RIDS[len(self.told)]
        self.told[rid] = Told(last=0)
        self.follow(self.now(lambda: self.follower.track(rid)))
        self.append(rid, GATEWAY, Queued(uid="q", request=a_request(rid)))

    @precondition(lambda self: self.open())
    @rule(pick=picks, who=workers)
    def claim(self, pick: int, who: int) -> None:
        rid = self.open()[pick % len(self.open())]
        told = self.told[rid]
        told.n, told.holder = told.n + 1, who
        self.pens[who, rid] = Pen(told.n, list(told.texts))
        event = Claim(uid="c", n=told.n, item=1, ack_reply="a", model="m")
        self.append(rid, WORKERS[who], event)

    @precondition(lambda self: self.pens)
    @rule(pick=picks, count=st.integers(1, 3), together=st.booleans())
    def write(self, pick: int, count: int, together: bool) -> None:
        """A frame of words that nobody else would write, with the pen or without."""
        who, rid = list(self.pens)[pick % len(self.pens)]
        mine = [other for writer, other in self.pens if writer == who] if together else [rid]
        entries = [self.entry(who, other, count) for other in mine]
        self.log.store(subjects.tokens("gw1", WORKERS[who]), Frame(entries))

    def entry(self, who: int, rid: str, count: int) -> Entry:
        pen, told = self.pens[who, rid], self.told[rid]
        words = [f"{who}.{pen.n}.{len(pen.texts) + k} " for k in range(count)]
        entry = Entry(rid, pen.n, len(pen.texts), words)
        pen.texts += words
        if (told.holder, told.n) == (who, pen.n) and not told.ended:
            told.texts += words
        return entry

    @precondition(lambda self: self.held())
    @rule(pick=picks)
    def finish(self, pick: int) -> None:
        rid = self.held()[pick % len(self.held())]
        told = self.told[rid]
        told.ended = True
        del self.pens[told.holder, rid]  # who ends an answer writes no more of it
        seal = Run(texts=list(told.texts), ids=None).seal()
        end = Done(uid="d", finish="stop", text="".join(told.texts), seal=seal)
        self.append(rid, WORKERS[told.holder], end)

    @precondition(lambda self: self.open())
    @rule(pick=picks, ends=st.booleans())
    def interfere(self, pick: int, ends: bool) -> None:
        """The gateway asks to stop, or ends what nobody else does: an end without a seal."""
        rid = self.open()[pick % len(self.open())]
        self.told[rid].ended = ends
        failed = Failed(uid="f", code=ErrorCode.DEADLINE_EXCEEDED)
        self.append(rid, GATEWAY, failed if ends else Cancel(uid="x"))

    @rule()
    def elsewhere(self) -> None:
        """Another gateway's log goes on: the stream's end is no longer ours."""
        self.log.store(subjects.event("gw2", "r9", GATEWAY), Cancel(uid="x"))
        self.log.wire.pop()

    # --- what is heard ----------------------------------------------------------------------------

    @rule(count=st.integers(1, 6))
    def hear(self, count: int) -> None:
        for _ in range(min(count, len(self.log.wire))):
            self.now(lambda: self.log.tell(self.log.wire.popleft()))

    @precondition(lambda self: self.log.wire)
    @rule(back=st.integers(0, 8))
    def hear_twice(self, back: int) -> None:
        again = self.log.ever[max(0, len(self.log.ever) - len(self.log.wire) - back)]
        self.now(lambda: self.log.tell(self.log.wire.popleft()))
        self.now(lambda: self.log.tell(again))

    @precondition(lambda self: self.log.wire)
    @rule()
    def lose(self) -> None:
        self.log.wire.popleft()

    @precondition(lambda self: len(self.log.wire) > 1)
    @rule(places=st.integers(1, 3))
    def overtake(self, places: int) -> None:
        self.log.wire.rotate(-places)

    @rule(silent=st.integers(0, 2))
    def break_connection(self, silent: int) -> None:
        self.log.wire.clear()
        self.log.silent = silent
        self.now(self.log.doubt)

    @rule(lag=st.integers(1, 4))
    def lag_behind(self, lag: int) -> None:
        self.log.lag = lag

    @rule(seconds=st.sampled_from([0.001, 0.002, 0.01, 1.1]))
    def wait(self, seconds: float) -> None:
        self.do(asyncio.sleep(seconds))

    # --- who reads --------------------------------------------------------------------------------

    def follow(self, track: Track) -> None:
        track.readers += 1
        self.tracks[track.rid] = track

    @precondition(lambda self: self.tracks)
    @rule(pick=picks)
    def leave(self, pick: int) -> None:
        rid = list(self.tracks)[pick % len(self.tracks)]
        self.follower.tracks.drop(self.tracks.pop(rid))

    @precondition(lambda self: self.told.keys() - self.tracks.keys())
    @rule()
    def come_back(self) -> None:
        """What was stored before it was asked for is there."""
        rid = min(self.told.keys() - self.tracks.keys())
        self.log.silent = 0
        stored, ended = len(self.told[rid].texts), self.told[rid].ended
        track = self.do(self.follower.attach(rid))
        assert track is not None
        assert len(track.run.texts) >= stored
        assert track.run.end is not None or not ended
        self.follow(track)

    @invariant()
    def never_a_word_that_is_not_in_the_log(self) -> None:
        for rid, track in self.tracks.items():
            texts, told = track.run.texts, self.told[rid]
            assert texts == told.texts[: len(texts)], rid
            assert track.run.end is None or told.ended
            before = self.read.get(rid, [])
            if track.run.end is not None:
                assert texts == told.texts, f"{rid} was ended too early"
            assert len(texts) >= len(before) or texts == before[: len(texts)]
            self.read[rid] = list(texts)

    @invariant()
    def what_was_overheard_has_no_hole(self) -> None:
        known = [seq for seq in range(self.log.seq + 1) if self.overheard.covers(seq)]
        if known:
            after, upto = known[0], known[-1]
            events = [each for each in self.log.ever if subjects.is_event(each.subject)]
            told = [each for each in events if after < each.seq <= upto]
            assert self.overheard.between(after, upto) == told

    def teardown(self) -> None:
        """Whatever was lost, is found within seconds: nobody waits for ever."""
        self.log.silent = self.log.old = 0
        self.do(asyncio.sleep(6.0))
        missing = self.missing()
        self.watching.cancel()
        for task in asyncio.all_tasks(self.loop):
            task.cancel()
        self.do(asyncio.sleep(0))
        self.loop.close()
        assert not missing

    def missing(self) -> list[str]:
        """The requests whose tracks do not say what the log says."""
        return [
            rid
            for rid, track in self.tracks.items()
            if track.run.texts != self.told[rid].texts
            or (track.run.end is not None) != self.told[rid].ended
        ]


@pytest.mark.parametrize("ends", [False, True])
def test_what_was_missed_before_a_claim_that_was_heard_is_read_again(ends: bool) -> None:
    """Also if the next that is heard is an end without a seal, which counts no pieces."""
    course = Following()
    course.queue()
    course.claim(pick=0, who=0)
    course.hear(6)
    course.write(pick=0, count=2, together=False)
    course.lose()
    course.claim(pick=0, who=1)
    course.hear(6)
    if ends:
        course.interfere(pick=0, ends=True)
        course.hear(6)
    course.never_a_word_that_is_not_in_the_log()
    course.teardown()


def test_what_is_to_be_read_anew_is_though_the_leader_falls_silent_in_between() -> None:
    course = Following()
    course.queue()
    course.claim(pick=0, who=0)
    course.hear(6)
    course.write(pick=0, count=2, together=False)
    course.lose()
    course.claim(pick=0, who=1)
    course.log.lapse = 2  # it says where the log ends, and not what comes after what was read
    course.hear(6)
    course.teardown()


def outclaimed_unheard() -> Following:
    """A worker has lost the pen, which neither it nor the follower has heard of, and writes on."""
    course = Following()
    course.queue()
    course.claim(pick=0, who=0)
    course.write(pick=0, count=2, together=False)
    course.hear(6)
    course.claim(pick=0, who=1)
    course.lose()
    return course


def test_what_comes_of_a_new_connection_before_the_log_is_read_is_not_believed() -> None:
    course = outclaimed_unheard()
    course.now(course.log.break_off)
    course.write(pick=0, count=2, together=False)
    course.hear(6)
    course.never_a_word_that_is_not_in_the_log()
    course.write(pick=1, count=2, together=False)
    course.now(course.log.doubt)
    course.hear(6)
    course.teardown()


def test_what_comes_when_the_log_could_not_be_compared_for_long_is_not_believed() -> None:
    """Its leader is on the other side of a cluster that fell apart."""
    course = outclaimed_unheard()
    course.log.silent = 100
    course.wait(TRUST + 1)
    course.write(pick=0, count=2, together=False)
    course.hear(6)
    course.never_a_word_that_is_not_in_the_log()
    course.log.silent = 0
    course.write(pick=1, count=2, together=False)
    course.hear(6)
    course.teardown()


@pytest.mark.parametrize("way", ["claim", "end"])
def test_who_was_told_what_does_not_count_is_told_so(way: str) -> None:
    """And who comes later reads what counts. A claim was lost on a connection that never broke."""
    course = outclaimed_unheard()
    course.write(pick=0, count=2, together=False)
    course.hear(6)
    track = course.tracks["r0"]
    assert track.run.texts != course.told["r0"].texts
    course.write(pick=1, count=2, together=False)
    if way == "end":
        course.finish(pick=0)
    course.hear(6)
    course.wait(3.0)
    assert isinstance(track.run.end, Failed) and track.run.end.detail == BELIED
    again = course.do(course.follower.attach("r0"))
    assert again is not None and again.run.texts == course.told["r0"].texts
    assert (again.run.end is not None) == (way == "end")
    course.tracks["r0"] = again
    course.teardown()


@pytest.mark.parametrize("asked", [False, True])
def test_a_log_that_is_said_to_have_gone_back_is_not_begun_anew(asked: bool) -> None:
    """In a log that ended there, the request whose answer somebody reads would not be."""
    course = Following(before=3)
    course.queue()
    course.claim(pick=0, who=0)
    course.write(pick=0, count=2, together=False)
    course.hear(6)
    course.log.old = 4
    if asked:
        course.now(course.log.doubt)
    course.wait(TRUST + 1)
    course.never_a_word_that_is_not_in_the_log()
    assert course.tracks["r0"].run.texts == course.told["r0"].texts
    course.write(pick=0, count=2, together=False)
    course.hear(6)
    course.teardown()


def test_a_log_that_has_lost_its_end_for_good_is_begun_anew_in_the_end() -> None:
    course = Following(before=3)
    course.queue()
    course.claim(pick=0, who=0)
    course.hear(6)
    del course.log.messages[2:]
    course.log.seq = 2
    course.wait(LASTS / 2)
    course.never_a_word_that_is_not_in_the_log()
    course.wait(LASTS)
    end = course.tracks.pop("r0").run.end
    assert isinstance(end, Failed) and end.detail == LOST
    course.told.clear()
    course.pens.clear()
    course.queue()
    course.claim(pick=0, who=1)
    course.hear(6)
    course.teardown()


def outclaimed_while_another_was_heard() -> Following:
    """The same, and of what came after that claim something was heard: no gap at the end."""
    course = outclaimed_unheard()
    course.queue()
    course.hear(6)
    return course


def late_words(course: Following) -> None:
    """Words of who has lost the pen are not believed, and what counts is read in the end."""
    course.write(pick=0, count=2, together=False)
    course.hear(6)
    course.never_a_word_that_is_not_in_the_log()
    course.log.old = 0
    course.write(pick=1, count=2, together=False)
    course.hear(6)
    course.teardown()


def test_comparing_with_an_earlier_end_of_the_log_proves_nothing() -> None:
    course = outclaimed_while_another_was_heard()
    course.log.old = 2
    course.wait(TRUST + 1)
    late_words(course)


def test_comparing_with_a_replica_that_lags_proves_nothing() -> None:
    course = outclaimed_while_another_was_heard()
    for _ in range(int(TRUST) + 2):
        course.log.lag = 2
        course.wait(1.0)
    late_words(course)


def test_what_was_heard_is_not_missing_from_what_is_read_before_it_is_believed() -> None:
    """The leader says that the log ends before the words that are in doubt."""
    course = outclaimed_unheard()
    course.log.silent = 100
    course.wait(TRUST + 1)
    course.log.silent, course.log.old = 0, 2
    course.write(pick=0, count=2, together=False)
    course.hear(6)
    course.wait(1.1)
    late_words(course)


def test_who_asks_while_the_leader_says_less_than_was_heard_hears_the_end_all_the_same() -> None:
    """Which comes live, before the first of its readings has come to where the log was then."""
    course = Following()
    course.queue()
    course.claim(pick=0, who=0)
    course.write(pick=0, count=6, together=False)
    course.hear(20)
    course.follower.tracks.drop(course.tracks.pop("r0"))
    course.log.old = 2
    asking = course.loop.create_task(course.follower.attach("r0"))
    course.do(asyncio.sleep(0.0035))
    course.finish(pick=0)
    course.hear(20)
    course.wait(0.5)
    course.log.old = 0
    course.wait(3.0)
    track = asking.result()
    assert track is not None
    course.tracks["r0"] = track
    course.teardown()


def failing(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """That of the next replays comes to nothing: the leader lacks what is known for too long."""
    plain, calls = Replayer.run, count(1)

    async def run(replayer: Replayer, *words: Any, **named: Any) -> Run:
        fails = next(calls) == number
        await asyncio.sleep(0.1 if fails else 0.3)
        if fails:
            raise Outdated("it was there")
        return await plain(replayer, *words, **named)

    monkeypatch.setattr(Replayer, "run", run)


def test_a_story_that_could_not_be_read_anew_is_tried_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    course = Following()
    course.queue()
    course.claim(pick=0, who=0)
    course.hear(6)
    failing(monkeypatch, 1)
    course.write(pick=0, count=2, together=False)
    course.lose()
    course.claim(pick=0, who=1)
    course.hear(6)
    course.teardown()


def test_who_reads_loses_nothing_where_another_asks_for_the_same_in_vain(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """While what was missed is read for the one, and the end comes in between."""
    course = Following()
    course.queue()
    course.claim(pick=0, who=0)
    course.hear(6)
    track = course.tracks["r0"]
    track.readers += 1
    failing(monkeypatch, 2)
    course.write(pick=0, count=2, together=False)
    course.lose()
    course.claim(pick=0, who=1)
    course.hear(6)
    while track.held is None:
        course.wait(0.05)
    asking = course.loop.create_task(course.follower.attach("r0"))
    course.do(asyncio.sleep(0.05))
    course.finish(pick=0)
    course.hear(6)
    course.wait(1.0)
    assert isinstance(asking.exception(), Outdated)
    course.teardown()


def test_of_writers_that_are_gone_nothing_is_kept() -> None:
    """There is a new one with each start of a worker."""
    course = Following()
    course.queue()
    course.claim(pick=0, who=0)
    course.write(pick=0, count=1, together=False)
    for k in range(50):
        course.log.store(subjects.tokens("gw1", Writer("w9", f"{k}")), Frame([]))
    course.hear(60)
    assert len(course.follower.tracks.chains) == 51
    course.wait(1.1)
    assert not course.follower.tracks.chains
    for k in range(50):
        course.log.store(subjects.tokens("gw1", Writer("w9", f"{k}x")), Frame([]))
    course.now(course.log.doubt)
    course.wait(1.1)
    assert not course.follower.tracks.chains
    course.write(pick=0, count=1, together=False)
    course.log.wire.clear()
    course.write(pick=0, count=1, together=False)
    course.hear(6)
    course.teardown()


SETTINGS = settings(
    max_examples=200,
    stateful_step_count=40,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)


def test_a_follower_arrives_at_the_log_whatever_it_hears() -> None:
    run_state_machine_as_test(Following, settings=SETTINGS)


def begun_by_two() -> tuple[Following, Counter[str]]:
    """Two requests, and one comparison at which all was heard of them."""
    course = Following()
    for pick in range(2):
        course.queue()
        course.claim(pick=pick, who=pick)
    course.write(pick=0, count=2, together=False)
    course.hear(count=6)
    course.wait(seconds=1.1)
    return course, course.follower.counts


def test_where_all_was_heard_the_log_is_not_read() -> None:
    course, counts = begun_by_two()
    course.write(pick=1, count=2, together=False)
    course.finish(pick=0)
    course.hear(count=6)
    course.wait(seconds=1.0)
    assert counts == {"unread": 2, "doubtful": 0}
    assert (course.log.reads, course.follower.fills) == (0, 0)
    course.teardown()


def test_what_others_wrote_in_between_has_the_log_read() -> None:
    course, counts = begun_by_two()
    course.elsewhere()
    course.write(pick=1, count=2, together=False)
    course.hear(count=6)
    course.wait(seconds=1.0)
    assert counts == {"unread": 1, "read": 1, "doubtful": 0}
    assert course.follower.fills == 0, "it was compared, and nothing was in doubt"
    course.write(pick=1, count=2, together=False)
    course.hear(count=6)
    course.wait(seconds=1.0)
    assert counts == {"unread": 2, "read": 1, "doubtful": 0}
    course.teardown()


def test_one_that_was_lost_in_the_middle_is_missed_at_the_next_comparison() -> None:
    course, counts = begun_by_two()
    course.finish(pick=0)
    course.lose()
    course.write(pick=0, count=2, together=False)
    course.hear(count=6)
    assert course.missing() == ["r0"]
    course.wait(seconds=1.1)
    assert counts == {"unread": 1, "read": 1, "doubtful": 1}
    assert (course.missing(), course.follower.fills) == ([], 1)
    course.teardown()


def test_a_replica_that_lags_does_not_hide_an_end_that_was_lost() -> None:
    course = Following()
    for _ in range(2):
        course.queue()
    course.claim(pick=0, who=0)
    course.claim(pick=1, who=1)
    course.write(pick=0, count=2, together=False)
    course.hear(count=6)
    course.finish(pick=0)
    course.lose()
    course.write(pick=1, count=1, together=False)
    course.hear(count=6)
    course.lag_behind(lag=2)
    course.wait(seconds=1.1)
    course.teardown()


def test_what_a_replica_lacks_that_lags_is_not_taken_for_heard() -> None:
    course = Following()
    course.queue()
    course.claim(pick=0, who=0)
    course.hear(count=6)
    course.write(pick=0, count=1, together=False)
    course.finish(pick=0)
    course.wait(seconds=1.1)  # it looks: something is there that was not heard, and is waited for
    course.hear(count=1)
    course.lag_behind(lag=1)
    course.wait(seconds=1.1)
    course.hear(count=6)
    course.teardown()


# --- negative controls: a follower that lacks something is noticed --------------------------------


def without_gap_filling(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Follower, "doubt", lambda self: self._backlog.clear())


def without_the_look_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    async def check(self: Follower) -> None:
        return

    monkeypatch.setattr(Follower, "_check", check)


def without_the_rule_of_the_latest_claim(monkeypatch: pytest.MonkeyPatch) -> None:
    counts = Run.entry

    def entry(self: Run, entry: Entry, writer: Writer, *odds: Any) -> Applied:
        if self.pen is not None:
            self.pen = (entry.n, writer)
        return counts(self, entry, writer, *odds)

    monkeypatch.setattr(Run, "entry", entry)


def without_heed_of_repetitions(monkeypatch: pytest.MonkeyPatch) -> None:
    def entry(self: Run, entry: Entry, writer: Writer, *odds: Any) -> Applied:
        if self.end is not None or self.pen != (entry.n, writer):
            return Applied.IGNORED
        self.texts += entry.texts
        return Applied.COUNTED

    monkeypatch.setattr(Run, "entry", entry)
    monkeypatch.setattr(Follower, "_step", _believing)


def _believing(self: Follower, stored: Any) -> bool:
    self.tracks.apply(subjects.parse_run(stored.subject), stored)
    self._applied = stored.seq
    return True


@pytest.mark.parametrize(
    "lacking",
    [
        without_gap_filling,
        without_the_look_at_the_end,
        without_the_rule_of_the_latest_claim,
        without_heed_of_repetitions,
    ],
)
def test_without_the_mechanism_the_machine_notices(
    lacking: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    lacking(monkeypatch)
    quick = settings(
        SETTINGS, max_examples=1000, report_multiple_bugs=False, phases=(Phase.generate,)
    )
    with pytest.raises(AssertionError):
        run_state_machine_as_test(Following, settings=quick)


# --- two courses of events that are too rare to be left to chance ---------------------------------


def an_end_is_lost_while_others_go_on() -> None:
    world = Following()
    world.queue()
    world.queue()
    world.hear(count=6)
    world.interfere(pick=0, ends=True)
    world.lose()
    world.claim(pick=0, who=0)
    world.hear(count=6)
    world.teardown()


def words_are_lost_before_an_end_that_has_no_seal() -> None:
    world = Following()
    world.queue()
    world.claim(pick=0, who=0)
    world.hear(count=6)
    world.write(pick=0, count=1, together=False)
    world.lose()
    world.interfere(pick=0, ends=True)
    world.hear(count=6)
    try:
        world.never_a_word_that_is_not_in_the_log()
    finally:
        world.teardown()


def without_counting_what_was_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever heard the last message believes to have heard those before it."""

    async def compare(self: Follower, target: int) -> bool:
        self._sound = target
        return True

    monkeypatch.setattr(Follower, "_compare", compare)


def without_doubt_of_such_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Tracks, "unvouched", lambda *_: False)


@pytest.mark.parametrize(
    ("course", "lacking"),
    [
        (an_end_is_lost_while_others_go_on, without_counting_what_was_heard),
        (words_are_lost_before_an_end_that_has_no_seal, without_doubt_of_such_an_end),
    ],
)
def test_a_rare_loss_is_made_good_and_would_not_be_without_the_mechanism(
    course: Callable[[], None],
    lacking: Callable[[pytest.MonkeyPatch], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    course()
    lacking(monkeypatch)
    with pytest.raises(AssertionError):
        course()
