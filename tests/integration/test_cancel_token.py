"""Cancel tokens: they stop one answer, once, from pages of any origin, and open nothing else."""

import asyncio
import time
from typing import Any

import httpx

from tests.chatting import ask, events, get_message, new_chat, ok, refusal, tokens
from tests.whole_mesh import SLOW, Mesh

NOTEBOOK = {"Origin": "http://localhost:8888"}
LONG = "/repeat lorem ipsum"


async def begun(http: httpx.AsyncClient) -> tuple[str, str]:
    """A chat, and an answer that is being written in it."""
    chat = await new_chat(http)
    message: str = (await ask(http, chat, LONG, model=SLOW))["assistant_message"]["id"]
    await events(http, chat, message, most=3)
    return chat, message


async def token_of(http: httpx.AsyncClient, chat: str, message: str) -> dict[str, Any]:
    given: dict[str, Any] = ok(await http.post(f"/chats/{chat}/messages/{message}/cancel_token"))
    return given


async def use(mesh: Mesh, token: str) -> httpx.Response:
    """Stop by token as a page of another origin does: no sign-in, no preflight."""
    headers = NOTEBOOK | {"Content-Type": "text/plain"}
    async with mesh.anonymous(headers=headers) as page:
        return await page.post("/cancel", json={"cancel_token": token}, headers=headers)


async def test_a_page_without_a_sign_in_stops_the_answer_of_its_token(mesh: Mesh) -> None:
    async with await mesh.client("token user") as http:
        chat, message = await begun(http)
        given = await token_of(http, chat, message)
        assert given["expires_at"] > time.time()
        response = await use(mesh, given["cancel_token"])
        stopped = ok(response)
        assert response.headers["access-control-allow-origin"] == "*"
        stored = await get_message(http, chat, message)
        assert (stopped["cancelled"], stored["state"]) == (True, "cancelled")
        assert stopped["tokens"] == len(stored["content"].split()) >= 3


async def test_it_works_once(mesh: Mesh) -> None:
    async with await mesh.client("token user") as http:
        chat, message = await begun(http)
        token = (await token_of(http, chat, message))["cancel_token"]
        ok(await use(mesh, token))
        assert "works once" in refusal(await use(mesh, token), 422, "conflict")


async def test_of_two_at_once_none_stops_more_than_its_answer(mesh: Mesh) -> None:
    async with await mesh.client("token user") as http:
        chat, message = await begun(http)
        other_chat, other = await begun(http)
        token = (await token_of(http, chat, message))["cancel_token"]
        found = await asyncio.gather(use(mesh, token), use(mesh, token))
        assert 200 in {response.status_code for response in found}
        assert (await get_message(http, other_chat, other))["state"] == "in_progress"
        ok(await http.post(f"/chats/{other_chat}/messages/{other}/cancel"))


async def test_an_ended_answer_gets_no_token(mesh: Mesh) -> None:
    async with await mesh.client("token user") as http:
        chat = await new_chat(http)
        message = (await ask(http, chat, "hello"))["assistant_message"]["id"]
        assert tokens(await events(http, chat, message)) in (["hello"], [])
        late = await http.post(f"/chats/{chat}/messages/{message}/cancel_token")
        refusal(late, 422, "conflict")


async def test_a_token_of_an_answer_that_has_ended_is_spent(mesh: Mesh) -> None:
    async with await mesh.client("token user") as http:
        chat, message = await begun(http)
        token = (await token_of(http, chat, message))["cancel_token"]
        ok(await http.post(f"/chats/{chat}/messages/{message}/cancel"))
        refusal(await use(mesh, token), 422, "conflict")


async def test_only_its_owner_is_given_one(mesh: Mesh) -> None:
    async with await mesh.client("token user") as http, await mesh.client("somebody") as other:
        chat, message = await begun(http)
        refusal(
            await other.post(f"/chats/{chat}/messages/{message}/cancel_token"), 404, "not_found"
        )
        async with mesh.anonymous() as nobody:
            path = f"/chats/{chat}/messages/{message}/cancel_token"
            refusal(await nobody.post(path), 403, "not_authenticated")
        ok(await http.post(f"/chats/{chat}/messages/{message}/cancel"))


async def test_it_opens_no_other_door(mesh: Mesh) -> None:
    async with await mesh.client("token user") as http:
        chat, message = await begun(http)
        token = (await token_of(http, chat, message))["cancel_token"]
        bearer = {"Authorization": f"Bearer {token}"}
        async with mesh.anonymous(headers=bearer) as thief:
            refusal(await thief.get("/chats"), 401, "invalid_token")
        async with mesh.anonymous() as owner:
            access = http.headers["Authorization"].removeprefix("Bearer ")
            refused = await owner.post("/cancel", json={"cancel_token": access})
            refusal(refused, 401, "invalid_token")
        ok(await http.post(f"/chats/{chat}/messages/{message}/cancel"))


async def test_forged_and_prolonged_tokens_are_refused(mesh: Mesh) -> None:
    async with await mesh.client("token user") as http:
        chat, message = await begun(http)
        token = (await token_of(http, chat, message))["cancel_token"]
        rid, expires, signature = token.split(".")
        for forged in (
            "",
            "x",
            f"{rid}.{int(expires) + 60}.{signature}",
            f"{'0' * 32}.{expires}.{signature}",
            f"{rid}.{expires}.{'0' * 64}",
            f"{token}\n",
        ):
            refusal(await use(mesh, forged), 401, "invalid_token")
        assert (await get_message(http, chat, message))["state"] == "in_progress"
        ok(await http.post(f"/chats/{chat}/messages/{message}/cancel"))


async def test_only_this_route_is_open_to_pages_of_any_origin(mesh: Mesh) -> None:
    async with mesh.anonymous(headers=NOTEBOOK) as page:
        wish = {"Access-Control-Request-Method": "POST"}
        preflight = await page.options("/cancel", headers=wish)
        assert preflight.status_code == 204
        assert preflight.headers["access-control-allow-origin"] == "*"
        assert preflight.headers["access-control-allow-methods"] == "POST"
        assert preflight.headers["access-control-allow-headers"] == "Content-Type"
        for path in ("/chats", "/cancel/", "/chats/x/messages/y/cancel_token"):
            refused = await page.options(path, headers=wish)
            assert refused.status_code == 403, path
            assert "access-control-allow-origin" not in refused.headers


async def test_a_foreign_host_does_not_get_to_it(mesh: Mesh) -> None:
    async with mesh.anonymous(headers={"Host": "evil.example"}) as page:
        refusal(await page.post("/cancel", json={"cancel_token": "x"}), 403, "forbidden")
