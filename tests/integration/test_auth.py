"""Signing in: the debug login on loopback only, access tokens that end, refresh tokens."""

import time
from collections.abc import Callable

import jwt
import pytest

from mesh.gateway.tokens import ALGORITHM
from tests.chatting import ok, refusal
from tests.whole_mesh import Mesh

KEY = "a signing key for tests, which nobody else has"


async def test_the_debug_login_creates_the_user_and_gives_a_pair(mesh: Mesh) -> None:
    async with mesh.anonymous() as http:
        pair = ok(await http.get("/auth/callback/debug", params={"code": "login"}))
        assert pair["access_token"]["token_type"] == "bearer"
        assert pair["refresh_token"]["token_type"] == "refresh"
        access = {"Authorization": f"Bearer {pair['access_token']['access_token']}"}
        user = ok(await http.get("/auth/check", headers=access))
        again = ok(await http.get("/auth/callback/debug", params={"code": "login"}))
        access = {"Authorization": f"Bearer {again['access_token']['access_token']}"}
        assert ok(await http.get("/auth/check", headers=access)) == user


async def test_the_login_page_leads_to_the_callback(mesh: Mesh) -> None:
    async with mesh.anonymous() as http:
        assert ok(await http.get("/auth/providers")) == ["debug", "password"]
        asked = {"username": "ann e&x", "state": "s 1"}
        response = await http.get("/auth/login/debug", params=asked)
        assert response.status_code == 302
        assert response.headers["location"] == "/auth/callback/debug?code=ann+e%26x&state=s+1"
        ok(await http.get(response.headers["location"]))


@pytest.mark.parametrize("code", ["", "%20%20", "x" * 101, "a%00b", "%ff", "a%0ab", "%ed%a0%80"])
async def test_a_name_has_to_be_one(mesh: Mesh, code: str) -> None:
    async with mesh.anonymous() as http:
        for path in ("/auth/callback/debug?code=", "/auth/login/debug?username="):
            refusal(await http.get(path + code), 400, "bad_request")


async def test_tokens_are_not_kept_on_the_way(mesh: Mesh) -> None:
    async with mesh.anonymous() as http:
        login = await http.get("/auth/callback/debug", params={"code": "Zoë 李 👩‍👧"})
        refresh = {"Refresh": ok(login)["refresh_token"]["access_token"]}
        for response in (login, await http.get("/auth/refresh", headers=refresh)):
            assert response.headers["cache-control"] == "no-store"


async def test_without_a_token_there_is_nothing_to_see(mesh: Mesh) -> None:
    async with mesh.anonymous() as http:
        for path in ("/auth/check", "/chats", "/workers"):
            response = await http.get(path)
            refusal(response, 403, "not_authenticated")
            assert response.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize("header", ["Bearer", "Bearer x.y.z", "Basic YTpi", "Bearer é"])
async def test_a_forged_token_is_refused(mesh: Mesh, header: str) -> None:
    async with mesh.anonymous() as http:
        headers = [(b"authorization", header.encode())]
        refusal(await http.get("/chats", headers=headers), 401, "invalid_token")


async def test_a_token_signed_with_another_key_or_not_at_all_is_refused(mesh: Mesh) -> None:
    claims = {"sub": "u", "name": "u", "type": "access", "exp": time.time() + 60}
    forged = [jwt.encode(claims, KEY, ALGORITHM), jwt.encode(claims, "", "none")]
    async with mesh.anonymous() as http:
        for token in forged:
            response = await http.get("/chats", headers={"Authorization": f"Bearer {token}"})
            refusal(response, 401, "invalid_token")


async def test_a_refresh_token_gives_another_pair(mesh: Mesh) -> None:
    async with mesh.anonymous() as http:
        pair = ok(await http.get("/auth/callback/debug", params={"code": "refresher"}))
        refresh = {"Refresh": pair["refresh_token"]["access_token"]}
        for _ in range(2):
            fresh = ok(await http.get("/auth/refresh", headers=refresh))
            assert fresh["token_type"] == "bearer"
            bearer = {"Authorization": f"Bearer {fresh['access_token']}"}
            ok(await http.get("/auth/check", headers=bearer))
            again = {"Refresh": fresh["refresh_token"]["access_token"]}
            assert again != refresh
            refresh = again


async def test_a_refresh_token_that_is_used_twice_signs_the_whole_family_out(
    new_mesh: Callable[..., Mesh],
) -> None:
    mesh = new_mesh(refresh_leeway=0.0)
    mesh.start("store", "gateway")
    async with mesh.anonymous() as http:
        pair = ok(await http.get("/auth/callback/debug", params={"code": "robbed"}))
        stolen = {"Refresh": pair["refresh_token"]["access_token"]}
        fresh = ok(await http.get("/auth/refresh", headers=stolen))
        refusal(await http.get("/auth/refresh", headers=stolen), 401, "invalid_token")
        latest = {"Refresh": fresh["refresh_token"]["access_token"]}
        refusal(await http.get("/auth/refresh", headers=latest), 401, "invalid_token")


async def test_signing_out_ends_the_refresh_token(mesh: Mesh) -> None:
    async with mesh.anonymous() as http:
        pair = ok(await http.get("/auth/callback/debug", params={"code": "leaver"}))
        refresh = {"Refresh": pair["refresh_token"]["access_token"]}
        refusal(await http.post("/auth/logout"), 403, "not_authenticated")
        ok(await http.post("/auth/logout", headers=refresh))
        refusal(await http.get("/auth/refresh", headers=refresh), 401, "invalid_token")


async def test_signing_out_everywhere_ends_access_tokens_too(mesh: Mesh) -> None:
    async with await mesh.client("everywhere") as one, await mesh.client("everywhere") as other:
        ok(await one.delete("/auth/sessions"))
        for http in (one, other):
            refusal(await http.get("/auth/check"), 401, "token_expired")
    async with await mesh.client("everywhere") as again:
        ok(await again.get("/auth/check"))


async def test_refreshing_needs_a_refresh_token(mesh: Mesh) -> None:
    async with mesh.anonymous() as http:
        pair = ok(await http.get("/auth/callback/debug", params={"code": "confused"}))
        refusal(await http.get("/auth/refresh"), 403, "not_authenticated")
        unknown = await http.get("/auth/refresh", headers={"Refresh": "what is this"})
        refusal(unknown, 401, "invalid_token")
        access = {"Refresh": pair["access_token"]["access_token"]}
        refusal(await http.get("/auth/refresh", headers=access), 400, "bad_request")
        bearer = {"Authorization": f"Bearer {pair['refresh_token']['access_token']}"}
        refusal(await http.get("/auth/check", headers=bearer), 401, "invalid_token")


async def test_tokens_end(new_mesh: Callable[..., Mesh]) -> None:
    mesh = new_mesh(access_ttl=0.01, refresh_ttl=0.01)
    mesh.start("store", "gateway")
    async with await mesh.client("mayfly") as http:
        while (response := await http.get("/auth/check")).status_code == 200:
            pass
        refusal(response, 401, "token_expired")
        pair = ok(await http.get("/auth/callback/debug", params={"code": "mayfly"}))
        refresh = {"Refresh": pair["refresh_token"]["access_token"]}
        while (response := await http.get("/auth/refresh", headers=refresh)).status_code == 200:
            pass
        refusal(response, 401, "token_expired")


async def test_on_a_network_nobody_is_believed_by_name(new_mesh: Callable[..., Mesh]) -> None:
    mesh = new_mesh(allowed_hosts="127.0.0.1")
    mesh.start("store", "gateway")
    async with mesh.anonymous() as http:
        assert ok(await http.get("/auth/providers")) == ["password"]
        for path in ("/auth/callback/debug?code=eve", "/auth/login/debug?username=eve"):
            refusal(await http.get(path), 403, "forbidden")
        refusal(await http.get("/configs/model_configs"), 403, "not_authenticated")


@pytest.mark.parametrize(
    "header",
    [
        "X-Forwarded-For",
        "X-Forwarded-Proto",
        "X-Forwarded-Host",
        "X-Forwarded-Port",
        "Forwarded",
        "Via",
        "CF-Connecting-IP",
        "True-Client-IP",
        "X-Real-IP",
    ],
)
async def test_what_a_proxy_hands_on_is_not_from_this_machine(mesh: Mesh, header: str) -> None:
    """Though it may call the gateway by a loopback name: then the whole network would be guests."""
    async with mesh.anonymous(headers={header: "192.0.2.7"}) as http:
        refusal(await http.get("/configs/model_configs"), 403, "not_authenticated")
        guest = {"Authorization": "Bearer guest"}
        refused = await http.get("/configs/model_configs", headers=guest)
        refusal(refused, 403, "not_authenticated")
        refusal(await http.get("/auth/callback/debug?code=eve"), 403, "forbidden")


async def test_refresh_tokens_are_kept_as_hashes_only(new_mesh: Callable[..., Mesh]) -> None:
    mesh = new_mesh()
    mesh.start("store", "gateway")
    async with mesh.anonymous() as http:
        pair = ok(await http.get("/auth/callback/debug", params={"code": "careful"}))
    mesh.stop()
    for file in mesh.broker.data_dir.glob("mesh.db*"):
        assert pair["refresh_token"]["access_token"].encode() not in file.read_bytes()
