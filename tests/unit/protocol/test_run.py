"""The rule of the latest claim, under every history that a few workers can make."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh.protocol.errors import ErrorCode
from mesh.protocol.events import Cancel, Claim, Deleted, Done, Failed, Queued, RunEvent, Seal
from mesh.protocol.frames import Entry, Odds
from mesh.protocol.request import Request
from mesh.protocol.run import Applied, Run, ids_checksum, text_checksum
from mesh.protocol.subjects import Writer

REQUEST = Request(
    rid="r", reply="gw1", tenant="t", model="m", messages=(), created=0.0, deadline=1.0
)
WORKERS = [Writer(f"w{k}", "a") for k in range(3)]

Logged = tuple[int, Writer, RunEvent | Entry]
"""A message of the log: its sequence, its writer, what it says."""


def queued() -> Queued:
    return Queued(uid="q", request=REQUEST)


def claim(n: int) -> Claim:
    return Claim(uid=f"c{n}", n=n, item=1, ack_reply="ack", model="m")


def done(text: str, count: int) -> Done:
    seal = Seal(count=count, text=text_checksum(text))
    return Done(uid="d", finish="stop", text=text, seal=seal)


@dataclass
class Worker:
    """A worker as it sees itself: it may have lost the pen and not know."""

    n: int = 0
    texts: list[str] = field(default_factory=list)


class World:
    """Workers writing to a log that fences events, but not tokens."""

    def __init__(self) -> None:
        self.log: list[Logged] = [(1, Writer("gateway", "a"), queued())]
        self.workers = [Worker() for _ in WORKERS]
        self.latest = 0
        self.ended = False

    def append(self, who: int, message: RunEvent | Entry) -> None:
        self.log.append((self.log[-1][0] + 1, WORKERS[who], message))

    def claim(self, who: int) -> None:
        """Take over: claim first, then read the prefix, as every reader reads it."""
        if self.ended:
            return
        self.latest += 1
        self.append(who, claim(self.latest))
        self.workers[who] = Worker(self.latest, list(read(self.log).texts))

    def write(self, who: int, count: int) -> None:
        """Write tokens that nobody else would write, holding the pen or not."""
        worker = self.workers[who]
        if worker.n == 0:
            return
        texts = [f"{who}.{worker.n}.{len(worker.texts) + k} " for k in range(count)]
        self.append(who, Entry("r", worker.n, len(worker.texts), texts))
        worker.texts += texts

    def finish(self, who: int) -> None:
        """The fence lets a terminal event through only while the claim is the last event."""
        worker = self.workers[who]
        if self.ended or worker.n != self.latest or worker.n == 0:
            return
        self.append(who, done("".join(worker.texts), len(worker.texts)))
        self.ended = True


def read(log: list[Logged], run: Run | None = None) -> Run:
    run = run or Run()
    for seq, writer, message in log:
        if isinstance(message, Entry):
            assert run.entry(message, writer) is not Applied.GAP
        else:
            assert run.event(message, writer, seq) is not Applied.GAP
    return run


steps = st.lists(
    st.tuples(
        st.sampled_from(["claim", "write", "write", "write", "finish"]),
        st.integers(0, 2),
        st.integers(1, 3),
    ),
    max_size=30,
)


def history(moves: list[tuple[str, int, int]]) -> World:
    world = World()
    for what, who, count in moves:
        match what:
            case "claim":
                world.claim(who)
            case "write":
                world.write(who, count)
            case _:
                world.finish(who)
    return world


@given(steps)
def test_every_reader_arrives_at_what_the_holder_of_the_pen_wrote(
    moves: list[tuple[str, int, int]],
) -> None:
    world = history(moves)
    run = read(world.log)
    assert run.sealed() == world.ended
    if run.end is not None:
        assert run.end.text == run.text


@given(steps, st.integers(0, 40), st.integers(0, 40))
def test_reading_a_stretch_twice_changes_nothing(
    moves: list[tuple[str, int, int]], start: int, stop: int
) -> None:
    log = history(moves).log
    once = read(log)
    again = read(log[min(start, stop) : max(start, stop)], read(log[: max(start, stop)]))
    assert read(log[max(start, stop) :], again) == once


class Unfenced(Run):
    """The negative control: a reader that believes whoever writes the next index."""

    def entry(self, entry: Entry, writer: Writer, odds: Sequence[Odds] = ()) -> Applied:
        self.pen = (entry.n, writer)
        return super().entry(entry, writer, odds)


def test_without_the_rule_a_worker_that_woke_up_corrupts_the_text_and_the_seal_tells() -> None:
    world = World()
    world.claim(0)
    world.write(0, 2)
    world.claim(1)
    world.write(0, 1)
    world.write(1, 2)
    world.finish(1)
    assert read(world.log).sealed()
    corrupt = read(world.log, Unfenced())
    assert corrupt.text != read(world.log).text
    assert not corrupt.sealed()


def test_a_token_that_is_missing_is_a_gap() -> None:
    run = read([(1, WORKERS[0], queued()), (2, WORKERS[0], claim(1))])
    assert run.entry(Entry("r", 1, 1, ["b"]), WORKERS[0]) is Applied.GAP
    assert run.entry(Entry("r", 1, 0, ["a"]), WORKERS[0]) is Applied.COUNTED
    assert run.entry(Entry("r", 1, 0, ["a", "b"]), WORKERS[0]) is Applied.COUNTED
    assert run.text == "ab"


def test_tokens_of_a_claim_not_heard_of_are_a_gap() -> None:
    run = read([(1, WORKERS[0], queued())])
    assert run.entry(Entry("r", 1, 0, ["a"]), WORKERS[0]) is Applied.GAP


def test_an_end_that_counts_more_pieces_than_were_read_is_a_gap() -> None:
    run = read([(1, WORKERS[0], queued()), (2, WORKERS[0], claim(1))])
    assert run.event(done("ab", 2), WORKERS[0], 3) is Applied.GAP
    assert run.end is None


def test_nothing_counts_after_the_end() -> None:
    run = read([(1, WORKERS[0], queued()), (2, WORKERS[0], claim(1))])
    run.event(done("", 0), WORKERS[0], 3)
    assert run.entry(Entry("r", 1, 0, ["a"]), WORKERS[0]) is Applied.IGNORED
    assert run.event(claim(2), WORKERS[1], 4) is Applied.IGNORED


def test_an_end_by_somebody_without_the_pen_needs_no_seal() -> None:
    run = read([(1, WORKERS[0], queued()), (2, WORKERS[0], claim(1))])
    run.entry(Entry("r", 1, 0, ["a"]), WORKERS[0])
    run.event(Failed(uid="f", code=ErrorCode.DEADLINE_EXCEEDED), Writer("gateway", "a"), 3)
    assert run.sealed()


def test_a_cancel_is_remembered_until_the_end() -> None:
    run = read([(1, WORKERS[0], queued()), (2, WORKERS[0], claim(1))])
    run.event(Cancel(uid="x"), Writer("gateway", "a"), 3)
    assert run.cancel
    assert run.event(claim(2), WORKERS[1], 4) is Applied.COUNTED
    assert run.cancel


def test_what_has_ended_is_deleted_by_a_gateway_and_by_nobody_else() -> None:
    run = read([(1, WORKERS[0], queued()), (2, WORKERS[0], claim(1))])
    gateway, mark = Writer("gateway", "a"), Deleted(uid="x")
    run.event(mark, gateway, 3)
    assert not run.deleted
    run.event(done("", 0), WORKERS[0], 4)
    assert run.event(mark, WORKERS[0], 5) is Applied.IGNORED and not run.deleted
    assert run.event(mark, gateway, 6) is Applied.COUNTED and run.deleted
    assert run.last == 6 and run.event(mark, gateway, 6) is Applied.IGNORED


@pytest.mark.parametrize("ids", [None, [(1,), (2, 3)]])
def test_a_seal_covers_ids_where_they_are_known(ids: list[tuple[int, ...]] | None) -> None:
    run = read([(1, WORKERS[0], queued()), (2, WORKERS[0], claim(1))])
    run.entry(Entry("r", 1, 0, ["a", "b"], ids), WORKERS[0])
    assert run.seal().ids == (None if ids is None else ids_checksum(ids))


def test_ids_are_sealed_as_decimals_joined_by_commas() -> None:
    """As the protocol says it, for who checks a seal without this code."""
    assert ids_checksum([(1,), (), (20, 300_000)]) == sha256(b"1,20,300000").hexdigest()
    assert ids_checksum([]) == sha256(b"").hexdigest()


@pytest.mark.parametrize("ids", [[(1,), (2,), (3,), (4,)], None])
def test_pieces_that_were_let_go_count_and_what_follows_is_applied_as_ever(
    ids: list[tuple[int, ...]] | None,
) -> None:
    likely = [Odds(-float(k)) for k in range(4)]
    run = Run(pen=(1, WORKERS[0]), texts=list("abcd"), ids=ids, odds=list(likely))
    run.let_go(0)
    assert run.dropped == 0
    run.let_go(3)
    run.let_go(2)
    assert (run.count, run.dropped, run.texts, run.odds_of(3)) == (4, 3, ["d"], likely[3:])
    assert run.ids is None or run.ids == [(4,)]
    assert run.entry(Entry("r", 1, 5, ["f"]), WORKERS[0]) is Applied.GAP
    assert run.entry(Entry("r", 1, 3, ["d", "e"]), WORKERS[0], [likely[3], Odds(-4.0)]) is (
        Applied.COUNTED
    )
    assert run.pieces(3, 5) == ["d", "e"] and run.odds_of(4) == [Odds(-4.0)]
    run.let_go(9)
    assert (run.count, run.texts, run.odds) == (5, [], [])
    assert run.event(done("abcde", 6), WORKERS[0], 7) is Applied.GAP
    assert run.event(done("abcde", 5), WORKERS[0], 7) is Applied.COUNTED
