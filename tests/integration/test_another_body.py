"""One idempotency key, and then something else under it: refused, whatever it is that differs.

But for how the answer is read, and for what a gateway of an older version has accepted, which noted
less of what it was asked.
"""

from collections.abc import AsyncIterator
from secrets import token_hex
from typing import Any

import httpx
import pytest

from mesh.gateway.requests import Requests
from tests.chatting import new_chat
from tests.integration.test_drafts import question
from tests.whole_mesh import ECHO, Mesh

SAID: list[dict[str, Any]] = [{"role": "user", "content": "hello"}]
CHAT: dict[str, Any] = {"model": ECHO, "messages": SAID}
TEXT: dict[str, Any] = {"model": ECHO, "prompt": "hello"}
RESPONSE: dict[str, Any] = {"model": ECHO, "input": "hello"}
ROUTES = {
    "/v1/chat/completions": CHAT,
    "/v1/completions": TEXT,
    "/v1/responses": RESPONSE,
    "/v1/runs": CHAT,
}


@pytest.fixture
async def http(mesh: Mesh) -> AsyncIterator[httpx.AsyncClient]:
    async with await mesh.client(f"keys-{token_hex(4)}") as client:
        yield client


async def ask(http: httpx.AsyncClient, url: str, key: str, body: Any, **more: Any) -> int:
    """The status."""
    headers = {"Idempotency-Key": key}
    response = await http.post(url, json=body | more, headers=headers)
    if response.status_code == 422:
        assert response.json()["error"]["code"] == "conflict"
        assert "use a new key" in response.json()["error"]["message"]
    return response.status_code


@pytest.mark.parametrize("url", ROUTES)
async def test_what_the_model_is_not_asked_counts_too(http: httpx.AsyncClient, url: str) -> None:
    body = ROUTES[url] | {"user": "u1"}
    assert await ask(http, url, "k", body) == 200
    assert await ask(http, url, "k", dict(reversed(body.items())), top_p=None) == 200
    assert await ask(http, url, "k", body, user="u2") == 422
    assert await ask(http, url, "k", ROUTES[url]) == 422
    assert await ask(http, url, "k", body) == 200


@pytest.mark.parametrize(
    "other", [{"metadata": {"a": "c"}}, {"store": False}, {"background": True}, {"metadata": None}]
)
async def test_a_response_is_that_of_its_whole_body(
    http: httpx.AsyncClient, other: dict[str, Any]
) -> None:
    body = RESPONSE | {"metadata": {"a": "b"}}
    assert await ask(http, "/v1/responses", "k", body) == 200
    assert await ask(http, "/v1/responses", "k", body | other) == 422


async def test_how_an_answer_is_read_may_differ(http: httpx.AsyncClient) -> None:
    for url in ("/v1/chat/completions", "/v1/completions", "/v1/responses"):
        assert await ask(http, url, f"k{url}", ROUTES[url]) == 200
        assert await ask(http, url, f"k{url}", ROUTES[url], stream=True) == 200
    more = {"stream": True, "stream_options": {"include_usage": True}}
    assert await ask(http, "/v1/chat/completions", "k/v1/chat/completions", CHAT, **more) == 200


@pytest.mark.parametrize("first", ["/v1/chat/completions", "/v1/responses"])
async def test_another_route_is_another_request(http: httpx.AsyncClient, first: str) -> None:
    """Though the model is asked the same."""
    (second,) = {"/v1/chat/completions", "/v1/responses"} - {first}
    assert await ask(http, first, "k", ROUTES[first]) == 200
    assert await ask(http, second, "k", ROUTES[second]) == 422


async def test_what_an_older_gateway_accepted_is_the_same_to_this_one(
    http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It knows one digest, of what the model is asked; and it finds that in what we accept."""
    submit = Requests.submit

    async def as_older(requests: Requests, made: Any, *given: Any, **named: Any) -> Any:
        return await submit(requests, made, *given, **(named | {"note": ""}))

    monkeypatch.setattr(Requests, "submit", as_older)
    url = "/v1/chat/completions"
    assert await ask(http, url, "k", CHAT) == 200
    monkeypatch.undo()
    assert await ask(http, url, "k", CHAT) == 200
    assert await ask(http, url, "k", CHAT, user="u") == 200  # as the older one would say
    assert await ask(http, url, "k", CHAT, temperature=0.1) == 422


KINDS: dict[str, dict[str, Any]] = {
    "/v1/chat/completions": CHAT,
    "/v1/runs": CHAT,
    "/api/messages/process": {"messages": SAID, "model": ECHO},
}


@pytest.mark.parametrize("first", KINDS)
@pytest.mark.parametrize("second", KINDS)
async def test_a_key_that_began_a_run_begins_no_answer_and_the_other_way_round(
    http: httpx.AsyncClient, first: str, second: str
) -> None:
    headers = {"Idempotency-Key": "k"}
    assert (await http.post(first, json=KINDS[first], headers=headers)).status_code == 200
    expected = 200 if first == second else 422
    again = await http.post(second, json=KINDS[second], headers=headers)
    assert again.status_code == expected, again.text


@pytest.mark.parametrize("other", KINDS)
@pytest.mark.parametrize("drafts_first", [True, False])
async def test_a_key_that_began_drafts_begins_nothing_else_and_the_other_way_round(
    http: httpx.AsyncClient, other: str, drafts_first: bool
) -> None:
    chat = await new_chat(http)
    drafts = f"/chats/{chat}/drafts"
    body = {"parent_id": await question(http, chat), "model_config_name": ECHO, "n": 2}
    asked: dict[str, Any] = {drafts: body, other: KINDS[other]}
    first, second = (drafts, other) if drafts_first else (other, drafts)
    for url, status in ((first, 200), (second, 422), (first, 200)):
        response = await http.post(url, json=asked[url], headers={"Idempotency-Key": "k"})
        assert response.status_code == status, response.text


async def on_threads(http: httpx.AsyncClient) -> list[dict[str, Any]]:
    """What `POST /v1/runs` takes for a run on either of two threads."""
    assistant = (await http.post("/v1/assistants", json={"model": ECHO})).json()["id"]
    said = {"messages": [{"content": "hello"}]}
    threads = [(await http.post("/v1/threads", json=said)).json()["id"] for _ in range(2)]
    return [{"thread_id": each, "assistant_id": assistant} for each in threads]


@pytest.mark.parametrize("first", range(3))
@pytest.mark.parametrize("second", range(3))
async def test_a_run_posted_for_one_thing_is_not_posted_for_another(
    http: httpx.AsyncClient, first: int, second: int
) -> None:
    bodies = [CHAT, *await on_threads(http)]
    again = 200 if first == second else 422
    statuses = [(first, 200), (second, again), (first, 200)]
    for which, status in statuses:
        assert await ask(http, "/v1/runs", "k", bodies[which]) == status
    if first:
        assert await ask(http, "/v1/chat/completions", "k", CHAT) == 422
        runs = (await http.get(f"/v1/threads/{bodies[first]['thread_id']}/runs")).json()["data"]
        assert len(runs) == 1


async def test_a_run_that_was_not_begun_leaves_its_key_free(http: httpx.AsyncClient) -> None:
    one, other = await on_threads(http)
    assert await ask(http, "/v1/runs", "k", one | {"assistant_id": "none"}) == 404
    assert await ask(http, "/v1/runs", "k", other) == 200


async def test_a_thread_has_keys_of_its_own(http: httpx.AsyncClient) -> None:
    one, other = await on_threads(http)
    assert await ask(http, "/v1/runs", "k", one) == 200
    path, body = f"/v1/threads/{other['thread_id']}/runs", {"assistant_id": other["assistant_id"]}
    assert await ask(http, path, "k", body) == 200


async def test_a_key_that_led_elsewhere_begins_no_run_on_a_thread(http: httpx.AsyncClient) -> None:
    said = [{"content": "hello"}]
    thread = (await http.post("/v1/threads", json={"messages": said})).json()["id"]
    assistant = (await http.post("/v1/assistants", json={"model": ECHO})).json()["id"]
    url, body = f"/v1/threads/{thread}/runs", {"assistant_id": assistant}
    assert await ask(http, "/v1/chat/completions", "k", CHAT) == 200
    assert await ask(http, url, "k", body) == 422
    assert await ask(http, url, "another", body) == 200
    assert await ask(http, url, "another", body) == 200
