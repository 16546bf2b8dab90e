"""Who leaves while a request is being accepted, and what a gateway that stops leaves behind."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest

from mesh.gateway.streams import CUT
from mesh.protocol.events import Cancelled, Done
from tests.chatting import ask as question
from tests.chatting import new_chat, ok, refusal
from tests.truth import Truth, read_truth
from tests.whole_mesh import ECHO, SINGLE, SLOW, Mesh

OPENAI = "/v1/chat/completions"

WORDS = "word " * 100
KEY = {"Idempotency-Key": "once"}

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
        return await http.post(path, json=body, timeout=httpx.Timeout(30.0, read=patience))


async def truth_once(mesh: Mesh, holds: Callable[[Truth], bool], seconds: float = 30.0) -> Truth:
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
        await ask(mesh, path, asking(path, SLOW) | more, patience=1.0)
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
            await ask(mesh, path, asking(path, SLOW) | more, patience=1.0)
    finally:
        mesh.broker.resume()
    truth = await truth_once(mesh, all_ended)
    ((_, run),) = truth.runs.items()
    assert isinstance(run.end, Cancelled), (run.cancel, run.n, run.last, len(run.texts))


async def held_while_the_log_is_silent(
    mesh: Mesh, http: httpx.AsyncClient, waiting: httpx.Request
) -> float:
    """Seconds until the headers of an accepted request that has to wait for its turn."""
    mesh.broker.pause()
    began = time.monotonic()
    headers = asyncio.create_task(http.send(waiting, stream=True))
    await asyncio.sleep(1.5)  # this long the log accepts nothing
    mesh.broker.resume()
    response = await headers
    seconds = time.monotonic() - began
    assert response.status_code == 200
    await response.aclose()
    return seconds


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
            took = list[float]()
            while not took or min(took) >= 3.5:  # a busy machine may be late now and then
                assert len(took) < 4, took
                waiting = http.build_request("POST", path, json=asking(path, SINGLE) | more)
                took.append(await held_while_the_log_is_silent(mesh, http, waiting))


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


async def _chat(mesh: Mesh, http: httpx.AsyncClient) -> httpx.Request:
    chat = await new_chat(http)
    asked = await question(http, chat, WORDS, model=SLOW)
    url = f"/chats/{chat}/messages/{asked['assistant_message']['id']}/events"
    return http.build_request("GET", url)


async def _keyed(mesh: Mesh, http: httpx.AsyncClient) -> httpx.Request:
    body = asking("/generate", SLOW, WORDS)
    return http.build_request("POST", "/generate", json=body, headers=KEY)


async def _run(mesh: Mesh, http: httpx.AsyncClient) -> httpx.Request:
    said = [{"role": "user", "content": WORDS}]
    begun = ok(await http.post("/v1/runs", json={"model": SLOW, "messages": said}))
    return http.build_request("GET", f"/v1/runs/{begun['id']}/events")


@pytest.mark.parametrize("begin", [_chat, _keyed, _run])
async def test_a_gateway_that_stops_says_so_to_whoever_can_read_on(
    new_mesh: NewMesh, begin: Callable[[Mesh, httpx.AsyncClient], Awaitable[httpx.Request]]
) -> None:
    mesh = new_mesh()
    mesh.start("store", "gateway", SLOW)
    async with await mesh.client("reader") as http:
        request = await begin(mesh, http)
        response = await http.send(request, stream=True)
        reading = asyncio.create_task(response.aread())
        await truth_once(mesh, lambda truth: any(run.texts for run in truth.runs.values()))
        await asyncio.to_thread(mesh.stop, "gateway")
        told = (await reading).decode()
        *_, last = told.removesuffix("\n\n").split("\n\n")
        assert last.encode() + b"\n\n" == CUT, told
        await asyncio.to_thread(mesh.start, "gateway")
        again = (await http.send(request)).text
    assert again.count("word") >= 100 and CUT.decode() not in again
    truth = await truth_once(mesh, all_ended)
    ((_, run),) = truth.runs.items()
    assert isinstance(run.end, Done)


async def test_who_waits_to_be_accepted_by_a_gateway_that_stops_is_told(new_mesh: NewMesh) -> None:
    """In the dialect of each route, with a status and a time to come back."""
    mesh = new_mesh()
    mesh.start("store", "gateway", SLOW)
    whose = {"client_id": "c", "user_id": "u"}
    async with await mesh.client("reader") as http:
        chat = f"/chats/{await new_chat(http)}/messages"
        bodies = {path: asking(path, SLOW) for path in ("/generate", OPENAI)} | {
            "/v1/completions": {"model": SLOW, "prompt": "a"},
            "/v1/responses": {"model": SLOW, "input": "a"},
            "/v1/ask": {"model": SLOW, "question": "a", "stream": False} | whose,
            chat: {"content": "a", "parent_id": None, "model_config_name": SLOW},
        }
        mesh.broker.pause()
        try:
            asked = [
                asyncio.create_task(http.post(path, json=body)) for path, body in bodies.items()
            ]
            done, _ = await asyncio.wait(asked, timeout=0.5)
            assert not done
            stopping = asyncio.create_task(asyncio.to_thread(mesh.stop, "gateway"))
            told = dict(zip(bodies, await asyncio.gather(*asked), strict=True))
        finally:
            mesh.broker.resume()
        await stopping
    for path, response in told.items():
        assert response.status_code == 503, (path, response.text)
        assert int(response.headers["Retry-After"]) >= 1, path
        assert "has to stop" in response.text, (path, response.text)
    assert refusal(told[chat], 503, "gateway_stopping")
    assert told[OPENAI].json()["error"]["code"] == "gateway_stopping"


async def test_who_waits_for_the_whole_when_the_gateway_stops_is_told(new_mesh: NewMesh) -> None:
    mesh = new_mesh()
    mesh.start("gateway", SLOW)
    async with mesh.anonymous() as http:
        asked = asyncio.create_task(http.post(OPENAI, json=asking(OPENAI, SLOW)))
        await truth_once(mesh, lambda truth: any(run.texts for run in truth.runs.values()))
        await asyncio.to_thread(mesh.stop, "gateway")
        response = await asked
    assert response.status_code == 503 and response.headers["Retry-After"], response.text
    assert response.json()["error"]["code"] == "gateway_stopping"


async def test_what_was_to_be_cancelled_is_cancelled_though_nobody_goes_on_with_it(
    new_mesh: NewMesh,
) -> None:
    """Its worker has left, and none comes until its time is over."""
    mesh = new_mesh(request_timeout=5.0)
    mesh.start("gateway", SLOW)
    async with mesh.anonymous() as http:
        body = asking("/generate", SLOW)
        async with http.stream("POST", "/generate", json=body) as response:
            assert "id: 0" in await anext(response.aiter_lines())
            await asyncio.to_thread(mesh.stop, SLOW)
    truth = await truth_once(mesh, all_ended, seconds=60.0)
    ((_, run),) = truth.runs.items()
    assert isinstance(run.end, Cancelled) and run.end.text == run.text != ""


async def test_an_answer_that_no_message_could_carry_is_cut_off_before(new_mesh: NewMesh) -> None:
    mesh = new_mesh()
    mesh.start("gateway", ECHO)
    async with mesh.anonymous() as http:
        body = asking(OPENAI, ECHO, "/repeat " + 1_000_000 * "x", most=12)
        answer = ok(await http.post(OPENAI, json=body))
    (choice,) = answer["choices"]
    assert choice["finish_reason"] == "length"
    assert 4_000_000 < len(choice["message"]["content"]) < 8_000_000
