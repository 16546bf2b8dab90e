"""Accounts over HTTP: passwords, keys, roles, and what works while the store is down."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from secrets import token_hex
from typing import Any

import httpx
import pytest

from mesh.bus.connection import Bus
from mesh.bus.dlq import letters
from mesh.bus.jetstream import JetStream
from mesh.gateway.accounts import EVERY
from mesh.gateway.store import Store
from mesh.protocol import subjects
from mesh.protocol.accounts import KeyCard, ListKeys
from mesh.protocol.codec import encode
from mesh.protocol.keys import new_key
from mesh.protocol.letters import DeadLetter
from mesh.store.attempts import PER_NAME
from mesh.store.queries import usage
from tests.chatting import answer, new_chat, ok, refusal
from tests.unit.store.story import queued
from tests.whole_mesh import Mesh

PASSWORD = "correct horse battery"


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def log_in(http: httpx.AsyncClient, name: str, password: str = PASSWORD) -> dict[str, Any]:
    body = {"username": name, "password": password}
    pair: dict[str, Any] = ok(await http.post("/auth/login", json=body))
    return pair


@asynccontextmanager
async def signed_in(
    mesh: Mesh, name: str, password: str = PASSWORD
) -> AsyncIterator[httpx.AsyncClient]:
    """A client signed in with a password."""
    async with mesh.anonymous() as http:
        pair = await log_in(http, name, password)
        http.headers.update(bearer(pair["access_token"]["access_token"]))
        yield http


@asynccontextmanager
async def admin(mesh: Mesh) -> AsyncIterator[httpx.AsyncClient]:
    """A client signed in as the admin that the first start has made."""
    password = (mesh.broker.data_dir / "admin-password").read_text().strip()
    async with signed_in(mesh, "admin", password) as http:
        yield http


async def add(mesh: Mesh, role: str = "user") -> tuple[str, str]:
    """A new user with a password: name and id."""
    name = f"user-{token_hex(4)}"
    async with admin(mesh) as http:
        body = {"account": name, "password": PASSWORD, "role": role}
        made = ok(await http.post("/admin/users", json=body))
    return name, made["id"]


async def make_key(http: httpx.AsyncClient, **fields: Any) -> tuple[str, str]:
    """A new key of whoever is signed in: its id and its secret."""
    made = ok(await http.post("/account/keys", json={"name": "test"} | fields))
    return made["key"]["id"], made["secret"]


@pytest.fixture
def alone(new_mesh: Callable[..., Mesh]) -> Mesh:
    """A mesh on a network, as far as it knows: nobody gets in without an account."""
    mesh = new_mesh(allowed_hosts="127.0.0.1")
    mesh.start("store", "gateway", "echo")
    return mesh


# --- passwords ------------------------------------------------------------------------------------


async def test_the_first_start_makes_an_admin_whose_password_lies_in_a_file(mesh: Mesh) -> None:
    path = mesh.broker.data_dir / "admin-password"
    assert path.stat().st_mode & 0o777 == 0o600
    async with admin(mesh) as http:
        found = ok(await http.get("/account"))
    assert (found["account"], found["provider"], found["role"]) == ("admin", "password", "admin")


async def test_a_name_and_a_password_give_a_pair_of_tokens(mesh: Mesh) -> None:
    name, user_id = await add(mesh)
    async with mesh.anonymous() as http:
        pair = await log_in(http, name.upper())
        assert pair["refresh_token"]["token_type"] == "refresh"
        headers = bearer(pair["access_token"]["access_token"])
        assert ok(await http.get("/auth/check", headers=headers)) == user_id


async def test_a_wrong_password_and_an_unknown_name_are_told_the_same(mesh: Mesh) -> None:
    name, _ = await add(mesh)
    said = set()
    async with mesh.anonymous() as http:
        for username in (name, f"nobody-{token_hex(4)}"):
            body = {"username": username, "password": "wrong horse"}
            said.add(refusal(await http.post("/auth/login", json=body), 401, "invalid_token"))
    assert len(said) == 1


async def test_who_guesses_has_to_wait(mesh: Mesh) -> None:
    name, _ = await add(mesh)
    async with mesh.anonymous() as http:
        wrong = {"username": name, "password": "wrong horse"}
        for _ in range(PER_NAME):
            refusal(await http.post("/auth/login", json=wrong), 401, "invalid_token")
        right = {"username": name, "password": PASSWORD}
        response = await http.post("/auth/login", json=right)
        refusal(response, 429, "rate_limited")
        assert 0 < int(response.headers["retry-after"]) <= 600


async def test_a_changed_password_signs_out_everywhere_but_keys_stay(mesh: Mesh) -> None:
    name, _ = await add(mesh)
    async with signed_in(mesh, name) as http, mesh.anonymous() as other:
        _, key = await make_key(http)
        wrong = {"old": "wrong horse", "new": "another horse"}
        refusal(await http.put("/account/password", json=wrong), 401, "invalid_token")
        ok(await http.put("/account/password", json={"old": PASSWORD, "new": "another horse"}))
        refusal(await http.get("/account"), 401, "token_expired")
        ok(await other.get("/chats", headers=bearer(key)))
    async with signed_in(mesh, name, "another horse") as http:
        ok(await http.get("/account"))


async def test_what_is_wrong_is_called_by_the_name_it_was_sent_by(mesh: Mesh) -> None:
    name, _ = await add(mesh)
    async with signed_in(mesh, name) as http:
        change = {"old": PASSWORD, "new": "short"}
        refused = await http.put("/account/password", json=change)
        refusal(refused, 400, "bad_request")
        assert refused.json()["param"] == "new"
        refused = await http.post("/account/keys", json={"name": "n", "expires_in": 1e-9})
        refusal(refused, 400, "bad_request")
        assert refused.json()["param"] == "expires_in"


async def test_days_that_no_calendar_has_are_refused(mesh: Mesh) -> None:
    name, _ = await add(mesh)
    async with signed_in(mesh, name) as http:
        for param in ("since", "until"):
            for day in ("9999-99-99", "2026-02-29", "0000-01-01", "٢٠٢٦-١١-٢١", "2026-11-21\n"):
                refused = await http.get("/account/usage", params={param: day})
                refusal(refused, 400, "bad_request")
                assert refused.json()["param"] == param, day
            for day in ("", "2024-02-29", "9999-12-31"):
                ok(await http.get("/account/usage", params={param: day}))


async def test_usage_comes_in_pages_that_say_that_there_is_more(
    mesh: Mesh, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(usage, "MOST", 2)
    name, user_id = await add(mesh)
    async with signed_in(mesh, name) as http, admin(mesh) as boss, mesh.anonymous() as program:
        body = {"model": "echo", "messages": [{"role": "user", "content": "hello"}]}
        keys = [await make_key(http) for _ in range(5)]
        for _, key in keys:
            ok(await program.post("/v1/chat/completions", json=body, headers=bearer(key)))
        for who, path, whose in (
            (http, "/account/usage", {}),
            (boss, "/admin/usage", {"user": user_id}),
        ):
            found: list[str] = []
            page = ok(await who.get(path, params=whose))
            async with asyncio.timeout(30):
                while len(page["usage"]) < 2 or page["next"] is None:  # the store follows the log
                    page = ok(await who.get(path, params=whose))
                while True:
                    assert len(page["usage"]) <= 2
                    found += [row["key"] for row in page["usage"]]
                    if page["next"] is None:
                        break
                    page = ok(await who.get(path, params=whose | {"after": page["next"]}))
            assert found == sorted(key_id for key_id, _ in keys), path
            exported = (await http.get("/account/export")).text.splitlines()
            lines = [json.loads(line) for line in exported]
            assert [line["usage"]["key"] for line in lines if line["kind"] == "usage"] == found
            for after in ("x", "ü", "W10=", "WzEsMl0=", "W" * 3000):
                refused = await who.get(path, params=whose | {"after": after})
                refusal(refused, 400, "bad_request")
                assert refused.json()["param"] == "after"


# --- keys -----------------------------------------------------------------------------------------


async def test_a_key_is_shown_once_and_used_like_a_token(mesh: Mesh) -> None:
    name, user_id = await add(mesh)
    async with signed_in(mesh, name) as http, mesh.anonymous() as other:
        key_id, key = await make_key(http)
        assert ok(await other.get("/auth/check", headers=bearer(key))) == user_id
        body = {"model": "echo", "messages": [{"role": "user", "content": "hello"}]}
        ok(await other.post("/v1/chat/completions", json=body, headers=bearer(key)))
        (listed,) = ok(await http.get("/account/keys"))["keys"]
        assert listed["id"] == key_id and listed["last_used_at"] is not None
        assert key.startswith(listed["hint"]) and key not in str(listed)
    for file in mesh.broker.data_dir.rglob("*"):
        if file.is_file():
            assert key.encode() not in file.read_bytes(), file


async def test_a_revoked_key_is_refused_from_then_on(mesh: Mesh) -> None:
    name, _ = await add(mesh)
    async with signed_in(mesh, name) as http, mesh.anonymous() as other:
        key_id, key = await make_key(http)
        ok(await other.get("/chats", headers=bearer(key)))
        ok(await http.delete(f"/account/keys/{key_id}"))
        refusal(await other.get("/chats", headers=bearer(key)), 401, "invalid_token")
        refusal(await http.delete(f"/account/keys/{key_id}"), 404, "not_found")


async def test_anothers_key_is_not_there(mesh: Mesh) -> None:
    (name, _), (other_name, _) = await add(mesh), await add(mesh)
    async with signed_in(mesh, name) as http, signed_in(mesh, other_name) as other:
        key_id, _ = await make_key(http)
        refusal(await other.delete(f"/account/keys/{key_id}"), 404, "not_found")
        assert ok(await other.get("/account/keys"))["keys"] == []


async def test_a_key_opens_the_doors_it_was_made_for(mesh: Mesh) -> None:
    name, _ = await add(mesh)
    doors = {
        "ask": ("GET", "/v1/models"),
        "chats": ("GET", "/chats"),
        "mesh": ("GET", "/workers"),
        "account": ("GET", "/account"),
    }
    async with signed_in(mesh, name) as http, mesh.anonymous() as other:
        for scope in doors:
            _, key = await make_key(http, scopes=[scope])
            for wanted, (method, path) in doors.items():
                response = await other.request(method, path, headers=bearer(key))
                assert response.status_code == (200 if wanted == scope else 403), (scope, path)
        _, usual = await make_key(http)
        refused = await other.post("/account/keys", json={"name": "x"}, headers=bearer(usual))
        refusal(refused, 403, "forbidden")


async def test_a_key_expires(mesh: Mesh) -> None:
    name, _ = await add(mesh)
    async with signed_in(mesh, name) as http, mesh.anonymous() as other:
        _, key = await make_key(http, expires_in=1)
        headers = bearer(key)
        while (response := await other.get("/chats", headers=headers)).status_code == 200:
            pass
        refusal(response, 401, "token_expired")


# --- roles ----------------------------------------------------------------------------------------


async def test_what_is_for_admins_is_for_nobody_else(mesh: Mesh) -> None:
    for role in ("user", "operator"):
        name, user_id = await add(mesh, role)
        async with signed_in(mesh, name) as http:
            for method, path in (
                ("GET", "/admin/users"),
                ("POST", "/admin/users"),
                ("PUT", f"/admin/users/{user_id}/role"),
                ("PUT", f"/admin/users/{user_id}/password"),
                ("DELETE", f"/admin/users/{user_id}"),
                ("DELETE", f"/admin/refresh_tokens/{user_id}"),
            ):
                refusal(await http.request(method, path), 403, "forbidden")


async def test_a_key_gives_no_key_more_than_it_has(mesh: Mesh) -> None:
    name, _ = await add(mesh)
    async with signed_in(mesh, name) as http, mesh.anonymous() as other:
        key_id, key = await make_key(http, scopes=["account"], expires_in=60)
        more = {"name": "more", "scopes": ["ask", "account"]}
        said = await other.post("/account/keys", json=more, headers=bearer(key))
        assert "sign in" in refusal(said, 403, "forbidden")
        limits = f"/account/keys/{key_id}/limits"
        refusal(await other.put(limits, json={}, headers=bearer(key)), 403, "forbidden")
        ok(await other.get("/account/keys", headers=bearer(key)))
        ok(await http.put(limits, json={}))
        said = await http.put(limits, json={"weight": 0.5})  # its lane's others would wait for it
        assert "weight" in refusal(said, 400, "bad_request")
        ok(await http.put(limits, json={"weight": 1}))


async def test_an_admins_key_makes_no_way_to_sign_in_that_would_outlive_it(mesh: Mesh) -> None:
    (name, admin_id), (other_name, other_id) = await add(mesh, "admin"), await add(mesh)
    new = f"user-{token_hex(4)}"
    account = {"account": new, "password": PASSWORD, "role": "admin"}
    async with signed_in(mesh, name) as http, mesh.anonymous() as program:
        _, key = await make_key(http, scopes=["admin", "ask"])
        program.headers.update(bearer(key))
        for method, path, body in (
            ("PUT", f"/admin/users/{admin_id}/password", {"password": "another horse"}),
            ("PUT", f"/admin/users/{other_id}/password", {"password": "another horse"}),
            ("PUT", f"/admin/users/{other_id}/role", {"role": "admin"}),
            ("POST", "/admin/users", account),
        ):
            said = refusal(await program.request(method, path, json=body), 403, "forbidden")
            assert "sign in" in said, path
        user = {"name": new, "password": PASSWORD}
        assert (await program.post("/v1/users", json=user)).status_code == 403
        ok(await program.post("/v1/users", json={"name": new}))  # who never signs in
        ok(await program.get("/admin/users"))
        ok(await http.post("/admin/users", json=account))  # so nobody was called that
        ok(await http.put(f"/admin/users/{other_id}/role", json={"role": "operator"}))
    for unchanged in (name, other_name):
        async with signed_in(mesh, unchanged) as http:
            ok(await http.get("/account"))


async def test_a_role_counts_at_once_for_keys_too(mesh: Mesh) -> None:
    name, user_id = await add(mesh)
    async with signed_in(mesh, name) as http, admin(mesh) as boss, mesh.anonymous() as other:
        _, key = await make_key(http, scopes=["admin"])
        refusal(await other.get("/admin/users", headers=bearer(key)), 403, "forbidden")
        ok(await boss.put(f"/admin/users/{user_id}/role", json={"role": "admin"}))
        ok(await other.get("/admin/users", headers=bearer(key)))
        refusal(await http.get("/admin/users"), 401, "token_expired")
        ok(await boss.put(f"/admin/users/{user_id}/role", json={"role": "user"}))
        refusal(await other.get("/admin/users", headers=bearer(key)), 403, "forbidden")


async def test_an_admin_lists_people_signs_them_out_and_removes_them(mesh: Mesh) -> None:
    name, user_id = await add(mesh)
    async with signed_in(mesh, name) as http, admin(mesh) as boss:
        page = ok(await boss.get("/admin/users", params={"limit": 1000}))
        (mine,) = [a for a in page["accounts"] if a["user"]["id"] == user_id]
        assert (mine["user"]["account"], mine["password"]) == (name, True)
        ok(await boss.delete(f"/admin/refresh_tokens/{user_id}"))
        refusal(await http.get("/account"), 401, "token_expired")
        forgotten = {"password": "a horse that is new"}
        ok(await boss.put(f"/admin/users/{user_id}/password", json=forgotten))
        async with signed_in(mesh, name, forgotten["password"]) as again:
            ok(await again.get("/account"))
        ok(await boss.delete(f"/admin/users/{user_id}"))
        refusal(await http.get("/account"), 401, "invalid_token")
        refusal(await boss.delete(f"/admin/users/{user_id}"), 404, "not_found")


# --- leaving --------------------------------------------------------------------------------------


async def test_who_deletes_the_account_leaves_nothing_behind(alone: Mesh) -> None:
    name, _ = await add(alone)
    words = f"secret-{token_hex(8)}"
    async with signed_in(alone, name) as http, alone.anonymous() as other:
        pair = await log_in(other, name)
        _, key = await make_key(http)
        chat = await new_chat(http)
        await answer(http, chat, words)
        ok(await http.delete("/account/"))
        for headers in (dict(http.headers), bearer(key)):
            refusal(await other.get("/chats", headers=headers), 401, "invalid_token")
        refresh = {"Refresh": pair["refresh_token"]["access_token"]}
        refusal(await other.get("/auth/refresh", headers=refresh), 401, "invalid_token")
        again = {"username": name, "password": PASSWORD}
        refusal(await other.post("/auth/login", json=again), 401, "invalid_token")
    alone.stop("store")
    for file in alone.broker.data_dir.glob("mesh.db*"):
        assert words.encode() not in file.read_bytes(), file


async def test_the_dead_letters_of_who_goes_are_dropped(alone: Mesh) -> None:
    (name, user_id), (_, other_id) = await add(alone), await add(alone)
    password = alone.broker.credentials("gateway").password
    bus = await Bus.connect([alone.broker.url], "gateway", password)
    js = JetStream(bus)
    for rid, tenant in (("1" * 32, user_id), ("2" * 32, other_id)):
        request = queued(rid, tenant=tenant).request
        letter = DeadLetter(request=request, at=0.0, why="It takes workers down.")
        await js.append(subjects.dead_letter("echo", rid), encode(letter))
    async with signed_in(alone, name) as http:
        ok(await http.delete("/account"))
    assert [letter.request.tenant for _, letter in await letters(js)] == [other_id]
    await bus.close()


async def test_who_signs_out_ends_that_sign_in_and_no_other(mesh: Mesh) -> None:
    name, _ = await add(mesh)
    async with signed_in(mesh, name) as there, mesh.anonymous() as http:
        pair = await log_in(http, name)
        refresh = {"Refresh": pair["refresh_token"]["access_token"]}
        renewed = ok(await http.get("/auth/refresh", headers=refresh))
        _, key = await make_key(there)
        tokens = (pair["access_token"]["access_token"], renewed["access_token"])
        for token in tokens:
            ok(await http.get("/chats", headers=bearer(token)))
        ok(await http.post("/auth/logout", headers=refresh))
        for token in tokens:
            refusal(await http.get("/chats", headers=bearer(token)), 401, "token_expired")
        ok(await there.get("/chats"))
        ok(await http.get("/chats", headers=bearer(key)))


async def test_who_is_removed_by_name_leaves_no_dead_letters_either(alone: Mesh) -> None:
    (name, user_id), (_, other_id) = await add(alone), await add(alone)
    bus = await Bus.connect([alone.broker.url], *alone.broker.credentials("gateway"))
    js = JetStream(bus)
    for rid, tenant in (("1" * 32, user_id), ("2" * 32, other_id)):
        request = queued(rid, tenant=tenant).request
        letter = DeadLetter(request=request, at=0.0, why="It takes workers down.")
        await js.append(subjects.dead_letter("echo", rid), encode(letter))
    async with admin(alone) as boss:
        ok(await boss.delete(f"/admin/users/{name}"))
    assert [letter.request.tenant for _, letter in await letters(js)] == [other_id]
    await bus.close()


async def test_two_who_renew_with_one_token_go_on_in_one_chain(
    new_mesh: Callable[..., Mesh],
) -> None:
    mesh = new_mesh(refresh_leeway=3.0)
    mesh.start("store", "gateway")
    name, _ = await add(mesh)
    async with signed_in(mesh, name) as bystander, mesh.anonymous() as http:
        first = (await log_in(http, name))["refresh_token"]["access_token"]

        async def renew(token: str) -> dict[str, Any]:
            renewed: dict[str, Any] = ok(
                await http.get("/auth/refresh", headers={"Refresh": token})
            )
            return renewed

        both = await asyncio.gather(*(renew(first) for _ in range(2)))
        assert len({each["refresh_token"]["access_token"] for each in both}) == 1
        assert first != both[0]["refresh_token"]["access_token"]
        second = both[0]["refresh_token"]["access_token"]
        third = await renew(second)
        await asyncio.sleep(3.5)
        again = await http.get("/auth/refresh", headers={"Refresh": second})
        refusal(again, 401, "invalid_token")
        last = {"Refresh": third["refresh_token"]["access_token"]}
        refusal(await http.get("/auth/refresh", headers=last), 401, "invalid_token")
        for each in (*both, third):
            ended = await http.get("/chats", headers=bearer(each["access_token"]))
            refusal(ended, 401, "token_expired")
        ok(await bystander.get("/chats"))


# --- without the store ----------------------------------------------------------------------------


async def test_keys_and_revocations_hold_while_the_store_is_down(alone: Mesh) -> None:
    name, _ = await add(alone)
    async with signed_in(alone, name) as http, alone.anonymous() as other:
        key_id, revoked = await make_key(http)
        _, key = await make_key(http)
        ok(await http.delete(f"/account/keys/{key_id}"))
        ok(await http.delete("/auth/sessions"))
        pair = await log_in(other, name)
        out = bearer(pair["access_token"]["access_token"])
        refresh = {"Refresh": pair["refresh_token"]["access_token"]}
        ok(await other.post("/auth/logout", headers=refresh))
        alone.stop("store")
        for _ in range(2):
            refusal(await other.get("/configs/model_configs", headers=out), 401, "token_expired")
            ok(await other.get("/configs/model_configs", headers=bearer(key)))
            gone = await other.get("/configs/model_configs", headers=bearer(revoked))
            refusal(gone, 401, "invalid_token")
            refusal(await http.get("/configs/model_configs"), 401, "token_expired")
            alone.stop("gateway")  # and one that begins now knows it too
            alone.start("gateway")


async def test_whatever_a_key_is_used_for_first_the_store_soon_knows_when(mesh: Mesh) -> None:
    name, _ = await add(mesh)
    async with signed_in(mesh, name) as http, mesh.anonymous() as other:
        assistant = ok(await http.post("/v1/assistants", json={"model": "echo"}))["id"]
        thread = ok(await http.post("/v1/threads", json={}))["id"]
        turns = [{"role": "user", "content": "hello"}]
        said = {"messages": turns, "model": "echo"}
        asked = {"question": "?", "client_id": "c", "user_id": "u", "stream": False}
        bodies: dict[str, dict[str, Any] | None] = {
            f"/v1/threads/{thread}/runs": {"assistant_id": assistant, "additional_messages": turns},
            "/v1/runs": said,
            "/v1/chat/completions": said,
            "/v1/responses": {"input": "hello", "model": "echo"},
            "/generate": {"prompt": "hello", "model": "echo"},
            "/v1/ask": asked | {"model": "echo"},
            "/chats": None,
            "/v1/models": None,
        }
        used = {}
        for path, body in bodies.items():
            used[path], key = await make_key(http, scopes=["ask", "chats", "account"])
            method = "GET" if body is None else "POST"
            response = await other.request(method, path, json=body, headers=bearer(key))
            assert response.is_success, (path, response.text)
    password = mesh.broker.credentials("operator").password
    bus = await Bus.connect([mesh.broker.url], "operator", password)
    unknown = set(used)
    async with asyncio.timeout(3 * EVERY):
        while unknown:  # the store itself is asked, as `mesh key list` does
            await asyncio.sleep(0.5)
            keys = (await Store(bus).ask(ListKeys(user=name))).keys
            known = {key.id for key in keys if key.last_used_at is not None}
            unknown = {path for path, key_id in used.items() if key_id not in known}
    await bus.close()


async def test_the_use_of_a_key_reaches_the_store_when_it_is_back(alone: Mesh) -> None:
    name, _ = await add(alone)
    async with signed_in(alone, name) as http, alone.anonymous() as other:
        _, key = await make_key(http)
        alone.stop("store")
        ok(await other.get("/v1/models", headers=bearer(key)))
        alone.start("store")
        (listed,) = ok(await http.get("/account/keys"))["keys"]
        assert listed["last_used_at"] is not None


async def test_what_the_gateways_know_is_brought_in_line_with_the_database(alone: Mesh) -> None:
    """A card in the bucket that the database knows nothing of: as of a restored backup."""
    name, user_id = await add(alone)
    forged, password = new_key(), alone.broker.credentials("store").password
    bus = await Bus.connect([alone.broker.url], "store", password)
    card = KeyCard(id="x", user_id=user_id, name=name, scopes=("chats",))
    await JetStream(bus).append(subjects.account_key(forged.hash), encode(card))
    await bus.close()
    async with alone.anonymous(headers=bearer(forged.secret)) as http:
        ok(await http.get("/chats"))
        alone.stop("store")
        alone.start("store")
        while (response := await http.get("/chats")).status_code == 200:
            pass
        refusal(response, 401, "invalid_token")


# --- sharing and taking along ---------------------------------------------------------------------


async def test_a_link_shows_a_chat_to_anybody_until_it_is_taken_back(alone: Mesh) -> None:
    name, _ = await add(alone)
    async with signed_in(alone, name) as http, alone.anonymous() as other:
        chat = await new_chat(http)
        options = {"system_prompt": "be secret", "user_profile": "about me"}
        said = await answer(http, chat, "before", **options)
        ok(await http.put(f"/chats/{chat}", json={"title": "of then"}))
        link = ok(await http.post(f"/chats/{chat}/shares"))
        after = await answer(http, chat, "after", parent=said["id"])
        change = {"title": "of now", "active_thread_tail_message_id": after["id"]}
        ok(await http.put(f"/chats/{chat}", json=change))
        shown = ok(await other.get(link["path"]))
        assert shown["title"] == "of then"
        assert shown["active_thread_tail_message_id"] in (None, said["id"])
        assert [message["content"] for message in shown["messages"]] == ["before", said["content"]]
        for secret in (name, "be secret", "about me", chat):
            assert secret not in str(shown)
        for method in ("PUT", "POST", "DELETE"):
            assert (await other.request(method, link["path"])).status_code == 405
        page = await other.get(link["path"], headers={"Accept": "text/html"})
        assert page.headers["content-type"].startswith("text/html")
        assert "script-src 'self'" in page.headers["content-security-policy"]
        ok(await http.delete(f"/chats/{chat}/shares/{link['id']}"))
        refusal(await other.get(link["path"]), 404, "not_found")
        assert ok(await http.get(f"/chats/{chat}/shares"))["shares"] == []


async def test_a_link_shows_what_was_said_just_before_it_was_made(alone: Mesh) -> None:
    """The store lets events gather; whoever makes a link has seen them."""
    name, _ = await add(alone)
    async with signed_in(alone, name) as http, alone.anonymous() as other:
        chat = await new_chat(http)
        said = await answer(http, chat, "hello there")
        shown = ok(await other.get(ok(await http.post(f"/chats/{chat}/shares"))["path"]))
    assert shown["title"] == "hello there"
    assert [message["content"] for message in shown["messages"]] == [
        "hello there",
        said["content"],
    ]


async def test_only_its_owner_shares_a_chat(mesh: Mesh) -> None:
    async with await mesh.client("sharer") as http, await mesh.client("stranger") as other:
        chat = await new_chat(http)
        link = ok(await http.post(f"/chats/{chat}/shares"))
        path = f"/chats/{chat}/shares"
        for method, where in (("POST", path), ("GET", path), ("DELETE", f"{path}/{link['id']}")):
            refusal(await other.request(method, where), 404, "not_found")


async def test_one_takes_along_all_that_is_kept(alone: Mesh) -> None:
    name, user_id = await add(alone)
    async with signed_in(alone, name) as http:
        key_id, key = await make_key(http)
        chat = await new_chat(http)
        said = await answer(http, chat, "hello")
        ok(await http.put(f"/chats/{chat}", json={"hidden": True, "allow_data_use": False}))
        body = {"model": "echo", "messages": [{"role": "user", "content": "outside"}]}
        ok(await http.post("/v1/chat/completions", json=body))
        for _ in range(200):  # the store follows the log by itself
            lines = [
                json.loads(line) for line in (await http.get("/account/export")).text.splitlines()
            ]
            if {"run", "usage"} <= {line["kind"] for line in lines}:
                break
    kinds = [line["kind"] for line in lines]
    assert kinds == ["account", "key", "chat", "run", "usage", "end"] and lines[-1]["lines"] == 5
    assert lines[0]["account"]["id"] == user_id and lines[1]["key"]["id"] == key_id
    assert said["content"] in [message.get("content") for message in lines[2]["messages"]]
    assert "outside" in lines[3]["run"]["text"] and key not in str(lines)


async def test_one_takes_along_one_s_limits_and_dead_letters_and_nobody_else_s(mesh: Mesh) -> None:
    (name, user_id), (_, other_id) = await add(mesh), await add(mesh)
    bus = await Bus.connect([mesh.broker.url], *mesh.broker.credentials("gateway"))
    for tenant in (user_id, other_id):
        rid = tenant[:16].rjust(32, "0")
        letter = DeadLetter(
            request=queued(rid, tenant=tenant).request, at=5.0, why="It takes them.", text="he"
        )
        await JetStream(bus).append(subjects.dead_letter("echo", rid), encode(letter))
    await bus.close()
    async with signed_in(mesh, name) as http, admin(mesh) as boss:
        limits = {"requests": 7, "weight": 2.0}
        ok(await boss.put(f"/admin/users/{user_id}/limits", json=limits))
        key_id, _ = await make_key(http)
        ok(await http.put(f"/account/keys/{key_id}/limits", json={"tokens": 9}))
        await make_key(http, name="without limits")
        lines = [json.loads(line) for line in (await http.get("/account/export")).text.splitlines()]
    kinds = [line["kind"] for line in lines]
    assert kinds == ["account", "limits", "key", "limits", "key", "dead_letter", "end"]
    nothing = dict.fromkeys(
        ("requests", "tokens", "concurrent", "daily_tokens", "weight", "priority")
    )
    assert lines[1] == {"kind": "limits", "key": "", "limits": nothing | limits}
    assert lines[3] == {"kind": "limits", "key": key_id, "limits": nothing | {"tokens": 9}}
    letter_line = lines[5]["dead_letter"]
    assert letter_line["id"] == user_id[:16].rjust(32, "0")
    assert letter_line["messages"][0]["content"] == "hello" and letter_line["text"] == "he"


async def test_a_chat_that_is_deleted_meanwhile_does_not_cut_the_export_off(mesh: Mesh) -> None:
    async with await mesh.client("takes along") as http:
        chats = [await new_chat(http) for _ in range(60)]
        async with http.stream("GET", "/account/export") as response:
            lines = response.aiter_lines()
            kept = [json.loads(await anext(lines))]
            ok(await http.delete(f"/chats/{chats[0]}"))
            kept += [json.loads(line) async for line in lines]
    assert kept[-1] == {"kind": "end", "lines": len(kept) - 1}
    assert len(kept) >= 60
