"""Appends under every course of answers lost, brokers away and subjects expired: each once.

A state machine drives the real writers of frames and events against a log in memory.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

from mesh.bus import appender, frames
from mesh.bus.api import WRONG_LAST, ApiError
from mesh.bus.appender import Fenced, append_event
from mesh.bus.frames import FrameWriter
from mesh.bus.stored import fence
from mesh.protocol import subjects
from mesh.protocol.codec import decode_event, decode_frame, encode
from mesh.protocol.events import Cancel
from mesh.protocol.frames import Frame
from mesh.protocol.subjects import Writer
from tests.unit.bus.memory import Clockwork, Fate, MemoryLog

T = TypeVar("T")

FATES: st.SearchStrategy[list[Fate]] = st.lists(
    st.sampled_from(["fine", "away", "unanswered", "transient"]), max_size=4
)
RIDS = ["r0", "r1"]
GATEWAYS = [Writer("gateway", f"g{k}") for k in range(3)]


class Appending(RuleBasedStateMachine):
    """One worker that writes frames, and gateways that contend for the next event of a request."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = Clockwork()
        self.log = MemoryLog()
        self.writer = Writer("w1", "a")
        self.put: dict[str, list[str]] = {rid: [] for rid in RIDS}
        self.events: dict[str, int] = dict.fromkeys(RIDS, 0)
        self.frames = FrameWriter(self.log.js, "gw1", self.writer)
        self.writing = self.loop.create_task(self.frames.run())

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(work)

    @rule(rid=st.sampled_from(RIDS), count=st.integers(1, 5), fates=FATES)
    def put_pieces(self, rid: str, count: int, fates: list[Fate]) -> None:
        self.log.fates.extend(fates)
        for _ in range(count):
            index = len(self.put[rid])
            self.put[rid].append(f"{rid}.{index}")
            self.frames.put(rid, 1, index, self.put[rid][-1], None)
        self.do(asyncio.sleep(0))

    @rule(seconds=st.sampled_from([0.001, 0.002, 0.02, 0.2]))
    def wait(self, seconds: float) -> None:
        self.do(asyncio.sleep(seconds))

    @rule()
    def all_is_stored(self) -> None:
        self.do(self.all_in())
        assert self.stored() == self.put

    @rule()
    def expire(self) -> None:
        """Frames that were stored grow old, and so does the writer's subject as a whole."""
        self.do(self.all_in())
        self.log.expire(subjects.tokens("gw1", self.writer))

    @rule(
        rid=st.sampled_from(RIDS),
        many=st.integers(1, 3),
        stale=st.booleans(),
        fates=FATES,
    )
    def contend(self, rid: str, many: int, stale: bool, fates: list[Fate]) -> None:
        """Some append to the same request, behind its last event or behind one before it."""
        self.do(self.all_in())
        expected = 0 if stale else self.events[rid]
        self.log.fates.clear()
        self.log.fates.extend(fates)
        before = self.log.seq
        outcomes = self.do(self.all_try(rid, GATEWAYS[:many], expected))
        landed = [each for each in self.log.ever if each.seq > before]
        for outcome in outcomes:
            assert isinstance(outcome, int | Fenced), outcome
        told = [outcome for outcome in outcomes if isinstance(outcome, int)]
        assert len(landed) == (expected == self.events[rid]), "of all exactly one, or none"
        assert told in ([], [each.seq for each in landed])
        if landed:
            self.events[rid] = landed[0].seq
            assert landed[0].expected == expected

    async def all_try(self, rid: str, writers: list[Writer], expected: int) -> list[object]:
        return await asyncio.gather(
            *(
                append_event(self.log.js, "gw1", rid, each, Cancel(uid=each.inc), expected)
                for each in writers
            ),
            return_exceptions=True,
        )

    async def all_in(self) -> None:
        """Wait until each has all its pieces in the log, in turn."""
        for rid in RIDS:
            await self.frames.stored(rid, 1)

    def stored(self) -> dict[str, list[str]]:
        """The pieces of every frame that was ever stored, by request."""
        found: dict[str, list[str]] = {rid: [] for rid in RIDS}
        for stored in self.log.ever:
            if ".tok." in stored.subject:
                for entry in decode_frame(stored.data).entries:
                    assert entry.index == len(found[entry.rid])
                    found[entry.rid] += entry.texts
        return found

    def teardown(self) -> None:
        try:
            self.all_is_stored()
            self.every_event_names_the_one_before()
        finally:
            self.writing.cancel()
            self.do(asyncio.sleep(0))
            self.loop.close()

    def every_event_names_the_one_before(self) -> None:
        last: dict[str, int] = {}
        for stored in self.log.ever:
            where = subjects.parse_run(stored.subject)
            if where.kind == "evt":
                assert decode_event(stored.data)
                assert stored.expected == last.get(where.rid, 0)
                last[where.rid] = stored.seq


SETTINGS = settings(
    max_examples=300,
    stateful_step_count=30,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture(autouse=True)
def quiet(caplog: pytest.LogCaptureFixture) -> None:
    """A thousand refusals are no news here."""
    caplog.set_level(logging.ERROR, "mesh")


def test_whatever_becomes_of_an_append_it_counts_once_and_in_its_place() -> None:
    run_state_machine_as_test(Appending, settings=SETTINGS)


# --- negative controls ----------------------------------------------------------------------------


def without_the_expected_sequences(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(appender, "fence", lambda *_: {})
    monkeypatch.setattr(frames, "fence", lambda *_: {})


def without_knowing_ones_own_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    """A frame that had landed unanswered is refused, and written again behind itself."""

    async def append(self: FrameWriter, frame: Frame) -> None:
        while True:
            try:
                data = encode(frame)
                self._last = await self._js.append(self._subject, data, fence(self._last))
                return
            except ApiError as error:
                if error.code == WRONG_LAST and error.found is not None:
                    self._last = error.found
            except appender.UNANSWERED:
                pass
            await asyncio.sleep(appender.RETRY)

    monkeypatch.setattr(FrameWriter, "_append", append)


def giving_up_an_unanswered_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    """One try for each frame, whatever comes of it."""

    async def append(self: FrameWriter, frame: Frame) -> None:
        try:
            data = encode(frame)
            self._last = await self._js.append(self._subject, data, fence(self._last))
        except (ApiError, *appender.UNANSWERED):
            return

    monkeypatch.setattr(FrameWriter, "_append", append)


@pytest.mark.parametrize(
    "lacking",
    [
        without_the_expected_sequences,
        without_knowing_ones_own_frame,
        giving_up_an_unanswered_frame,
    ],
)
def test_without_the_mechanism_the_machine_notices(
    lacking: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    lacking(monkeypatch)
    quick = settings(SETTINGS, report_multiple_bugs=False, phases=(Phase.generate,))
    with pytest.raises(AssertionError):
        run_state_machine_as_test(Appending, settings=quick)
