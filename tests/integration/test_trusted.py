"""Trusted clients: a site speaks for its own users, with a key of an admin's (A4)."""

import asyncio
import json
from base64 import b64encode
from collections.abc import AsyncIterator
from secrets import token_hex
from typing import Any

import httpx
import pytest

from mesh.bus.connection import Bus
from mesh.gateway import trusted_clients
from mesh.gateway.store import Store
from mesh.protocol.accounts import CreateKey, RevokeKey, SetRole
from mesh.protocol.keys import new_key
from mesh.protocol.limits import Allowance, SetAllowance
from tests.chatting import answer, messages, new_chat, ok, refusal
from tests.whole_mesh import ECHO, Mesh


class Site:
    """A trusted client with its key; `header` of a user as it would send it."""

    def __init__(self, client: str, key: str, key_id: str) -> None:
        self.client, self.key, self.key_id = client, key, key_id

    def header(self, user_id: str, **changed: Any) -> dict[str, str]:
        claims = {
            "api_key": self.key,
            "client": self.client,
            "user_id": user_id,
            "provider_account_id": f"github-{user_id}",
            "username": f"User {user_id}",
        }
        return {"TrustedClient": b64encode(json.dumps(claims | changed).encode()).decode()}


@pytest.fixture
async def store(mesh: Mesh) -> AsyncIterator[Store]:
    """The store, as the operator asks it."""
    password = mesh.broker.credentials("operator").password
    bus = await Bus.connect([mesh.broker.url], "operator", password)
    yield Store(bus)
    await bus.close()


async def site(store: Store, client: str = "", owner: str = "admin") -> Site:
    client = client or f"site-{token_hex(4)}"
    made = new_key()
    key = await store.ask(
        CreateKey(
            user=owner,
            name=client,
            key_hash=made.hash,
            hint=made.hint,
            scopes=(),
            client=client,
        )
    )
    return Site(client, made.secret, key.id)


async def test_a_site_speaks_for_its_users(mesh: Mesh, store: Store) -> None:
    website = await site(store)
    ada, bob = website.header("ada"), website.header("bob")
    async with mesh.anonymous() as http:
        refusal(await http.post("/chats", json={}, headers=ada), 404, "not_found")
        made = ok(await http.post("/auth/trusted", headers=ada))
        assert made["provider"] == website.client
        assert (made["provider_account_id"], made["display_name"]) == ("github-ada", "User ada")
        assert ok(await http.post("/auth/trusted", headers=ada)) == made
        assert ok(await http.get("/auth/check", headers=ada)) == made["id"]
        ok(await http.post("/auth/trusted", headers=bob))
    async with mesh.anonymous(headers=ada) as http, mesh.anonymous(headers=bob) as other:
        chat = await new_chat(http)
        await answer(http, chat, "hello")
        assert len(await messages(http, chat)) == 2
        refusal(await other.get(f"/chats/{chat}"), 404, "not_found")


async def test_a_site_administers_nothing_whatever_its_user_may(mesh: Mesh, store: Store) -> None:
    website = await site(store)
    header = website.header("ada")
    async with mesh.anonymous(headers=header) as http:
        ada = ok(await http.post("/auth/trusted"))["id"]
        await store.ask(SetRole(user=ada, role="admin"))
        for path in ("/admin/users", "/admin/export", "/admin/workers"):
            refusal(await http.get(path), 403, "forbidden")
        refusal(await http.delete(f"/admin/users/{ada}"), 403, "forbidden")
        assert ok(await http.get("/auth/check")) == ada


async def test_what_a_site_says_of_an_account_is_text_and_not_a_book(
    mesh: Mesh, store: Store
) -> None:
    website = await site(store)
    async with mesh.anonymous() as http:
        for said in ("x" * 201, "a\nb"):
            header = website.header("ada", provider_account_id=said)
            refusal(await http.post("/auth/trusted", headers=header), 401, "invalid_token")


async def test_each_site_has_its_own_users(mesh: Mesh, store: Store) -> None:
    ids = set()
    async with mesh.anonymous() as http:
        for _ in range(2):
            header = (await site(store)).header("1")
            ids.add(ok(await http.post("/auth/trusted", headers=header))["id"])
    assert len(ids) == 2


async def test_who_is_no_trusted_client_is_refused(mesh: Mesh, store: Store) -> None:
    website, other = await site(store), await site(store)
    plain = await person_key(mesh)
    wrong: list[httpx._types.HeaderTypes] = [
        website.header("ada", api_key="guessed"),
        website.header("ada", api_key=other.key),
        website.header("ada", api_key=plain),
        website.header("ada", client=other.client),
        website.header("ada", client="wébsite"),
        website.header(""),
        website.header("a\nb"),
        {"TrustedClient": "no base64"},
        {"TrustedClient": b64encode(b"[1]").decode()},
        {"TrustedClient": b64encode(b"\xff").decode()},
        {"TrustedClient": b64encode(b'{"x":' + b"[" * 3000 + b"]" * 3000 + b"}").decode()},
        {"TrustedClient": ""},
    ]
    async with mesh.anonymous() as http:
        refusal(await http.post("/auth/trusted"), 401, "invalid_token")
        for headers in wrong:
            refusal(await http.post("/auth/trusted", headers=headers), 401, "invalid_token")
            refusal(await http.get("/chats", headers=headers), 401, "invalid_token")
            assert (await http.get("/v1/models", headers=headers)).status_code == 401


async def person_key(mesh: Mesh) -> str:
    """An ordinary key of somebody."""
    async with await mesh.client(f"somebody-{token_hex(4)}") as http:
        secret: str = ok(await http.post("/account/keys", json={"name": "n"}))["secret"]
        return secret


async def test_a_site_s_key_opens_nothing_by_itself(mesh: Mesh, store: Store) -> None:
    website = await site(store)
    async with mesh.anonymous(headers={"Authorization": f"Bearer {website.key}"}) as http:
        refusal(await http.get("/chats"), 401, "invalid_token")
        refusal(await http.get("/admin/users"), 401, "invalid_token")


async def test_a_site_whose_owner_is_no_admin_any_more_speaks_for_nobody(
    mesh: Mesh, store: Store
) -> None:
    async with await mesh.client(f"owner-{token_hex(4)}") as http:
        owner = ok(await http.get("/auth/check"))
    await store.ask(SetRole(user=owner, role="admin"))
    website = await site(store, owner=owner)
    async with mesh.anonymous(headers=website.header("ada")) as http:
        ok(await http.post("/auth/trusted"))
        await store.ask(SetRole(user=owner, role="user"))
        refusal(await http.get("/chats"), 401, "invalid_token")
        refusal(await http.post("/auth/trusted"), 401, "invalid_token")


async def test_a_revoked_site_speaks_for_nobody(mesh: Mesh, store: Store) -> None:
    website = await site(store)
    ada = website.header("ada")
    async with mesh.anonymous() as http:
        ok(await http.post("/auth/trusted", headers=ada))
        ok(await http.get("/chats", headers=ada))
        await store.ask(RevokeKey(key_id=website.key_id))
        refusal(await http.get("/chats", headers=ada), 401, "invalid_token")


async def test_a_site_makes_its_users_no_keys_which_would_outlive_its_own(
    mesh: Mesh, store: Store
) -> None:
    async with mesh.anonymous(headers=(await site(store)).header("ada")) as http:
        ok(await http.post("/auth/trusted"))
        refusal(await http.post("/account/keys", json={"name": "n"}), 403, "forbidden")
        limits = await http.put(f"/account/keys/{token_hex(16)}/limits", json={"requests": 1})
        refusal(limits, 403, "forbidden")
        assert ok(await http.get("/account/keys")) == {"keys": []}


async def test_a_site_s_key_limits_and_counts_what_its_users_ask(mesh: Mesh, store: Store) -> None:
    website = await site(store)
    ada, bob = website.header("ada"), website.header("bob")
    query = SetAllowance(key_id=website.key_id, allowance=Allowance(requests=1))
    await store.ask(query)
    body = {"prompt": "one two", "model": ECHO}
    async with mesh.anonymous(headers=ada) as http, mesh.anonymous(headers=bob) as other:
        for client in (http, other):
            ok(await client.post("/auth/trusted"))
        async with asyncio.timeout(30):
            while "x-ratelimit-limit-requests" not in (await http.get("/v1/models")).headers:
                await asyncio.sleep(0.05)
        assert (await http.post("/generate", json=body)).status_code == 200
        for client in (http, other):
            assert (await client.post("/generate", json=body)).status_code == 429
        async with asyncio.timeout(30):
            while not (used := ok(await http.get("/account/usage"))["usage"]):
                await asyncio.sleep(0.05)
        assert [(row["key"], row["requests"]) for row in used] == [(website.key_id, 1)]


async def test_another_role_of_a_site_s_user_counts_at_once(mesh: Mesh, store: Store) -> None:
    async with mesh.anonymous(headers=(await site(store)).header("ada")) as http:
        ada = ok(await http.post("/auth/trusted"))["id"]
        refusal(await http.get("/workers/sessions"), 403, "forbidden")
        await store.ask(SetRole(user=ada, role="operator"))
        ok(await http.get("/workers/sessions"))
        await store.ask(SetRole(user=ada, role="user"))
        refusal(await http.get("/workers/sessions"), 403, "forbidden")


async def test_a_site_s_user_s_name_has_no_control_characters(mesh: Mesh, store: Store) -> None:
    website = await site(store)
    async with mesh.anonymous() as http:
        for name in ("x\nadmin  admin", "\x1b[2J", "a\x9b", "\u202enimda"):
            headers = website.header("ada", username=name)
            refusal(await http.post("/auth/trusted", headers=headers), 401, "invalid_token")


async def test_a_site_s_user_who_leaves_is_gone_and_may_come_again(
    mesh: Mesh, store: Store
) -> None:
    ada = (await site(store)).header("ada")
    async with mesh.anonymous() as http:
        first = ok(await http.post("/auth/trusted", headers=ada))
        ok(await http.get("/chats", headers=ada))
        ok(await http.delete("/account", headers=ada))
        refusal(await http.get("/chats", headers=ada), 404, "not_found")
        assert ok(await http.post("/auth/trusted", headers=ada))["id"] != first["id"]


async def test_while_the_store_is_down_a_site_s_users_go_on_as_they_were_known(
    mesh: Mesh, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trusted_clients, "REMEMBERED", 0.0)  # whoever comes again is asked for
    website = await site(store)
    ada, bob, eve, dan = (website.header(name) for name in ("ada", "bob", "eve", "dan"))
    body = {"prompt": "one two", "model": ECHO}
    async with mesh.anonymous() as http:
        for user in (ada, bob, eve, dan):
            known = ok(await http.post("/auth/trusted", headers=user))["id"]
            if user is not bob:
                ok(await http.get("/v1/models", headers=user))
            if user is eve:
                await store.ask(SetRole(user=known, role="admin"))
        ok(await http.delete("/account", headers=dan))
        mesh.stop("store")
        try:
            for _ in range(2):
                assert (await http.post("/generate", json=body, headers=ada)).status_code == 200
            for other in (bob, eve, dan):  # never seen here; another role since; gone
                assert (await http.get("/v1/models", headers=other)).status_code == 503
        finally:
            mesh.start("store")
        ok(await http.get("/v1/models", headers=bob))
        refusal(await http.get("/chats", headers=dan), 404, "not_found")


async def test_whom_a_gateway_knows_of_a_site_s_users_are_the_latest(
    mesh: Mesh, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trusted_clients, "REMEMBERED", 0.0)
    monkeypatch.setattr(trusted_clients, "MOST_REMEMBERED", 2)
    website = await site(store)
    ada, bob, eve = (website.header(name) for name in ("ada", "bob", "eve"))
    async with mesh.anonymous() as http:
        for user in (ada, bob, eve):
            ok(await http.post("/auth/trusted", headers=user))
        for user in (ada, bob, ada, eve):
            ok(await http.get("/v1/models", headers=user))
        mesh.stop("store")
        try:
            codes = [
                (await http.get("/v1/models", headers=user)).status_code for user in (ada, eve)
            ]
            assert codes == [200, 200]
            assert (await http.get("/v1/models", headers=bob)).status_code == 503
        finally:
            mesh.start("store")
