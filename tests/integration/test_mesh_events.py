"""The live mesh over HTTP: how it stands and what happens; who may cancel and drain."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import msgspec
import pytest

from mesh.gateway.store import Store
from mesh.protocol.accounts import RevokeKey
from mesh.worker.app import Drained
from tests.chatting import ask, events, get_message, new_chat, ok, refusal
from tests.integration.test_accounts import add, admin, bearer, make_key, signed_in
from tests.integration.test_trusted import site
from tests.integration.test_trusted import store as store
from tests.whole_mesh import SLOW, Mesh

LONG = "word " * 200


async def watch(http: httpx.AsyncClient, after: int | None = None) -> AsyncIterator[Any]:
    """The events of `/mesh/events`, those that happened with their id as `seq`."""
    headers = {} if after is None else {"Last-Event-ID": str(after)}
    async with http.stream("GET", "/mesh/events", headers=headers) as response:
        assert response.status_code == 200, await response.aread()
        seq = 0
        async for line in response.aiter_lines():
            if line.startswith("id: "):
                seq = int(line[4:])
            elif line.startswith("data: "):
                event = msgspec.json.decode(line[6:])
                yield event | ({"seq": seq} if event["event_type"] == "event" else {})


async def until(http: httpx.AsyncClient, holds: Callable[[Any], bool], after: int = 0) -> Any:
    """The first event of which something holds."""
    async for event in watch(http, after):
        if holds(event):
            return event


def running(event: Any) -> bool:
    return event["event_type"] == "state" and any(
        request["mine"] and request["state"] == "running" for request in event["requests"]
    )


async def test_the_mesh_is_shown_with_what_one_asked_for(mesh: Mesh) -> None:
    async with await mesh.client("watcher") as http:
        chat = await new_chat(http)
        answer = (await ask(http, chat, LONG, model=SLOW))["assistant_message"]["id"]
        state = await until(http, running)
        assert state["broker"] and state["operator"] and state["unfinished"] >= 1
        worker = next(worker for worker in state["workers"] if worker["name"] == SLOW)
        assert worker["models"] == [SLOW] and worker["slots"] > 0
        queue = next(queue for queue in state["queues"] if queue["model"] == SLOW)
        assert (queue["workers"], queue["slots"]) == (1, worker["slots"]) and queue["running"] >= 1
        mine = next(request for request in state["requests"] if request["mine"])
        assert (mine["rid"], mine["chat_id"], mine["worker"]) == (answer, chat, SLOW)
        await http.post(f"/chats/{chat}/messages/{answer}/cancel")


async def test_what_happens_is_told_from_where_one_was(mesh: Mesh) -> None:
    async with await mesh.client("teller") as http:
        chat = await new_chat(http)
        answer = (await ask(http, chat, "one two three"))["assistant_message"]["id"]
        await events(http, chat, answer)
        claim = (answer, "claim")
        claimed = await until(http, lambda told: (told.get("rid"), told.get("what")) == claim)
        assert claimed["mine"] and claimed["worker"] == "echo" and claimed["attempt"] == 1
        done = await until(http, lambda event: event.get("rid") == answer, after=claimed["seq"])
        assert (done["what"], done["tokens"]) == ("done", 3)
        assert "one two" not in msgspec.json.encode([claimed, done]).decode()


async def test_a_request_can_be_cancelled_by_its_id(mesh: Mesh) -> None:
    async with await mesh.client("canceller") as http, await mesh.client("operator") as other:
        chat = await new_chat(http)
        answer = (await ask(http, chat, LONG, model=SLOW))["assistant_message"]["id"]
        await until(http, running)
        stopped = ok(await other.post(f"/mesh/requests/{answer}/cancel"))
        assert stopped["cancelled"] and stopped["state"] == "cancelled"
        assert (await get_message(http, chat, answer))["state"] == "cancelled"
        for rid in ("0" * 32, "no-rid"):
            refusal(await http.post(f"/mesh/requests/{rid}/cancel"), 404, "not_found")


async def test_on_a_network_only_operators_act_on_what_is_not_theirs(
    new_mesh: Callable[..., Mesh],
) -> None:
    mesh = new_mesh()
    mesh.start("store", "gateway", SLOW)
    async with await mesh.client("asker") as asker, await mesh.client("other") as other:
        chat = await new_chat(asker)
        answer = (await ask(asker, chat, LONG, model=SLOW))["assistant_message"]["id"]
        await until(asker, running)
        mesh.stop("gateway")
        mesh.limit(allowed_hosts="127.0.0.1")  # no longer private
        mesh.start("gateway")
        state = await until(other, lambda event: bool(event.get("requests")))
        assert not state["operator"]
        assert [(each["rid"], each["mine"]) for each in state["requests"]] == [(None, False)]
        told = await until(other, lambda event: event.get("what") == "queued")
        assert "rid" not in told and "mine" not in told
        refusal(await other.post(f"/mesh/requests/{answer}/cancel"), 404, "not_found")
        refusal(await other.post(f"/workers/{SLOW}/drain"), 403, "forbidden")
        assert ok(await asker.post(f"/mesh/requests/{answer}/cancel"))["cancelled"]


async def state_of(stream: AsyncIterator[Any], holds: Callable[[Any], bool]) -> Any:
    """The next state of which something holds."""
    async with asyncio.timeout(30):
        async for event in stream:
            if event["event_type"] == "state" and holds(event):
                return event


async def ended(stream: AsyncIterator[Any]) -> None:
    """Read a stream to its end, which is not far."""
    async with asyncio.timeout(30):
        async for _ in stream:
            pass


async def test_who_watches_sees_what_they_may_see_by_now(new_mesh: Callable[..., Mesh]) -> None:
    mesh = new_mesh(allowed_hosts="127.0.0.1")  # not private
    mesh.start("store", "gateway", SLOW)
    (name, user), (other, _) = await add(mesh, "operator"), await add(mesh)
    async with (
        admin(mesh) as boss,
        signed_in(mesh, name) as http,
        signed_in(mesh, other) as asker,
        mesh.anonymous() as program,
    ):
        _, key = await make_key(http, scopes=["mesh"])
        program.headers.update(bearer(key))
        chat = await new_chat(asker)
        answer = (await ask(asker, chat, LONG, model=SLOW))["assistant_message"]["id"]
        by_token, by_key = watch(http), watch(program)
        for stream in (by_token, by_key):
            state = await state_of(stream, lambda state: bool(state["requests"]))
            assert state["operator"] and state["requests"][0]["rid"] == answer
        ok(await boss.put(f"/admin/users/{user}/role", json={"role": "user"}))
        await ended(by_token)
        state = await state_of(by_key, lambda state: not state["operator"])
        assert {each["rid"] for each in state["requests"]} == {None}
        assert ok(await asker.post(f"/mesh/requests/{answer}/cancel"))["cancelled"]
        async with asyncio.timeout(30):
            told = await anext(event async for event in by_key if event.get("what") == "cancelled")
        assert "rid" not in told
        ok(await boss.delete(f"/admin/users/{user}"))
        await ended(by_key)


async def test_watching_ends_with_what_one_was_let_in_by(mesh: Mesh, store: Store) -> None:
    name, _ = await add(mesh)
    website = await site(store)
    async with (
        signed_in(mesh, name) as http,
        mesh.anonymous() as program,
        mesh.anonymous(headers=website.header("ada")) as visitor,
    ):
        key_id, key = await make_key(http, scopes=["mesh"])
        program.headers.update(bearer(key))
        ok(await visitor.post("/auth/trusted"))
        streams = [watch(each) for each in (http, program, visitor)]
        for stream in streams:
            assert (await anext(stream))["event_type"] == "state"
        ok(await http.delete(f"/account/keys/{key_id}"))
        await ended(streams[1])
        ok(await http.delete("/auth/sessions"))
        await ended(streams[0])
        await store.ask(RevokeKey(key_id=website.key_id))
        await ended(streams[2])


@pytest.mark.parametrize("header", ["X-Forwarded-For", "Forwarded", "X-Forwarded-Host"])
async def test_through_a_proxy_nobody_operates_a_private_gateway(mesh: Mesh, header: str) -> None:
    async with await mesh.client("near") as near, await mesh.client("far") as far:
        far.headers[header] = "192.0.2.7"
        chat = await new_chat(near)
        answer = (await ask(near, chat, LONG, model=SLOW))["assistant_message"]["id"]
        await until(near, running)
        state = await until(far, lambda event: bool(event.get("requests")))
        assert not state["operator"]
        assert {each["rid"] for each in state["requests"]} == {None}
        refusal(await far.post(f"/mesh/requests/{answer}/cancel"), 404, "not_found")
        refusal(await far.post("/workers/nobody/drain"), 403, "forbidden")
        assert ok(await near.post(f"/mesh/requests/{answer}/cancel"))["cancelled"]


async def test_a_drained_worker_leaves(new_mesh: Callable[..., Mesh]) -> None:
    mesh = new_mesh()
    mesh.start("store", "gateway", "echo")
    async with await mesh.client("drainer") as http:
        assert ok(await http.post("/workers/echo/drain", json={"grace": 0}))["worker"] == "echo"
        left = await until(http, lambda event: event.get("what") == "stopped")
        assert left["worker"] == "echo"
        gone = lambda event: event["event_type"] == "state" and not event["workers"]  # noqa: E731
        await until(http, gone)
        refusal(await http.post("/workers/echo/drain"), 404, "not_found")
    with pytest.raises(Drained):
        mesh.stop("echo")


async def test_watching_takes_a_sign_in_and_ends_with_the_gateway(
    new_mesh: Callable[..., Mesh],
) -> None:
    mesh = new_mesh()
    mesh.start("store", "gateway")
    async with mesh.anonymous() as nobody, await mesh.client("watcher") as http:
        refusal(await nobody.get("/mesh/events"), 403, "not_authenticated")
        stream = watch(http)
        assert (await anext(stream))["event_type"] == "state"
        mesh.stop("gateway")
        assert [event async for event in stream if event["event_type"] != "state"] == []


async def test_chats_are_searched_and_named_over_http(mesh: Mesh) -> None:
    async with await mesh.client("finder") as http:
        chat = await new_chat(http)
        refusal(await http.post(f"/chats/{chat}/title"), 422, "conflict")
        answer = (await ask(http, chat, "Puffins nest"))["assistant_message"]["id"]
        await events(http, chat, answer)
        [hit] = ok(await http.get("/chats/search", params={"q": "PUFFINS"}))["hits"]
        assert (hit["chat"]["id"], hit["excerpt"]) == (chat, "Puffins nest")
        refusal(await http.get("/chats/search", params={"q": " "}), 400, "bad_request")
        named = ok(await http.post(f"/chats/{chat}/title"))  # the echo is no title
        assert named == {"title": "Puffins nest", "generated": False}
