"""What is asked beside the queue, embeddings and counts of tokens: limits hold for it, and nobody's
thousand delays another's one."""

import asyncio
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from mesh.gateway.abreast import AT_ONCE
from mesh.worker.engines.echo import EchoEngine
from mesh.worker.engines.embedding import Embedding
from tests.integration.test_ask import ask
from tests.whole_mesh import ECHO, Mesh

BODIES, TEXTS = 30, 20


async def tokenized(http: httpx.AsyncClient) -> httpx.Response:
    return await http.post("/tokenize", json={"prompt": "one two", "model": ECHO})


async def embedded(http: httpx.AsyncClient, *texts: str) -> httpx.Response:
    return await http.post("/v1/embeddings", json={"input": texts, "model": ECHO})


def left(response: httpx.Response) -> int:
    return int(response.headers["x-ratelimit-remaining-requests"])


async def until(what: Callable[[], Any]) -> None:
    async with asyncio.timeout(60):
        while not what():
            await asyncio.sleep(0.01)


async def test_to_count_a_text_s_tokens_is_a_request_at_every_gateway(
    new_mesh: Callable[..., Mesh],
) -> None:
    one = new_mesh(limit_requests=2)
    two = new_mesh(gateway_name="gw2", limit_requests=2)
    one.start("store", "gateway", ECHO)
    two.start("gateway")
    async with await one.client("ada") as here:
        there = two.anonymous(headers=here.headers)
        first = await tokenized(here)
        assert (first.status_code, left(first)) == (200, 1)
        async with there, asyncio.timeout(60):
            while left(await there.get("/account/limits")) != 1:
                await asyncio.sleep(0.02)
            second = await tokenized(there)
            assert (second.status_code, left(second)) == (200, 0)
            refused = await tokenized(there)
            assert (refused.status_code, refused.json()["error"]["code"]) == (429, "rate_limited")
            assert 50 < int(refused.headers["Retry-After"]) <= 60 and left(refused) == 0


async def test_a_question_that_is_counted_is_one_request(new_mesh: Callable[..., Mesh]) -> None:
    mesh = new_mesh(limit_requests=3, client_quota=1000)
    mesh.start("store", "gateway", ECHO)
    async with await mesh.client("ada") as http:
        answered = await ask(http, question="x" * 600)
        assert (answered.status_code, left(answered)) == (200, 2)
        long = "word " * 900
        refused = [await ask(http, question=long) for _ in range(3)]
    assert [each.status_code for each in refused] == [402, 402, 429]
    assert [left(each) for each in refused] == [1, 0, 0]


async def test_a_thousand_texts_of_one_user_do_not_delay_another_s_one(
    new_mesh: Callable[..., Mesh], monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[str] = []
    room, embed = asyncio.Lock(), EchoEngine.embed

    async def one_by_one(engine: EchoEngine, text: str) -> Embedding:
        async with room:
            await asyncio.sleep(0.005)
            made.append(text)
            return await embed(engine, text)

    monkeypatch.setattr(EchoEngine, "embed", one_by_one)
    mesh = new_mesh()
    mesh.start("store", "gateway", ECHO)
    async with await mesh.client("ada") as ada, await mesh.client("bob") as bob:
        asked = [asyncio.create_task(embedded(ada, *["ada's"] * TEXTS)) for _ in range(BODIES)]
        await until(lambda: len(made) > TEXTS)
        await asyncio.sleep(0.5)  # all bodies have come
        before = len(made)
        assert (await embedded(bob, "bob's")).status_code == 200
        assert before < made.index("bob's") <= before + 4 * AT_ONCE
        assert len(made) < BODIES * TEXTS, "ada's were still waiting"
        assert {(await each).status_code for each in asked} == {200}


async def test_who_asks_for_more_at_once_than_may_be_is_told_to_come_later(
    new_mesh: Callable[..., Mesh], monkeypatch: pytest.MonkeyPatch
) -> None:
    come: list[str] = []
    go, embed = asyncio.Event(), EchoEngine.embed

    async def held(engine: EchoEngine, text: str) -> Embedding:
        come.append(text)
        while text == "ada's" and not go.is_set():  # an event of another loop
            await asyncio.sleep(0.01)
        return await embed(engine, text)

    monkeypatch.setattr(EchoEngine, "embed", held)
    mesh = new_mesh(req_max_per_tenant=2, limit_requests=3)
    mesh.start("store", "gateway", ECHO)
    async with await mesh.client("ada") as ada, await mesh.client("bob") as bob:
        asked = [asyncio.create_task(embedded(ada, "ada's")) for _ in range(2)]
        await until(lambda: len(come) == 2)
        refused = await embedded(ada, "ada's")
        assert refused.status_code == 429 and left(refused) == 1, "what is refused is not counted"
        assert refused.json()["error"]["code"] == "share_full"
        assert refused.headers["Retry-After"] == "2"
        assert (await tokenized(ada)).json()["error"]["code"] == "share_full"
        assert (await embedded(bob, "bob's")).status_code == 200
        go.set()
        assert [(await each).status_code for each in asked] == [200, 200]
        assert (await tokenized(ada)).status_code == 200
