"""Several answers to one body are let in together or not at all, and what never can be is said."""

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from mesh.gateway.queue import Queue
from mesh.protocol.request import Request
from tests.chatting import messages, new_chat, ok, refusal
from tests.integration.test_drafts import question
from tests.whole_mesh import ECHO, SLOW, Mesh

URL = "/v1/chat/completions"
HELLO: Any = {"model": ECHO, "messages": [{"role": "user", "content": "hello"}]}
ENDLESS: Any = {"prompt": "/repeat a", "model": SLOW, "params": {"max_tokens": 5000}}


@pytest.fixture
def two(new_mesh: Callable[..., Mesh]) -> Iterator[Mesh]:
    """A mesh in which a person may have two requests under way, and make five in a minute."""
    mesh = new_mesh(limit_concurrent=2, limit_requests=5)
    mesh.start("store", "gateway", ECHO, SLOW)
    yield mesh


def left(response: httpx.Response) -> tuple[int, int]:
    """Requests that may still be made, and be under way, as an answer's headers say."""
    names = ("requests", "concurrent")
    made, going = (int(response.headers[f"x-ratelimit-remaining-{name}"]) for name in names)
    return made, going


async def test_of_several_choices_none_is_taken_where_there_is_no_room_for_all(two: Mesh) -> None:
    async with await two.client("ada") as http:
        async with http.stream("POST", "/generate", json=ENDLESS) as running:
            assert left(running) == (4, 1)
            refused = await http.post(URL, json=HELLO | {"n": 2})
            assert refused.status_code == 429 and refused.headers["Retry-After"]
            assert "2 more" in refused.json()["error"]["message"]
            assert left(refused) == (4, 1), "nothing was taken"
            assert (await http.post(URL, json=HELLO)).status_code == 200


@pytest.mark.parametrize(
    ("asked", "param"),
    [(HELLO | {"n": 3}, "n"), ({"model": ECHO, "prompt": ["a", "b", "c"]}, "prompt")],
)
async def test_more_choices_than_may_ever_be_under_way_are_refused_for_good(
    two: Mesh, asked: Any, param: str
) -> None:
    async with await two.client("ada") as http:
        refused = await http.post(URL if param == "n" else "/v1/completions", json=asked)
        error = refused.json()["error"]
        assert (refused.status_code, error["param"]) == (400, param)
        assert "No more than 2 requests" in error["message"] and "3 can never" in error["message"]
        assert left(refused) == (5, 2)


async def test_more_drafts_than_may_ever_be_under_way_are_refused_and_nothing_is_kept(
    two: Mesh,
) -> None:
    async with await two.client("ada") as http:
        chat = await new_chat(http)
        parent = await question(http, chat)
        body = {"parent_id": parent, "n": 3, "model_config_name": ECHO}
        response = await http.post(f"/chats/{chat}/drafts", json=body)
        refusal(response, 400, "bad_request")
        assert response.json()["param"] == "n"
        assert [message["id"] for message in await messages(http, chat)] == [parent]
        body["n"] = 2
        assert len(ok(await http.post(f"/chats/{chat}/drafts", json=body))["drafts"]) == 2


async def test_a_key_that_comes_again_is_not_counted_again(two: Mesh) -> None:
    async with await two.client("ada") as http:
        key = {"Idempotency-Key": "both"}
        told = [await http.post(URL, json=HELLO | {"n": 2}, headers=key) for _ in range(3)]
        assert [response.status_code for response in told] == [200] * 3
        assert {left(response)[0] for response in told} == {3}


async def test_the_same_that_is_sent_twice_at_once_is_let_in_and_counted_once(two: Mesh) -> None:
    async with await two.client("ada") as http:
        key = {"Idempotency-Key": "at once"}
        asking = [http.post(URL, json=HELLO | {"n": 2}, headers=key) for _ in range(3)]
        told = await asyncio.gather(*asking)
        assert [response.status_code for response in told] == [200] * 3, told[-1].text
        assert len({response.content for response in told}) == 1
        assert {left(response)[0] for response in told} == {3}


async def test_drafts_that_are_asked_for_several_times_at_once_are_the_same(two: Mesh) -> None:
    async with await two.client("ada") as http:
        chat = await new_chat(http)
        body = {"parent_id": await question(http, chat), "n": 2, "model_config_name": ECHO}
        key = {"Idempotency-Key": "at once"}
        asking = [http.post(f"/chats/{chat}/drafts", json=body, headers=key) for _ in range(5)]
        told = [ok(each)["drafts"] for each in await asyncio.gather(*asking)]
        assert len({tuple(each["id"] for each in drafts) for drafts in told}) == 1
        assert len(await messages(http, chat)) == 3


async def test_of_two_that_want_all_the_room_there_is_one_gets_it(
    new_mesh: Callable[..., Mesh], monkeypatch: pytest.MonkeyPatch
) -> None:
    mesh = new_mesh(req_max_per_tenant=2)
    mesh.start("store", "gateway", SLOW)
    put, begun = Queue.put, set[str]()

    async def one_by_one(queue: Queue, request: Request, *where: Any, **more: Any) -> Any:
        """Of each two the second is late: the first of the others may take its room."""
        said = request.messages[-1].content
        if said in begun:
            await asyncio.sleep(0.5)
        begun.add(said)
        return await put(queue, request, *where, **more)

    monkeypatch.setattr(Queue, "put", one_by_one)
    async with await mesh.client("ada") as http:
        wanted = []
        for text in ("/repeat a", "/repeat b"):
            chat = await new_chat(http)
            body = {"parent_id": await question(http, chat, text), "n": 2}
            wanted.append((f"/chats/{chat}/drafts", body | {"model_config_name": SLOW}))
        found = await asyncio.gather(*(http.post(url, json=body) for url, body in wanted))
        assert sorted(each.status_code for each in found) == [200, 429]
