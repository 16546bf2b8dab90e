"""A follower compares what it heard with the log: up to a target, beyond what it was sure of."""

from collections.abc import Iterator

import pytest

from mesh.bus.follow import Follower
from mesh.protocol import subjects
from mesh.protocol.frames import Frame
from mesh.protocol.subjects import Writer
from tests.unit.bus.memory import Clockwork, MemoryLog

STORED = 6


@pytest.fixture
def loop() -> Iterator[Clockwork]:
    loop = Clockwork()
    yield loop
    loop.close()


async def compare(sound: int, heard: set[int], target: int) -> tuple[Follower, bool, int]:
    """Compare with a log of six messages, each by a writer of its own, so that none of them speaks
    of another. Returns also how often the log was read for it."""
    log = MemoryLog()
    follower = Follower(log.bus, log.js, "gw1")
    await follower.start()
    for k in range(1, STORED + 1):
        log.store(subjects.tokens("gw1", Writer(f"w{k}", "i")), Frame([]))
    for stored in log.wire:
        if stored.seq in heard or stored.seq <= sound:
            log.tell(stored)
    follower._sound = sound
    follower._heard = set(heard)
    before = log.reads
    whole = await follower._compare(target)
    reads = log.reads - before
    await follower.stop()
    return follower, whole, reads


@pytest.mark.parametrize(
    ("sound", "heard", "target", "whole", "reads"),
    [
        pytest.param(0, {1, 2, 3, 4}, 4, True, 0, id="all"),
        pytest.param(2, {3, 4}, 4, True, 0, id="all beyond what was sure"),
        pytest.param(2, {3, 4, 5, 6}, 4, True, 0, id="and more"),
        pytest.param(0, {1, 2, 4}, 4, False, 1, id="one lacks"),
        pytest.param(0, {1, 2, 4, 5}, 4, False, 1, id="one lacks, and one is beyond the target"),
        pytest.param(2, {1, 2, 4}, 4, False, 1, id="one lacks, and some were sure already"),
        pytest.param(0, {1, 2, 3}, 4, False, 1, id="the last one lacks"),
        pytest.param(0, set(), 1, False, 1, id="nothing was heard"),
    ],
)
def test_nothing_is_read_where_every_sequence_up_to_the_target_was_heard(
    loop: Clockwork, sound: int, heard: set[int], target: int, whole: bool, reads: int
) -> None:
    follower, found, read = loop.run_until_complete(compare(sound, heard, target))
    assert (found, read) == (whole, reads)
    assert follower._sound == (target if whole else sound)
    if whole:
        assert follower._heard == {seq for seq in heard if seq > target}, "no more is kept"


def test_an_older_word_of_the_log_s_end_takes_nothing_back(loop: Clockwork) -> None:
    follower, whole, reads = loop.run_until_complete(compare(4, {5, 6}, 2))
    assert whole and not reads
    assert (follower._sound, follower._heard) == (4, {5, 6})
