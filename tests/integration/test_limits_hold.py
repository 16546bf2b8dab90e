"""Limits in a real mesh: at all gateways, over a restart, said in headers; and what was used."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from mesh.gateway.limits import limiter
from tests.chatting import ask, events, new_chat, ok
from tests.fleet import Fleet, fleet, wait_until
from tests.whole_mesh import ECHO, SINGLE, Mesh

LIMITED: dict[str, Any] = {"limit_requests": 5}


def generate(http: httpx.AsyncClient, prompt: str = "one two", **headers: str) -> Any:
    return http.post("/generate", json={"prompt": prompt, "model": ECHO}, headers=headers)


def left(response: httpx.Response, of: str = "requests") -> int:
    return int(response.headers[f"x-ratelimit-remaining-{of}"])


async def until_left(http: httpx.AsyncClient, count: int, of: str = "requests") -> None:
    """Wait until a gateway knows that there is so much left; asking for that takes nothing."""
    async with asyncio.timeout(60):
        while left(await http.get("/account/limits"), of) != count:
            await asyncio.sleep(0.05)


async def until_limited(http: httpx.AsyncClient, of: str) -> None:
    """Wait until a gateway knows of a limit."""
    async with asyncio.timeout(60):
        while f"x-ratelimit-limit-{of}" not in (await http.get("/v1/models")).headers:
            await asyncio.sleep(0.05)


async def test_gateways_hold_a_limit_together_and_over_a_restart(
    new_mesh: Callable[..., Mesh],
) -> None:
    one, two = new_mesh(**LIMITED), new_mesh(gateway_name="gw2", **LIMITED)
    one.start("store", "gateway", ECHO)
    two.start("gateway")
    async with await one.client("ada") as here:
        began = time.monotonic()
        first = await generate(here)
        assert (first.status_code, left(first)) == (200, 4)
        assert first.headers["x-ratelimit-limit-requests"] == "5"
        authorization = {"Authorization": here.headers["Authorization"]}
        async with two.anonymous(headers=authorization) as there:
            await until_left(there, 4)
            for _ in range(2):
                ok(await there.get("/account/limits"))
                assert (await generate(there)).status_code == 200
            await until_left(here, 2)
            two.stop("gateway")
            two.start("gateway")
            async with two.anonymous(headers=authorization) as again:
                await until_left(again, 2)
        assert [left(await generate(here)) for _ in range(2)] == [1, 0]
        refused = await generate(here)
        assert refused.status_code == 429
        assert 59 - (time.monotonic() - began) < int(refused.headers["Retry-After"]) <= 60
        assert left(refused) == 0
        openai = await here.post(
            "/v1/chat/completions",
            json={"model": ECHO, "messages": [{"role": "user", "content": "x"}]},
        )
        assert openai.status_code == 429
        assert openai.json()["error"]["type"] == "rate_limit_error"
    async with await one.client("bob") as other:
        assert (await generate(other)).status_code == 200


async def test_a_conversation_that_does_not_fit_takes_nothing(
    new_mesh: Callable[..., Mesh],
) -> None:
    mesh = new_mesh(limit_requests=1)
    mesh.start("store", "gateway", ECHO)
    body = {"model": ECHO, "messages": [{"role": "user", "content": "word " * 9000}]}
    async with await mesh.client("ada") as http:
        for _ in range(2):
            refused = await http.post("/v1/chat/completions", json=body)
            assert (refused.status_code, left(refused)) == (400, 1)
            assert refused.json()["error"]["code"] == "context_overflow"
        assert (await generate(http)).status_code == 200


async def test_what_an_admin_and_a_keys_owner_say_holds_at_once(
    new_mesh: Callable[..., Mesh],
) -> None:
    mesh = new_mesh()
    mesh.start("store", "gateway", ECHO)
    password = (mesh.broker.data_dir / "admin-password").read_text().strip()
    async with mesh.anonymous() as admin, await mesh.client("ada") as ada:
        login = await admin.post("/auth/login", json={"username": "admin", "password": password})
        token = ok(login)["access_token"]["access_token"]
        admin.headers["Authorization"] = f"Bearer {token}"
        user = ok(await ada.get("/auth/check"))
        made = ok(await ada.post("/account/keys", json={"name": "program"}))
        key, key_id = {"Authorization": f"Bearer {made['secret']}"}, made["key"]["id"]
        assert "x-ratelimit-limit-requests" not in (await generate(ada)).headers
        assert (await generate(ada, **{"X-Priority": "high"})).status_code == 403
        assert (await generate(ada, **{"X-Priority": "urgent"})).status_code == 400
        assert (await generate(ada, **{"X-Priority": "low"})).status_code == 200
        path = f"/admin/users/{user}/limits"
        assert (await ada.put(path, json={})).status_code == 403
        said = ok(await admin.put(path, json={"tokens": 1000, "priority": "high", "weight": 2}))
        assert said == ok(await admin.get(path))
        await until_limited(ada, "tokens")
        assert (await generate(ada, **{"X-Priority": "high"})).status_code == 200
        ok(await ada.put(f"/account/keys/{key_id}/limits", json={"requests": 1}))
        async with mesh.anonymous(headers=key) as program:
            await until_limited(program, "requests")
            assert (await generate(program)).status_code == 200
            assert (await generate(program)).status_code == 429
        assert (await generate(ada)).status_code == 200
        used = ok(await ada.get("/account/usage"))["usage"]
        assert sorted((row["key"], row["requests"]) for row in used) == [("", 4), (key_id, 1)]
        assert all(row["model"] == ECHO and row["completion_tokens"] for row in used)
        everybody = ok(await admin.get("/admin/usage", params={"user": user, "key": key_id}))
        assert [row["requests"] for row in everybody["usage"]] == [1]
        assert (await ada.get("/admin/usage")).status_code == 403
        assert (await ada.put("/account/keys/other/limits", json={})).status_code == 404


async def test_twenty_answers_in_ten_minutes_as_the_setting_says(
    new_mesh: Callable[..., Mesh],
) -> None:
    mesh = new_mesh(limit_messages="20/600")
    mesh.start("store", "gateway", ECHO)
    async with await mesh.client("ada") as http:
        for _ in range(20):
            await ask(http, await new_chat(http), "x")
        chat = await new_chat(http)
        body = {"content": "x", "parent_id": None, "model_config_name": ECHO}
        refused = await http.post(f"/chats/{chat}/messages", json=body)
        assert (refused.status_code, refused.json()["code"]) == (429, "rate_limited")
        assert 500 < int(refused.headers["Retry-After"]) <= 600
        assert (await generate(http)).status_code == 200
        assert ok(await http.get(f"/chats/{chat}"))["messages"] == []


async def test_what_was_used_today_is_known_after_a_restart_and_counts_once(
    new_mesh: Callable[..., Mesh],
) -> None:
    mesh = new_mesh(limit_daily_tokens=60)
    mesh.start("store", "gateway", ECHO)
    async with await mesh.client("ada") as http:
        for _ in range(2):
            assert (await generate(http)).status_code == 200
        left_today = left(await http.get("/account/limits"), "daily-tokens")
        each = (60 - left_today) // 2
        assert each > 0 and left_today == 60 - 2 * each
        mesh.stop("gateway")
        mesh.start("gateway")
        assert (await generate(http)).status_code == 200
        await until_left(http, left_today - each, of="daily-tokens")
        async with asyncio.timeout(60):
            while (refused := await generate(http)).status_code == 200:
                pass
        assert refused.status_code == 429
        assert 0 < int(refused.headers["Retry-After"]) <= 86_400


async def test_a_gateway_tells_of_the_day_what_it_has_not_read_in_the_log(
    new_mesh: Callable[..., Mesh], monkeypatch: pytest.MonkeyPatch
) -> None:
    mesh = new_mesh(limit_daily_tokens=60)
    mesh.start("store", "gateway", ECHO)
    async with await mesh.client("ada") as http:
        assert (await generate(http)).status_code == 200
        async with asyncio.timeout(60):
            while not ok(await http.get("/account/usage"))["usage"]:
                await asyncio.sleep(0.05)
        remaining = left(await http.get("/account/limits"), "daily-tokens")
        assert 0 < remaining < 60
        mesh.stop("gateway")
        monkeypatch.setattr(limiter, "horizon", lambda settings: 0.0)
        mesh.start("gateway")
        assert "x-ratelimit-limit-daily-tokens" not in (await http.get("/v1/models")).headers
        (told,) = ok(await http.get("/account/limits"))["limits"]
        assert (told["name"], told["remaining"]) == ("daily-tokens", remaining)
        assert left(await http.get("/v1/models"), "daily-tokens") == remaining


@pytest.mark.parametrize("ends", ["by itself", "cancelled"])
async def test_requests_under_way_are_limited_until_they_end(
    new_mesh: Callable[..., Mesh], ends: str
) -> None:
    mesh = new_mesh(limit_concurrent=1)
    mesh.start("store", "gateway", SINGLE)
    async with await mesh.client("ada") as http:
        chat = await new_chat(http)
        text = "word " * 20 if ends == "by itself" else "/repeat word"  # a second, or without end
        message = (await ask(http, chat, text, model=SINGLE))["assistant_message"]["id"]
        body = {"prompt": "x", "model": SINGLE}
        assert (await http.post("/generate", json=body)).status_code == 429
        if ends == "cancelled":
            ok(await http.post(f"/chats/{chat}/messages/{message}/cancel"))
        await events(http, chat, message)
        await until_left(http, 1, of="concurrent")
        assert (await http.post("/generate", json=body)).status_code == 200


def test_the_commands_show_what_was_used_and_set_limits(tmp_path: Path) -> None:
    with fleet(tmp_path) as mesh:
        mesh.gateway()
        mesh.store()
        mesh.worker("w1")
        with httpx.Client(base_url=mesh.url, timeout=30) as http:
            login = ok(http.get("/auth/callback/debug", params={"code": "ada"}))
            http.headers["Authorization"] = f"Bearer {login['access_token']['access_token']}"
            http.post("/generate", json={"prompt": "one two"}).raise_for_status()
            wait_until("the store has it", lambda: '"requests":1' in usage(mesh))
            (row,) = msgspec.json.decode(usage(mesh))["usage"]
            assert (row["name"], row["usage"]["model"]) == ("ada", "echo")
            assert "ada" in mesh.run("usage", "debug:ada").stdout
            assert mesh.run("usage", "--since", "yesterday").returncode == 78
            assert mesh.run("limit").returncode == 2
            set_ = mesh.run("limit", "debug:ada", "--requests", "1", "--weight", "2", "--json")
            assert msgspec.json.decode(set_.stdout)["requests"] == 1, set_.stderr
            assert "1\n" in mesh.run("limit", "debug:ada").stdout
            wait_until("it holds", lambda: "x-ratelimit-limit-requests" in chats(http))
            assert http.post("/generate", json={"prompt": "x"}).status_code == 429
            mesh.run("limit", "debug:ada", "--clear")
            wait_until("it holds no more", lambda: "x-ratelimit-limit-requests" not in chats(http))


def usage(mesh: Fleet) -> str:
    return mesh.run("usage", "--json", "--days", "1").stdout


def chats(http: httpx.Client) -> httpx.Headers:
    return http.get("/chats").headers
