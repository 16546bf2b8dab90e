"""`/v1/users`: who makes, sees, names and deletes whom."""

from secrets import token_hex
from typing import Any

import httpx

from tests.chatting import ok
from tests.integration.test_accounts import PASSWORD, add, admin, bearer, make_key, signed_in
from tests.whole_mesh import Mesh


async def post(http: httpx.AsyncClient, path: str, **body: Any) -> Any:
    return ok(await http.post(path, json=body))


async def test_an_admin_makes_lists_names_and_deletes_users(mesh: Mesh) -> None:
    async with admin(mesh) as http:
        made = await post(http, "/v1/users", name="Ada Lovelace")
        assert (made["object"], made["name"]) == ("user", "Ada Lovelace")
        assert type(made["created_at"]) is int
        again = await post(http, "/v1/users", name="Ada Lovelace")
        assert again["id"] != made["id"]
        assert (await post(http, "/v1/users"))["name"] == "Anonymous User"
        url = f"/v1/users/{made['id']}"
        assert ok(await http.get(url)) == made
        renamed = ok(await http.put(url, json={"name": "Countess"}))
        assert renamed == made | {"name": "Countess"} == ok(await http.get(url))
        page = ok(await http.get("/v1/users", params={"limit": 1}))
        found = page["data"]
        while page["has_more"]:
            after = {"limit": 100, "after": page["last_id"]}
            page = ok(await http.get("/v1/users", params=after))
            found += page["data"]
        assert renamed in found and again in found
        thread = await post(http, "/v1/threads", participant_ids=[made["id"]])
        assert made["id"] in thread["participant_ids"]
        gone = ok(await http.delete(url))
        told = {"object": "user.deleted", "deleted": True, "success": True}
        assert gone == told | {"id": made["id"]}
        for method in ("GET", "DELETE"):
            assert (await http.request(method, url)).status_code == 404
        assert (await http.put(url, json={"name": "x"})).status_code == 404
        assert (await http.delete("/v1/users/admin")).status_code == 404  # a name is no id


async def test_a_user_with_a_password_signs_in_and_looks_after_oneself_alone(mesh: Mesh) -> None:
    name = f"user-{token_hex(4)}"
    _, other = await add(mesh)
    async with admin(mesh) as http:
        mine = (await post(http, "/v1/users", name=name, password=PASSWORD))["id"]
        same = await http.post("/v1/users", json={"name": name, "password": PASSWORD})
        assert same.status_code == 422
    async with signed_in(mesh, name) as http:
        assert ok(await http.get(f"/v1/users/{mine}"))["name"] == name
        assert ok(await http.put(f"/v1/users/{mine}", json={"name": "Me"}))["name"] == "Me"
        for path in (f"/v1/users/{other}", "/v1/users/none"):
            assert (await http.get(path)).status_code == 404
            assert (await http.put(path, json={"name": "x"})).status_code == 404
            assert (await http.delete(path)).status_code == 404
        assert (await http.get("/v1/users")).status_code == 403
        assert (await http.post("/v1/users", json={"name": "x"})).status_code == 403
        assert (await http.put(f"/v1/users/{mine}", json={"name": ""})).status_code == 400
        assert ok(await http.delete(f"/v1/users/{mine}"))["deleted"]
        assert (await http.get(f"/v1/users/{mine}")).status_code == 401


async def test_a_name_that_is_none_is_refused_as_what_was_sent(mesh: Mesh) -> None:
    async with admin(mesh) as http:
        me = f"/v1/users/{ok(await http.get('/auth/check'))}"
        called = ok(await http.get(me))["name"]
        for name in ("x\nadmin  admin", "\x1b[2J", "a\x9b", " ", ""):
            for refused in (
                await http.put(me, json={"name": name}),
                await http.post("/v1/users", json={"name": name}),
                await http.post("/v1/users", json={"name": name, "password": PASSWORD}),
            ):
                assert (refused.status_code, refused.json()["error"]["param"]) == (400, "name")
        assert ok(await http.get(me))["name"] == called
        for name, password, param in (("a:b", PASSWORD, "name"), ("ab", "short", "password")):
            body = {"name": name + token_hex(4), "password": password}
            refused = await http.post("/v1/users", json=body)
            assert (refused.status_code, refused.json()["error"]["param"]) == (400, param)


async def test_a_key_to_ask_with_changes_no_users_whosever_it_is(mesh: Mesh) -> None:
    async with admin(mesh) as http:
        _, asks = await make_key(http, name=token_hex(4), scopes=["ask", "chats", "mesh"])
        _, full = await make_key(http, name=token_hex(4), scopes=["ask", "account"])
        _, boss = await make_key(http, name=token_hex(4), scopes=["ask", "admin"])
        me = ok(await http.get("/auth/check"))
    _, other = await add(mesh)
    async with mesh.anonymous() as http:
        for method, path in (
            ("GET", "/v1/users"),
            ("POST", "/v1/users"),
            ("GET", f"/v1/users/{me}"),
            ("PUT", f"/v1/users/{me}"),
            ("DELETE", f"/v1/users/{me}"),
        ):
            refused = await http.request(method, path, json={"name": "x"}, headers=bearer(asks))
            assert refused.status_code == 403, (method, path)
            assert (await http.request(method, path, json={"name": "x"})).status_code == 401
        assert ok(await http.get(f"/v1/users/{me}", headers=bearer(full)))["id"] == me
        assert ok(await http.get(f"/v1/users/{other}", headers=bearer(boss)))["id"] == other
        for method in ("GET", "PUT", "DELETE"):
            for whose, key in ((other, full), (me, boss)):
                body = {"name": "x"} if method == "PUT" else None
                path = f"/v1/users/{whose}"
                refused = await http.request(method, path, json=body, headers=bearer(key))
                assert refused.status_code == 403, (method, whose, key)
        ok(await http.get("/v1/users", headers=bearer(boss)))
