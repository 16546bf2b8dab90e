"""Bad input on the mesh's own routes: refused in one shape, with a sentence, and never a 500."""

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest

from tests.chatting import answer, ask, new_chat, ok, refusal
from tests.whole_mesh import Mesh

DEEP = b'{"content":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
BODIES = {
    "not JSON": b"hello",
    "cut off": b'{"content": "hel',
    "invalid UTF-8": b'{"content": "\xff\xfe"}',
    "half a surrogate pair": b'{"content": "\\ud800"}',
    "deep": DEEP,
    "a list": b"[]",
    "a number": b"7",
    "null": b"null",
    "wrong types": b'{"content": 7, "parent_id": [], "score": "x", "report_type": 1, '
    b'"title": {}, "reason": 1, "prompt": [], "hidden": "yes"}',
}
ROUTES = (
    "POST /chats",
    "PUT /chats/{chat}",
    "POST /chats/{chat}/prompter_message",
    "POST /chats/{chat}/assistant_message",
    "POST /chats/{chat}/messages",
    "POST /chats/{chat}/messages/{message}/votes",
    "POST /chats/{chat}/messages/{message}/reports",
)


@pytest.mark.parametrize("what", BODIES)
async def test_no_body_is_a_500(mesh: Mesh, what: str) -> None:
    async with await mesh.client("bad bodies") as http:
        chat = await new_chat(http)
        message = (await answer(http, chat, "hello"))["id"]
        for route in ROUTES:
            method, _, path = route.format(chat=chat, message=message).partition(" ")
            response = await http.request(method, path, content=BODIES[what])
            assert response.status_code in (400, 422), (route, response.text)
            refusal(response, response.status_code, "bad_request")
        assert len(ok(await http.get(f"/chats/{chat}"))["messages"]) == 2


async def test_wrong_fields_are_named(mesh: Mesh) -> None:
    async with await mesh.client("named fields") as http:
        chat = await new_chat(http)
        missing = await http.post(f"/chats/{chat}/prompter_message", json={})
        assert "content" in refusal(missing, 400, "bad_request")
        empty = await http.post(f"/chats/{chat}/prompter_message", json={"content": ""})
        assert empty.json()["param"] == "content"
        parameter = await http.get("/chats", params={"limit": "many"})
        assert "limit" in refusal(parameter, 400, "bad_request")


async def test_empty_and_huge_messages_are_refused_for_what_they_are(mesh: Mesh) -> None:
    async with await mesh.client("sizes") as http:
        chat = await new_chat(http)
        for route in ("prompter_message", "messages"):
            path = f"/chats/{chat}/{route}"
            for content in ("", " \n\t"):
                refusal(await http.post(path, json={"content": content}), 400, "empty_prompt")
            long = await http.post(path, json={"content": "x" * 100_001})
            assert "100,000" in refusal(long, 413, "too_large")
            huge = await http.post(path, content=b"x" * (5 << 20))
            refusal(huge, 413, "too_large")
        body = {"content": "hello", "system_prompt": "x" * 100_001}
        refusal(await http.post(f"/chats/{chat}/messages", json=body), 413, "too_large")


async def test_odd_text_is_kept_as_it_came(mesh: Mesh) -> None:
    async with await mesh.client("odd text") as http:
        chat, parent = await new_chat(http), None
        for content in ("a\x00b", "\u202e\ufeff 👩‍👩‍👧 \U0010ffff", "'; DROP TABLE chats; --"):
            done = await answer(http, chat, content, parent=parent)
            assert done["content"] == content
            parent = done["id"]


@pytest.mark.parametrize(
    "path",
    [
        "/chats/%00",
        "/chats/%ff%fe",
        "/chats/../chats/x",
        "/chats/*/messages/>/events",
        "/chats/%2e%2e/messages/%0a/events",
        "/chats/" + "x" * 5000,
        "/chats/x/messages/\u00e9/events",
        "/nowhere",
    ],
)
async def test_odd_paths_are_404(mesh: Mesh, path: str) -> None:
    async with await mesh.client("odd paths") as http:
        refusal(await http.get(path), 404, "not_found")


async def test_a_wrong_method_is_405(mesh: Mesh) -> None:
    async with await mesh.client("methods") as http:
        response = await http.patch("/chats")
        refusal(response, 405, "bad_request")
        assert response.headers["allow"] == "GET, HEAD, OPTIONS, POST"
        response = await http.patch("/chats/a/messages/b")
        assert response.headers["allow"] == "GET, HEAD, OPTIONS"
        assert (await http.options("/chats")).headers["allow"] == "GET, HEAD, OPTIONS, POST"
        response = await http.put("/v1/models/somebody/model")
        assert response.status_code == 405
        assert response.headers["allow"] == "DELETE, GET, HEAD, OPTIONS"


async def test_a_body_that_does_not_say_how_long_it_is_is_refused_with_a_sentence(
    mesh: Mesh,
) -> None:
    async def without_end() -> AsyncIterator[bytes]:
        for _ in range(7):
            yield b"x" * (1 << 20)

    async with await mesh.client("chunks") as http:
        response = await http.post("/chats", content=without_end())
        refusal(response, 413, "too_large")
        assert "send less" in response.json()["detail"]


async def test_who_sends_such_a_body_to_its_end_before_listening_hears_the_sentence(
    mesh: Mesh,
) -> None:
    async with await mesh.client("to the end") as http:
        signed = http.headers["authorization"]
    reader, writer = await asyncio.open_connection("127.0.0.1", mesh.port)
    head = f"POST /chats HTTP/1.1\r\nHost: {http.base_url.netloc.decode()}\r\n"
    head += f"Authorization: {signed}\r\nTransfer-Encoding: chunked\r\n\r\n"
    writer.write(head.encode())
    for _ in range(24):
        writer.write(b"100000\r\n" + b"x" * (1 << 20) + b"\r\n")
        await writer.drain()
    writer.write(b"0\r\n\r\n")
    async with asyncio.timeout(60):
        answered = await reader.readuntil(b"\r\n\r\n")
    writer.close()
    assert answered.startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize("path", ["/chats", "/v1/models", "/v1/health", "/nowhere"])
async def test_head_has_the_headers_of_get_and_no_body(mesh: Mesh, path: str) -> None:
    async with await mesh.client("heads") as http:
        get, head = await http.get(path), await http.head(path)
    own = {"x-request-id", "date"}
    assert head.content == b"" != get.content
    assert head.status_code == get.status_code
    assert dict(head.headers.items()).keys() - own == dict(get.headers.items()).keys() - own
    assert head.headers["content-type"] == get.headers["content-type"]


async def test_head_of_a_stream_does_not_follow_it(mesh: Mesh) -> None:
    async with await mesh.client("head of a stream") as http:
        chat = await new_chat(http)
        asked = await ask(http, chat, "/repeat on")
        message = asked["assistant_message"]["id"]
        path = f"/chats/{chat}/messages/{message}/events"
        head = await http.head(path, timeout=30)
        assert head.headers["content-type"].startswith("text/event-stream")
        assert head.content == b""


async def test_odd_headers_and_queries_are_refused(mesh: Mesh) -> None:
    async with mesh.anonymous() as http:
        for name, value in (
            (b"authorization", b"\xff\xfe"),
            (b"authorization", b"Bearer " + b"x" * 10_000),
            (b"refresh", b"\xff" * 40),
        ):
            path = "/auth/refresh" if name == b"refresh" else "/chats"
            refusal(await http.get(path, headers=[(name, value)]), 401, "invalid_token")
        refusal(await http.get("/auth/callback/debug?code=%20"), 400, "bad_request")


async def test_half_a_request_does_no_harm(mesh: Mesh) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", mesh.port)
    writer.write(b"POST /chats HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 100\r\n\r\n{")
    await writer.drain()
    writer.close()
    await writer.wait_closed()
    async with await mesh.client("after half") as http:
        assert await new_chat(http)


@pytest.mark.parametrize(
    "sent",
    [b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", b"Content-Length: 100\r\n\r\n{"],
    ids=["no chunk", "cut off"],
)
@pytest.mark.parametrize("path", ["/chats", "/generate", "/v1/chat/completions"])
async def test_a_body_that_breaks_off_is_the_clients_fault(
    mesh: Mesh, path: str, sent: bytes
) -> None:
    async with mesh.anonymous() as http:
        token = (await http.get("/auth/callback/debug?code=cut")).json()["access_token"]
    reader, writer = await asyncio.open_connection("127.0.0.1", mesh.port)
    writer.write(
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        f"Authorization: Bearer {token['access_token']}\r\n".encode()
        + sent
    )
    writer.write_eof()
    async with asyncio.timeout(60):
        status = await reader.readline()
    writer.close()
    assert status.startswith(b"HTTP/1.1 400 ")


async def test_the_document_is_served(mesh: Mesh) -> None:
    async with httpx.AsyncClient(base_url=mesh.url, timeout=60) as http:
        assert ok(await http.get("/openapi.json"))["openapi"] == "3.1.0"
