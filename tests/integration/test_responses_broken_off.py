"""A response whose stream a gateway that stops has to break off: an error event is its last word.

A bare end, or a comment, would pass for the end of the answer.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from tests.whole_mesh import SLOW, Mesh

RESPONSES = "/v1/responses"
WORDS = "word " * 100

Events = list[dict[str, Any]]


@pytest.fixture
def mesh(new_mesh: Callable[..., Mesh]) -> Mesh:
    mesh = new_mesh()
    mesh.start("gateway", SLOW)
    return mesh


def data(told: str) -> Events:
    lines = told.splitlines()
    return [json.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data: ")]


@asynccontextmanager
async def broken_off(mesh: Mesh, **body: object) -> AsyncIterator[tuple[httpx.AsyncClient, Events]]:
    """The events of a stream during which the gateway stops, and a client of the next one."""
    asked = {"model": SLOW, "input": WORDS, "stream": True} | body
    async with mesh.anonymous() as http:
        request = http.build_request("POST", RESPONSES, json=asked)
        response = await http.send(request, stream=True)  # whose headers come with the first piece
        reading = asyncio.create_task(response.aread())
        await asyncio.to_thread(mesh.stop, "gateway")
        told = data((await reading).decode())
        await asyncio.to_thread(mesh.start, "gateway")
        yield http, told


async def test_a_response_that_is_broken_off_says_so_and_is_cancelled(mesh: Mesh) -> None:
    async with broken_off(mesh) as (http, told):
        assert "has to stop" in told[-1]["error"]["message"], told[-1]
        url, status = f"{RESPONSES}/{told[0]['response']['id']}", "in_progress"
        async with asyncio.timeout(60):
            while status == "in_progress":
                status = (await http.get(url)).json()["status"]
    assert status == "cancelled"


async def test_one_in_the_background_says_so_and_is_read_on(mesh: Mesh) -> None:
    async with broken_off(mesh, background=True) as (http, told):
        assert "has to stop" in told.pop()["error"]["message"]
        url = f"{RESPONSES}/{told[0]['response']['id']}"
        behind = {"stream": True, "starting_after": told[-1]["sequence_number"]}
        told += data((await http.get(url, params=behind)).text)
    assert [event["sequence_number"] for event in told] == list(range(len(told)))
    assert told[-1]["type"] == "response.completed"
    (item,) = told[-1]["response"]["output"]
    assert item["content"][0]["text"].count("word") == 100
