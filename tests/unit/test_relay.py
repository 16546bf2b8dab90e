"""What an engine says reaches its reader at once, up to what ends it."""

import asyncio

import pytest

from mesh.worker.engines.base import EngineError, Step
from mesh.worker.engines.relay import Relay
from tests.worker.listener import Listener


class Refusing(Listener):
    """Wants no more after two steps."""

    def hear(self, step: Step) -> bool:
        super().hear(step)
        return self.unread.qsize() < 2


class Throwing(Listener):
    def hear(self, step: Step) -> bool:
        raise ValueError("too much")


def heard(listener: Listener) -> list[str]:
    return [listener.unread.get_nowait().text for _ in range(listener.unread.qsize())]


async def test_a_step_is_heard_at_once() -> None:
    listener = Listener()
    Relay(listener).put(Step("a"))
    assert heard(listener) == ["a"]


async def test_nothing_is_heard_after_the_last_step() -> None:
    listener = Listener()
    relay = Relay(listener)
    relay.put(Step("a", (), "stop"))
    relay.put(Step("b"))
    relay.fail(EngineError("too late"))
    await relay.over()
    assert heard(listener) == ["a"]


async def test_a_reader_that_wants_no_more_hears_no_more() -> None:
    listener = Refusing()
    relay = Relay(listener)
    for text in "abc":
        relay.put(Step(text))
    await relay.over()
    assert heard(listener) == ["a", "b"]


async def test_the_first_error_counts_and_what_was_said_before_was_heard() -> None:
    listener = Listener()
    relay = Relay(listener)
    relay.put(Step("a"))
    relay.fail(EngineError("broken"))
    relay.fail(EngineError("closed"))
    with pytest.raises(EngineError, match="broken"):
        await relay.over()
    assert heard(listener) == ["a"]


async def test_what_a_reader_raises_ends_its_job_and_reaches_no_engine_s_loop() -> None:
    relay = Relay(Throwing())
    relay.put(Step("a"))
    with pytest.raises(ValueError, match="too much"):
        await relay.over()


async def test_who_is_cancelled_hears_no_more() -> None:
    listener = Listener()
    relay = Relay(listener)
    waiting = asyncio.create_task(relay.over())
    await asyncio.sleep(0)
    waiting.cancel()
    relay.put(Step("a"))
    await asyncio.wait({waiting})
    assert heard(listener) == []
