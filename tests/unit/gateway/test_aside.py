"""Bodies with large schemas are read beside the loop, and nobody waits for another's."""

import asyncio
import threading
import time
from functools import partial
from threading import get_ident

import msgspec
import pytest

from mesh.gateway.openai import chat_body
from mesh.gateway.openai.aside import LIGHT, TOGETHER, Aside, weight
from mesh.gateway.openai.asked import Asked
from mesh.protocol.errors import MeshError

PATIENCE = 20.0

TRIES = 20
"""Readings that are measured at most: a busy machine may hold back the loop alone, and the
interpreter may tidy up in the middle of a reading."""


def body(tools: int, properties: int, kind: str = "string") -> bytes:
    schema = {"type": "object", "properties": {f"p{n}": {"type": kind} for n in range(properties)}}
    offered = [
        {"type": "function", "function": {"name": f"f{n}", "parameters": schema}}
        for n in range(tools)
    ]
    messages = [{"role": "user", "content": "Hello"}]
    return msgspec.json.encode({"messages": messages, "tools": offered})


class Reading:
    """A reading in a thread, and by that thread's own clock how long it went on at a stretch.

    By the wall's clock a busy machine makes pauses of its own, in which neither goes on.
    """

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._clock: int | None = None
        self._began = 0.0
        self.took = 0.0

    def read(self) -> Asked:
        """What the body asks."""
        self._began, self._clock = time.thread_time(), time.pthread_getcpuclockid(get_ident())
        asked = chat_body.read(self._data)
        self._clock, self.took = None, time.thread_time() - self._began
        return asked

    async def longest(self, over: asyncio.Event) -> float:
        """Seconds for which it went on without a turn of the loop, at most."""
        longest = last = 0.0
        while not over.is_set():
            await asyncio.sleep(0)
            clock = self._clock
            now = time.clock_gettime(clock) - self._began if clock is not None else self.took
            longest, last = max(longest, now - last), now
        return longest


async def longest_part(data: bytes) -> float:
    """Of what a reading takes, the longest part for which the loop had no turn."""
    over, reading = asyncio.Event(), Reading(data)
    watching = asyncio.create_task(reading.longest(over))
    asked = await Aside().read("ada", data, reading.read)
    over.set()
    assert asked.grammar is not None and len(asked.tools) == 128
    return await watching / reading.took


async def test_the_loop_goes_on_while_large_schemas_are_read() -> None:
    data = body(128, 20)
    for _ in range(TRIES):
        if (part := await longest_part(data)) < 1 / 3:
            break
    assert part < 1 / 3


async def test_what_is_wrong_with_a_large_body_is_told_as_ever() -> None:
    data = body(2, 200, kind="soup")
    with pytest.raises(MeshError, match="There is no type 'soup'") as refused:
        await Aside().read("ada", data, partial(chat_body.read, data))
    assert refused.value.param == "tools[0].function.parameters.properties.p199.type"


async def test_one_user_s_bodies_leave_room_for_another_s() -> None:
    aside, heavy, held = Aside(), body(10, 100), threading.Event()

    def wait() -> str:
        assert held.wait(PATIENCE)
        return "ada's"

    mine = [asyncio.create_task(aside.read("ada", heavy, wait)) for _ in range(2 * TOGETHER)]
    await asyncio.sleep(0)
    async with asyncio.timeout(PATIENCE):
        assert await aside.read("bob", heavy, lambda: "bob's") == "bob's"
        assert not any(task.done() for task in mine)
        held.set()
        assert await asyncio.gather(*mine) == ["ada's"] * len(mine)


async def test_a_light_body_is_read_at_once() -> None:
    here = threading.get_ident()
    assert await Aside().read("ada", body(5, 5), threading.get_ident) == here
    assert await Aside().read("ada", body(50, 50), threading.get_ident) != here


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "string", "minLength": 1000},
        {"type": "array", "items": {"type": "null"}, "maxItems": 10**9},
        {"enum": list(range(1000))},
        {"properties": {str(n): {} for n in range(LIGHT)}},
    ],
)
def test_a_schema_weighs_what_it_is_when_written_out(schema: dict[str, object]) -> None:
    format = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
    assert weight(msgspec.json.encode({"response_format": format})) > LIGHT
    assert weight(msgspec.json.encode({"text": {"format": {"schema": schema}}})) > LIGHT
    assert weight(msgspec.json.encode({"function": {"parameters": schema}})) > LIGHT
    assert weight(msgspec.json.encode({"messages": [schema]})) == 0


def test_a_body_that_is_no_object_weighs_nothing() -> None:
    for data in (b"", b"[1]", b"{", b"[" * 100_000, b'{"tools": ' + b"[" * 100_000):
        assert weight(data) == 0
