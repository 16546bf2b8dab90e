"""`POST /v1/ask` and what its clients may use: shapes, refusals, quotas, and what leaving does."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.whole_mesh import ECHO, FAILING, SLOW, Mesh


def question(text: str = "one two three", **more: Any) -> dict[str, Any]:
    return {"question": text, "client_id": "1234", "user_id": "u", "stream": False} | more


async def ask(http: httpx.AsyncClient, model: str = ECHO, **more: Any) -> httpx.Response:
    return await http.post("/v1/ask", json=question(model=model, **more))


async def used(http: httpx.AsyncClient, client: str = "1234") -> int:
    found = await http.get("/v1/client/info", params={"client_id": client})
    count: int = found.raise_for_status().json()["quota_used"]
    return count


def events(text: str) -> list[str]:
    return [line.removeprefix("data: ") for line in text.splitlines() if line.startswith("data")]


async def test_an_answer_has_exactly_the_keys_it_always_had(mesh: Mesh) -> None:
    async with await mesh.client("ask-whole") as http:
        answer = (await ask(http)).raise_for_status().json()
    assert list(answer) == ["id", "object", "created", "model", "usage", "choices"]
    assert answer["id"].startswith("chatcmpl-")
    assert (answer["object"], answer["model"]) == ("chat.completion", ECHO)
    usage = answer["usage"]
    assert set(usage) == {"prompt_tokens", "completion_tokens", "total_tokens"}
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]
    said = {"role": "assistant", "content": "one two three"}
    assert answer["choices"] == [{"message": said, "finish_reason": "stop", "index": 0}]


async def test_a_stream_has_role_content_end_and_done(mesh: Mesh) -> None:
    async with await mesh.client("ask-stream") as http:
        response = await ask(http, stream=True)
    assert response.headers["content-type"].startswith("text/event-stream")
    *chunks, done = events(response.text)
    assert done == "[DONE]"
    found = [json.loads(chunk) for chunk in chunks]
    assert len({(chunk["id"], chunk["created"], chunk["model"]) for chunk in found}) == 1
    assert {chunk["object"] for chunk in found} == {"chat.completion.chunk"}
    assert list(found[0]) == ["id", "object", "created", "model", "choices"]
    assert [chunk["choices"] for chunk in found] == [
        [{"delta": {"role": "assistant"}, "index": 0, "finish_reason": None}],
        [{"delta": {"content": "one "}, "index": 0, "finish_reason": None}],
        [{"delta": {"content": "two "}, "index": 0, "finish_reason": None}],
        [{"delta": {"content": "three"}, "index": 0, "finish_reason": None}],
        [{"delta": {}, "index": 0, "finish_reason": "stop"}],
    ]


async def test_a_stream_that_breaks_off_does_not_look_like_one_that_ended(mesh: Mesh) -> None:
    async with await mesh.client("ask-failing") as http:
        response = await ask(http, FAILING, question="/repeat a", stream=True)
    *chunks, last = events(response.text)
    assert chunks
    assert list(json.loads(last)) == ["msg"]
    assert "[DONE]" not in response.text
    assert '"stop"' not in response.text


@pytest.mark.parametrize("name", ["question", "client_id", "user_id", "stream"])
async def test_what_is_missing_is_a_400_with_a_message(mesh: Mesh, name: str) -> None:
    async with mesh.anonymous() as http:
        body = {key: value for key, value in question().items() if key != name}
        response = await http.post("/v1/ask", json=body)
    assert response.status_code == 400
    assert list(response.json()) == ["msg"]
    assert response.json()["msg"].startswith("Missing required parameters, ")


async def test_each_refusal_has_the_one_shape(mesh: Mesh) -> None:
    async with mesh.anonymous() as http:
        unknown = await ask(http, "none")
        forged = await http.post("/v1/ask", json=question(), headers={"Authorization": "Bearer x"})
        broken = await http.post("/v1/ask", content=b"\xff")
        unnamed = await http.get("/v1/client/info")
        nobody = await http.get("/v1/client/info", params={"client_id": "nobody"})
        failed = await ask(http, FAILING, question="/repeat a")
    every = (unknown, forged, broken, unnamed, nobody, failed)
    assert [response.status_code for response in every] == [404, 403, 400, 400, 404, 500]
    assert "client_id" in unnamed.json()["msg"]
    for response in every:
        assert list(response.json()) == ["msg"]
    assert failed.json() == {"msg": "Something wrong!"}


async def test_all_that_a_client_s_users_take_is_counted_at_once(mesh: Mesh) -> None:
    async with await mesh.client("ask-counted") as http:
        took = 0
        for user in ("ann", "bob"):
            usage = (await ask(http, user_id=user)).json()["usage"]
            took += usage["total_tokens"]
            assert await used(http) == took
        info = (await http.get("/v1/client/info", params={"client_id": "1234"})).json()
        assert info == {"client_id": "1234", "quota_used": took, "max_quota": 500_000}
    async with await mesh.client("ask-other") as http:
        response = await http.get("/v1/client/info", params={"client_id": "1234"})
        assert response.status_code == 404, "another tenant's client of the same name"


async def test_a_client_without_tokens_is_refused_and_no_other(
    new_mesh: Callable[..., Mesh],
) -> None:
    mesh = new_mesh(client_quota=100)
    mesh.start("store", "gateway", ECHO)
    async with await mesh.client("ada") as http:
        assert (await ask(http)).status_code == 200
        left = 100 - await used(http)
        words = "word " * left
        refused = await ask(http, question=words)
        assert (refused.status_code, refused.json()) == (
            402,
            {"msg": "Insufficient token (client)!"},
        )
        while (response := await ask(http)).status_code == 200:
            pass
        assert response.status_code == 402
        assert (await ask(http, client_id="another")).status_code == 200


async def test_questions_at_once_do_not_pass_the_quota_together(
    new_mesh: Callable[..., Mesh],
) -> None:
    mesh = new_mesh(client_quota=1000)
    mesh.start("store", "gateway", ECHO)
    words = "word " * 80
    async with await mesh.client("ada") as http:
        answers = await asyncio.gather(*(ask(http, question=words) for _ in range(40)))
        assert {each.status_code for each in answers} <= {200, 402, 429}
        refused = [each for each in answers if each.status_code == 429]
        assert refused and all(each.headers["Retry-After"] for each in refused)
        assert await used(http) <= 1000 + 250
        while (last := await ask(http, question=words)).status_code == 200:
            pass
        assert last.status_code == 402, "none is held any more: what is left is too little"
        assert await used(http) > 600


async def test_questions_are_answered_and_charged_while_the_store_is_away(
    new_mesh: Callable[..., Mesh],
) -> None:
    mesh = new_mesh()
    mesh.start("store", "gateway", ECHO)
    async with await mesh.client("ada") as http:
        first = (await ask(http)).json()["usage"]["total_tokens"]
        mesh.stop("store")
        second = (await ask(http)).raise_for_status().json()["usage"]["total_tokens"]
        mesh.start("store")
        assert await used(http) == first + second


async def test_who_hangs_up_pays_for_what_came(mesh: Mesh) -> None:
    async with await mesh.client("ask-leaving") as http:
        body = question("/repeat a", stream=True, model=SLOW)
        async with http.stream("POST", "/v1/ask", json=body) as response:
            lines = response.aiter_lines()
            seen = 0
            while seen < 4:
                seen += (await anext(lines)).startswith("data")
        count = 0
        async with asyncio.timeout(60):  # the worker is told, and says what it had generated
            while not count:
                count = await used(http)
        assert 3 < count < 1000


async def test_health_is_ok(mesh: Mesh) -> None:
    async with mesh.anonymous() as http:
        response = await http.get("/v1/health")
    assert response.status_code == 200
    found = response.json()
    workers = found.pop("workers")
    assert found == {"status": "ok", "broker": "ok", "store": "ok"}
    assert type(workers) is int and workers > 0


async def test_a_question_under_a_key_is_answered_and_charged_once(mesh: Mesh) -> None:
    key = {"Idempotency-Key": "asked-once"}
    async with await mesh.client("ask-once") as http:
        body = question(model=ECHO)
        first, again = [await http.post("/v1/ask", json=body, headers=key) for _ in range(2)]
        assert first.status_code == 200
        assert again.json() == first.json()
        assert await used(http) == first.json()["usage"]["total_tokens"]
        for other in (question("four five", model=ECHO), body | {"stream": True}):
            refused = await http.post("/v1/ask", json=other, headers=key)
            assert refused.status_code == 422
            assert "another body" in refused.json()["msg"]
    async with await mesh.client("ask-once-too") as http:
        other_user = await http.post("/v1/ask", json=body, headers=key)
        assert other_user.json()["id"] != first.json()["id"]


async def test_a_key_lets_an_answer_go_on_without_its_reader(mesh: Mesh) -> None:
    key = {"Idempotency-Key": "asked-and-left"}
    words = " ".join(["word"] * 30)
    async with await mesh.client("ask-left") as http:
        body = question(words, model=SLOW, stream=True)
        async with http.stream("POST", "/v1/ask", json=body, headers=key) as response:
            first = await anext(response.aiter_lines())
        again = await http.post("/v1/ask", json=body, headers=key)
        *chunks, done = events(again.text)
        assert (first.removeprefix("data: "), done) == (chunks[0], "[DONE]")
        told = [json.loads(chunk)["choices"][0]["delta"].get("content", "") for chunk in chunks]
        assert "".join(told).split() == words.split()


async def test_a_question_leaves_no_chat_and_the_next_one_knows_nothing_of_it(mesh: Mesh) -> None:
    async with await mesh.client("ask-stateless") as http:
        said = {"role": "user", "content": "and before that"}
        answers = [await ask(http), await ask(http), await ask(http, history=[said])]
        counts = [answer.json()["usage"]["prompt_tokens"] for answer in answers]
        assert counts[0] == counts[1] < counts[2], "only what it brings along itself"
        chats = await http.get("/chats", params={"include_hidden": True})
        assert chats.json()["chats"] == []
