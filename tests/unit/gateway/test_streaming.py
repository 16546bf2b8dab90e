"""A client's place in an answer: what it leaves behind, what one write holds, and what is held."""

import asyncio
from typing import cast

import pytest

from mesh.bus.rest import Forgotten, Rest
from mesh.bus.track import Track
from mesh.gateway.generate import GenerateDialect
from mesh.gateway.logs import Logs
from mesh.gateway.side_by_side import SideBySide
from mesh.gateway.stream import FORGOTTEN, KEEP_ALIVE, SLOW, WINDOW, Stream
from mesh.protocol.errors import ErrorCode
from mesh.protocol.events import Done, Failed, Queued
from mesh.protocol.request import Request
from mesh.protocol.run import Run
from tests.unit.test_draft_usage import REQUEST

TEXTS = [f"{k} " for k in range(3 * WINDOW + 7)]
DONE = Done(uid="u", finish="stop")


class Remembering:
    """Logs of one answer, which perhaps have forgotten it."""

    def __init__(self) -> None:
        self.released: list[Track] = []
        self.read: list[tuple[int, int]] = []
        self.forgotten = False

    def release(self, track: Track) -> None:
        track.readers -= 1
        self.released.append(track)

    def rest(self, request: Request) -> Rest:
        return cast(Rest, _Rest(self))


class _Rest:
    def __init__(self, logs: Remembering) -> None:
        self.run = Run()
        self._logs = logs

    async def read(self, index: int, upto: int) -> None:
        if self._logs.forgotten:
            raise Forgotten("r1")
        self._logs.read.append((index, upto))
        self.run.texts += TEXTS[self.run.count : upto]
        self.run.let_go(index)
        self.run.end = DONE if upto > len(TEXTS) else None


def streamed(run: Run, logs: Remembering) -> Stream:
    track = Track("r1", 1)
    track.run = run
    run.queued = Queued(uid="q", request=REQUEST)
    stream = Stream(cast(Logs, logs), track, GenerateDialect(), 0)
    stream.hold()
    return stream


def told(data: bytes) -> list[int]:
    """The numbers of the pieces in a write."""
    return [int(line[4:]) for line in data.split(b"\n") if line.startswith(b"id: ")]


async def sought(stream: Stream) -> None:
    """Wait for what comes out of the log."""
    change = stream.changed()
    stream.seek()
    await change


async def test_who_waits_again_and_again_for_a_silent_answer_gathers_nothing() -> None:
    """As beside others that are not silent."""
    stream = streamed(Run(), Remembering())
    first = stream.changed()
    assert all(stream.changed() is first for _ in range(100))
    stream.track.wake()
    second = stream.changed()
    assert first.done() and second is not first and not second.done()
    stream.track.wake()
    assert second.done()


async def test_one_write_is_of_no_more_than_a_window_and_the_end_comes_with_the_last() -> None:
    stream = streamed(Run(texts=list(TEXTS), end=DONE), Remembering())
    writes = []
    while not stream.ended:
        writes.append(stream.take(WINDOW))
    assert [len(told(data)) for data in writes] == [WINDOW, WINDOW, WINDOW, 7]
    assert [at for data in writes for at in told(data)] == list(range(len(TEXTS)))
    assert [b'"done":true' in data for data in writes] == [False, False, False, True]


async def test_who_reads_slowly_lets_go_of_what_has_ended_and_takes_it_out_of_the_log() -> None:
    logs = Remembering()
    stream = streamed(Run(texts=list(TEXTS), end=DONE), logs)
    track = stream.track
    written = told(stream.take(WINDOW))
    stream.writing = 1.0
    stream.tick(1.0 + SLOW, keep_alive=1e9)
    assert logs.released == [] and stream.track is track
    stream.tick(1.1 + SLOW, keep_alive=1e9)
    assert logs.released == [track] and stream.track is not track
    stream.writing = 0.0
    while not stream.ended:
        assert told(stream.take(WINDOW)) == []
        await sought(stream)
        assert len(stream.track.run.texts) <= WINDOW
        written += told(stream.take(WINDOW))
        assert stream.track.run.texts == []
    assert written == list(range(len(TEXTS)))
    assert [index for index, _ in logs.read] == [WINDOW, 2 * WINDOW, 3 * WINDOW]
    assert not stream.failed and logs.released == [track]


@pytest.mark.parametrize(
    ("run", "taken"),
    [
        (Run(texts=TEXTS[: 2 * WINDOW]), WINDOW),
        (Run(texts=TEXTS[:WINDOW], end=DONE), WINDOW - 1),
        (Run(texts=list(TEXTS), end=DONE), 0),
    ],
    ids=["an answer that runs", "a short one", "one of which nothing was told yet"],
)
async def test_what_is_not_left_to_the_log(run: Run, taken: int) -> None:
    logs = Remembering()
    stream = streamed(run, logs)
    if taken:
        stream.take(taken)
    stream.writing = 1.0
    stream.tick(100.0, keep_alive=1e9)
    assert logs.released == [] and stream.track.run is run


async def test_who_has_been_told_all_holds_nothing_while_the_last_is_being_written() -> None:
    logs = Remembering()
    stream = streamed(Run(texts=TEXTS[:3], end=DONE), logs)
    track = stream.track
    stream.take(WINDOW)
    assert stream.ended and logs.released == [track]
    stream.release()
    assert logs.released == [track]


async def test_who_waits_for_the_log_is_told_that_the_stream_lives() -> None:
    stream = streamed(Run(texts=list(TEXTS), end=DONE), Remembering())
    stream.take(WINDOW)
    stream.writing = 1.0
    stream.tick(100.0, keep_alive=1e9)
    change = stream.changed()
    stream.tick(1e12, keep_alive=15.0)
    assert change.done() and stream.take(WINDOW) == KEEP_ALIVE


async def test_who_reads_what_the_log_has_forgotten_meanwhile_hears_that_last() -> None:
    logs = Remembering()
    stream = streamed(Run(texts=list(TEXTS), end=DONE), logs)
    stream.take(WINDOW)
    stream.writing = 1.0
    stream.tick(100.0, keep_alive=1e9)
    logs.forgotten = True
    await sought(stream)
    assert FORGOTTEN.encode() in stream.take(WINDOW)
    assert stream.ended and stream.failed


async def test_who_waited_before_it_was_too_slow_hears_what_comes_out_of_the_log() -> None:
    """As one answer of several, which waited while another wrote."""
    stream = streamed(Run(texts=list(TEXTS)), Remembering())
    stream.take(WINDOW)
    before = stream.changed()
    stream.track.run.end = DONE
    stream.writing = 1.0
    stream.tick(100.0, keep_alive=1e9)
    assert stream.changed() is not before
    await sought(stream)
    assert told(stream.take(WINDOW)) == list(range(WINDOW, 2 * WINDOW))


async def test_what_was_taken_is_being_written_until_more_is_taken() -> None:
    stream = streamed(Run(texts=TEXTS[:3]), Remembering())
    assert stream.take(WINDOW) and stream.writing == stream.written > 0.0
    written = stream.written
    assert stream.take(WINDOW) == b"" and stream.writing == 0.0
    assert stream.written == written


async def test_who_is_told_nothing_of_a_piece_is_not_written_to(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As of the beginning of a tool call, which is told once it is whole."""
    monkeypatch.setattr(GenerateDialect, "tokens", lambda *_: b"")
    stream = streamed(Run(texts=TEXTS[:3]), Remembering())
    written = stream.written
    assert stream.take(WINDOW) == b""
    assert (stream.writing, stream.written) == (0.0, written)


async def test_several_share_a_write_and_all_of_them_wait_for_it() -> None:
    talking = streamed(Run(texts=list(TEXTS)), Remembering())
    other = streamed(Run(texts=list(TEXTS)), Remembering())
    silent = streamed(Run(), Remembering())
    written = silent.written
    beside = SideBySide([talking, other, silent])
    assert len(told(beside.take(WINDOW))) == WINDOW // 3 * 2
    assert talking.writing == other.writing == silent.writing > 0.0
    assert silent.written > written
    for stream in (talking, other):
        stream.sent = len(TEXTS)
    assert beside.take(WINDOW) == b""
    assert talking.writing == other.writing == silent.writing == 0.0


async def test_several_end_with_the_last() -> None:
    one = streamed(Run(texts=TEXTS[:1], end=DONE), Remembering())
    other = streamed(Run(texts=TEXTS[:1]), Remembering())
    beside = SideBySide([one, other])
    beside.take(WINDOW)
    assert one.ended and not beside.ended
    waiting = asyncio.create_task(beside.changed())
    await asyncio.sleep(0)
    assert not waiting.done()
    other.track.run.end = DONE
    other.wake()
    await waiting
    other.track.run.texts += TEXTS[1:]
    assert len(told(beside.take(WINDOW))) == WINDOW, "the one that has ended leaves its share"
    while not beside.ended:
        assert beside.take(WINDOW)


async def test_several_end_with_the_first_that_fails_and_nothing_is_told_behind_it() -> None:
    failure = Failed(uid="u", code=ErrorCode.INTERNAL, detail="broken")
    one = streamed(Run(texts=TEXTS[:1], end=failure), Remembering())
    other = streamed(Run(texts=list(TEXTS)), Remembering())
    beside = SideBySide([one, other])
    assert told(beside.take(WINDOW)) == [0]
    assert beside.ended and not other.ended and other.sent == 0
