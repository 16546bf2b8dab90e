"""A client's place in an answer: what waiting for the next change leaves behind."""

from mesh.bus.track import Track
from mesh.gateway.generate import GenerateDialect
from mesh.gateway.seen import Seen
from mesh.gateway.stream import Stream


async def test_who_waits_again_and_again_for_a_silent_answer_gathers_nothing() -> None:
    """As beside others that are not silent."""
    track = Track("r1", 1)
    stream = Stream(track, GenerateDialect(Seen()), 0)
    first = stream.changed()
    assert all(stream.changed() is first for _ in range(100))
    track.wake()
    second = stream.changed()
    assert first.done() and second is not first and not second.done()
    track.wake()
    assert second.done()
