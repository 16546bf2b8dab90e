"""What belonged to a request is gone with it: no cycle has it wait for the garbage collector, for
which all other requests wait."""

import asyncio
import gc
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httpx
import pytest

from mesh.gateway.incoming import Incoming
from mesh.gateway.openai.speech import Speech
from tests.whole_mesh import ECHO, FAILING, SLOW, Mesh

TIMES = 5
"""Requests of a kind, so that what others do meanwhile is told from what they leave."""

SOON = 10.0
"""Seconds in which what they had must be gone."""

Ask = Callable[[httpx.AsyncClient], Awaitable[object]]


def completion(**more: Any) -> Ask:
    said = {"role": "user", "content": "one two three"}
    body = {"model": ECHO, "messages": [said], "max_tokens": 5} | more
    return lambda http: http.post("/v1/chat/completions", json=body)


def generate(**body: Any) -> Ask:
    return lambda http: http.post("/generate", json={"prompt": "one two", "model": ECHO} | body)


async def hang_up(http: httpx.AsyncClient) -> None:
    """Leave in the middle of an answer."""
    body = {"prompt": "/repeat a", "model": SLOW}
    async with http.stream("POST", "/generate", json=body) as response:
        await anext(response.aiter_lines())


KINDS: dict[str, Ask] = {
    "an answer of OpenAI's, streamed": completion(stream=True),
    "an answer of OpenAI's, whole": completion(),
    "tools, streamed": completion(
        stream=True, tools=[{"type": "function", "function": {"name": "look"}}]
    ),
    "an answer": generate(),
    "an answer that fails": generate(model=FAILING),
    "an answer nobody waits for": hang_up,
    "a list": lambda http: http.get("/v1/models"),
    "headers alone": lambda http: http.head("/v1/models"),
    "a refusal": completion(max_tokens=-1),
    "no such model": completion(model="none"),
    "no such action": lambda http: http.get("/v1/actions/none"),
    "a wrong token": lambda http: http.get("/v1/models", headers={"Authorization": "Bearer x"}),
    "nowhere": lambda http: http.get("/nowhere"),
    "a foreign host": lambda http: http.get("/v1/models", headers={"Host": "evil.test"}),
}


@pytest.fixture
async def uncollected() -> AsyncIterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def kept() -> int:
    """Requests, and what reads their answers, that are still in memory."""
    # By their type: some objects of other libraries do things when asked for their class.
    return sum(type(each) is Incoming or type(each) is Speech for each in gc.get_objects())


@pytest.mark.parametrize("kind", KINDS)
async def test_a_request_leaves_nothing_behind(mesh: Mesh, kind: str, uncollected: None) -> None:
    async with mesh.anonymous() as http:
        await KINDS[kind](http)
        before = kept()
        for _ in range(TIMES):
            await KINDS[kind](http)
    async with asyncio.timeout(SOON):
        while kept() >= before + TIMES:
            await asyncio.sleep(0.05)
