"""Who leaves while a request is being accepted, and what a gateway that stops leaves behind."""

import asyncio
import json
import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from mesh.protocol.messages import Cancelled
from tests.truth import Truth, read_truth
from tests.whole_mesh import SINGLE, SLOW, Mesh

OPENAI = "/v1/chat/completions"

ROUTES = [
    pytest.param("/generate", {}, id="generate"),
    pytest.param(OPENAI, {"stream": True}, id="openai stream"),
    pytest.param(OPENAI, {}, id="openai whole"),
]

NewMesh = Callable[..., Mesh]


def asking(path: str, model: str, prompt: str = "/repeat a", most: int = 1000) -> dict[str, Any]:
    if path == OPENAI:
        messages = [{"role": "user", "content": prompt}]
        return {"model": model, "messages": messages, "max_tokens": most}
    return {"model": model, "prompt": prompt, "params": {"max_tokens": most}}


async def ask(mesh: Mesh, path: str, body: object, patience: float = 30.0) -> httpx.Response:
    async with mesh.anonymous() as http:
        return await http.post(path, json=body, timeout=patience)


async def truth_once(mesh: Mesh, holds: Callable[[Truth], bool], seconds: float = 5.0) -> Truth:
    """The log, as soon as something holds of it, or as it is after so many seconds."""
    until = time.monotonic() + seconds
    while True:
        truth = await read_truth(mesh.broker)
        if holds(truth) or time.monotonic() > until:
            return truth


def all_ended(truth: Truth) -> bool:
    return bool(truth.runs) and all(run.end is not None for run in truth.runs.values())


@pytest.mark.parametrize(("path", "more"), ROUTES)
async def test_who_leaves_while_no_worker_is_there_is_not_queued(
    new_mesh: NewMesh, path: str, more: dict[str, Any]
) -> None:
    mesh = new_mesh()
    mesh.start("gateway", SLOW)
    await asyncio.to_thread(mesh.stop, SLOW)
    with pytest.raises(httpx.ReadTimeout):
        await ask(mesh, path, asking(path, SLOW) | more, patience=0.5)
    await asyncio.to_thread(mesh.start, SLOW)
    await ask(mesh, "/generate", asking("/generate", SLOW, most=1))
    truth = await read_truth(mesh.broker)
    assert len(truth.runs) == 1


@pytest.mark.parametrize(("path", "more"), ROUTES)
async def test_who_leaves_while_the_log_is_silent_is_cancelled(
    new_mesh: NewMesh, path: str, more: dict[str, Any]
) -> None:
    mesh = new_mesh()
    mesh.start("gateway", SLOW)
    mesh.broker.pause()
    try:
        with pytest.raises(httpx.ReadTimeout):
            await ask(mesh, path, asking(path, SLOW) | more, patience=0.5)
    finally:
        mesh.broker.resume()
    truth = await truth_once(mesh, all_ended)
    ((_, run),) = truth.runs.items()
    assert isinstance(run.end, Cancelled), (run.cancel, run.n, run.last, len(run.texts))


@pytest.mark.parametrize(("path", "more"), ROUTES[:2])
async def test_headers_are_held_no_longer_for_the_time_that_accepting_took(
    new_mesh: NewMesh, path: str, more: dict[str, Any]
) -> None:
    mesh = new_mesh(hold_headers=2.5)
    mesh.start("gateway", SINGLE)
    async with mesh.anonymous() as http:
        body = asking("/generate", SINGLE)
        async with http.stream("POST", "/generate", json=body) as holding:
            lines = holding.aiter_lines()
            await anext(lines)
            mesh.broker.pause()
            began = time.monotonic()
            waiting = http.build_request("POST", path, json=asking(path, SINGLE) | more)
            headers = asyncio.create_task(http.send(waiting, stream=True))
            await asyncio.sleep(1.5)  # this long the log accepts nothing
            mesh.broker.resume()
            response = await headers
            assert response.status_code == 200
            assert time.monotonic() - began < 3.5
            await response.aclose()


@pytest.mark.parametrize(("path", "more"), ROUTES)
async def test_a_gateway_that_stops_cancels_what_nobody_can_read_on(
    new_mesh: NewMesh, path: str, more: dict[str, Any]
) -> None:
    mesh = new_mesh()
    mesh.start("gateway", SLOW)
    asked = asyncio.create_task(ask(mesh, path, asking(path, SLOW) | more))
    await truth_once(mesh, lambda truth: any(run.texts for run in truth.runs.values()))
    await asyncio.to_thread(mesh.stop, "gateway")
    response = await asked
    last = response.text.rstrip().splitlines()[-1].removeprefix("data: ")
    assert "has to stop" in str(json.loads(last)["error"])
    truth = await truth_once(mesh, all_ended)
    ((_, run),) = truth.runs.items()
    assert isinstance(run.end, Cancelled), (run.cancel, run.n, run.last, len(run.texts))
