"""`POST /generate` for readers of any kind: a stream on which nothing is said for long."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import httpx

from tests.whole_mesh import SINGLE, Mesh

LONG = {"prompt": "/repeat x", "model": SINGLE, "params": {"max_tokens": 1000}}


@asynccontextmanager
async def silent(mesh: Mesh) -> AsyncIterator[AsyncIterator[str]]:
    """The lines of a stream whose worker has gone behind its first token."""
    async with mesh.anonymous() as http, http.stream("POST", "/generate", json=LONG) as response:
        lines = response.aiter_lines()
        async for line in lines:
            if line.startswith("data: "):
                break
        mesh.stop(SINGLE)
        yield lines


async def comments(lines: AsyncIterator[str], most: int) -> int:
    """How many comments come, up to so many, before nothing is heard of for long."""
    found = 0
    try:
        async for line in lines:
            found += line.startswith(":")
            if found == most:
                break
    except httpx.ReadTimeout:
        pass
    return found


async def test_a_silent_stream_of_tokens_says_that_it_lives(
    new_mesh: Callable[..., Mesh],
) -> None:
    mesh = new_mesh(keep_alive=0.1)
    mesh.start("gateway", SINGLE)
    async with silent(mesh) as lines:
        assert await comments(lines, 3) == 3


async def test_who_waits_for_a_turn_is_told_that_the_stream_lives(
    new_mesh: Callable[..., Mesh],
) -> None:
    mesh = new_mesh(keep_alive=0.1, hold_headers=0.1)
    mesh.start("gateway", SINGLE)
    async with mesh.anonymous() as http, http.stream("POST", "/generate", json=LONG) as first:
        running = first.aiter_lines()  # kept: its end hangs up
        await anext(running)
        async with http.stream("POST", "/generate", json=LONG) as second:
            assert second.status_code == 200
            lines = second.aiter_lines()
            assert (await anext(lines)).startswith(":"), "one slot, and it is taken"
