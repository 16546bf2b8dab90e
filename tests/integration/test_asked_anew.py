"""What was refused under a key was never asked: the same key asks again, once, at any gateway."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from mesh.bus.api import StreamState
from mesh.bus.connection import Bus
from mesh.bus.jetstream import JetStream
from mesh.protocol import subjects
from tests.chatting import events, get_message, new_chat, ok
from tests.whole_mesh import SINGLE, SLOW, Mesh

KEY = {"Idempotency-Key": "mine"}
TEXT = "one two three four five six seven eight nine ten"
OPENAI: Any = {"messages": [{"role": "user", "content": TEXT}]}
ROUTES: dict[str, Any] = {
    "/generate": {"prompt": TEXT},
    "/v1/chat/completions": OPENAI,
    "/v1/responses": {"input": TEXT},
    "/v1/ask": {"question": TEXT, "client_id": "c", "user_id": "u", "stream": False},
}


async def looked_at(mesh: Mesh, stream: str, subject: str) -> StreamState:
    """How a stream stands, and what is in it under a subject."""
    bus = await Bus.connect([mesh.broker.url], *mesh.broker.credentials("gateway"))
    try:
        return (await JetStream(bus).stream_info(stream, subject)).state
    finally:
        await bus.close()


async def queued(mesh: Mesh) -> int:
    """How many requests are in the queue: those that are answered as well."""
    return (await looked_at(mesh, subjects.REQ_STREAM, subjects.REQ_ALL)).messages


async def told_of(mesh: Mesh) -> set[str]:
    """The requests that the log tells of."""
    found = await looked_at(mesh, subjects.RUN_STREAM, subjects.RUN_EVENTS)
    return {subjects.parse_run(subject).rid for subject in found.subjects}


@asynccontextmanager
async def busy(mesh: Mesh, http: httpx.AsyncClient, model: str, count: int) -> AsyncIterator[None]:
    """While so many endless answers are written, or wait to be."""
    body = {"prompt": "/repeat word", "model": model, "params": {"max_tokens": 5000}}
    asking = [asyncio.create_task(http.post("/generate", json=body)) for _ in range(count)]
    try:
        async with asyncio.timeout(60):
            while await queued(mesh) < count:
                await asyncio.sleep(0.02)
        yield
    finally:
        for task in asking:
            task.cancel()
        await asyncio.gather(*asking, return_exceptions=True)


async def refused(http: httpx.AsyncClient, url: str, body: Any) -> httpx.Response:
    """The refusal of what is asked: it says when to ask again, and that it is worth it."""
    response = await http.post(url, json=body, headers=KEY)
    assert response.status_code == 429, response.text
    assert int(response.headers["Retry-After"]) >= 1
    assert response.headers.get("x-should-retry") != "false"
    return response


async def accepted(http: httpx.AsyncClient, url: str, body: Any) -> httpx.Response:
    """The answer, once what was before it has made room."""
    async with asyncio.timeout(60):
        while (response := await http.post(url, json=body, headers=KEY)).status_code == 429:
            await asyncio.sleep(0.1)
    assert response.status_code == 200, response.text
    return response


@pytest.fixture
def gateways(new_mesh: Callable[..., Mesh]) -> tuple[Mesh, Mesh]:
    """Two gateways of one mesh, in whose queue a person may have two requests for a model."""
    one = new_mesh(req_max_per_tenant=2)
    two = new_mesh(req_max_per_tenant=2, gateway_name="gw2")
    one.start("store", "gateway", SINGLE, SLOW)
    two.start("gateway")
    return one, two


@pytest.mark.parametrize("url", ROUTES)
async def test_what_was_refused_is_asked_again_under_its_key_and_once(
    gateways: tuple[Mesh, Mesh], url: str
) -> None:
    one, two = gateways
    body = ROUTES[url] | {"model": SINGLE}
    async with await one.client("ada") as here, await two.client("ada") as there:
        async with busy(one, here, SINGLE, 2):
            await refused(here, url, body)
            told = await told_of(one)
            for http in (here, there):
                await refused(http, url, body)
            assert await told_of(one) == told, "who asks again and again fills no log"
        first = await accepted(there, url, body)
        again = [await http.post(url, json=body, headers=KEY) for http in (here, there)]
        assert [response.content for response in again] == [first.content] * 2
        other = await here.post(url, json=body | {"model": SLOW}, headers=KEY)
        assert other.status_code == 422


@pytest.mark.parametrize("model", [SINGLE, SLOW])
async def test_of_several_choices_none_is_lost_because_another_was_refused(
    gateways: tuple[Mesh, Mesh], model: str
) -> None:
    one, two = gateways
    url, body = "/v1/chat/completions", OPENAI | {"model": model, "n": 2}
    async with await one.client("ada") as here, await two.client("ada") as there:
        async with busy(one, here, model, 1):
            for http in (here, there):
                await refused(http, url, body)
        first = await accepted(there, url, body)
        assert [each["message"]["content"] for each in first.json()["choices"]] == [TEXT] * 2
        assert (await here.post(url, json=body, headers=KEY)).content == first.content


@pytest.mark.parametrize("model", [SINGLE, SLOW])
async def test_of_several_drafts_none_is_lost_because_another_was_refused(
    new_mesh: Callable[..., Mesh], model: str
) -> None:
    mesh = new_mesh(limit_concurrent=2)
    mesh.start("store", "gateway", SINGLE, SLOW)
    async with await mesh.client("ada") as http:
        chat = await new_chat(http)
        said = ok(await http.post(f"/chats/{chat}/prompter_message", json={"content": TEXT}))
        url = f"/chats/{chat}/drafts"
        body = {"parent_id": said["id"], "n": 2, "model_config_name": model}
        async with busy(mesh, http, model, 1):
            assert (await refused(http, url, body)).json()["code"] == "rate_limited"
        drafts = ok(await accepted(http, url, body))["drafts"]
        for draft in drafts:
            await events(http, chat, draft["id"])
            assert (await get_message(http, chat, draft["id"]))["content"] == TEXT
        again = ok(await http.post(url, json=body, headers=KEY))["drafts"]
        assert [each["id"] for each in again] == [each["id"] for each in drafts]
