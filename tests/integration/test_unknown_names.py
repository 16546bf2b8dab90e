"""A name that nobody reads is refused and named where leaving it out would say something else."""

from typing import Any

import pytest

from tests.chatting import answer, new_chat, ok, refusal
from tests.integration.test_accounts import PASSWORD, add, signed_in
from tests.whole_mesh import ECHO, Mesh

QUERIES = ("/admin/export", "/admin/users", "/admin/usage", "/account", "/account/usage")

SAMPLING = {"sampling_parameters": {"max_tokens": 5}}
BODIES: dict[str, tuple[dict[str, Any], str]] = {
    "POST /chats": ({"name": "x"}, "name"),
    "PUT /chats/{chat}": ({"allow_data_usage": False}, "allow_data_usage"),
    "POST /chats/{chat}/prompter_message": ({"content": "x", "parent": "y"}, "parent"),
    "POST /chats/{chat}/messages": ({"content": "x", "model": ECHO}, "model"),
    "POST /chats/{chat}/assistant_message": ({"parent_id": "y", "model": ECHO}, "model"),
    "POST /chats/{chat}/drafts": ({"parent_id": "y", "count": 2}, "count"),
    "POST {message}/votes": ({"score": 1, "why": "x"}, "why"),
    "POST {message}/reports": ({"report_type": "spam", "text": "x"}, "text"),
    "POST {message}/message_evals": ({"inferior": []}, "inferior"),
}


async def test_a_query_parameter_that_nobody_reads_is_refused_and_named(mesh: Mesh) -> None:
    name, _ = await add(mesh, "admin")
    async with signed_in(mesh, name, PASSWORD) as http:
        for path in QUERIES:
            assert (await http.get(path)).status_code == 200
            response = await http.get(path, params={"from_date": "2026-11-21"})
            assert "'from_date'" in refusal(response, 400, "bad_request"), path
            assert response.json()["param"] == "from_date"
        assert "since, until" in (await http.get("/admin/usage?x=1")).json()["detail"]
        ok(await http.get("/admin/usage", params={"since": "2026-11-21", "user": name}))
        ok(await http.get("/chats", params={"from_date": "2026-11-21"}))
    async with mesh.anonymous() as http:
        who = await http.get("/admin/users", params={"from_date": "x"})
        assert who.status_code in (401, 403), "who may not call a route is not told what it takes"


@pytest.mark.parametrize("route", BODIES)
async def test_a_key_of_a_body_that_nobody_reads_is_refused_and_named(
    mesh: Mesh, route: str
) -> None:
    async with await mesh.client("unknown names") as http:
        chat = await new_chat(http)
        message = f"/chats/{chat}/messages/{(await answer(http, chat, 'hello'))['id']}"
        method, _, path = route.format(chat=chat, message=message).partition(" ")
        body, name = BODIES[route]
        response = await http.request(method, path, json=body)
        refusal(response, 400, "bad_request")
        assert response.json()["param"] == name


async def test_sampling_parameters_have_no_other_names(mesh: Mesh) -> None:
    async with await mesh.client("unknown sampling") as http:
        path = f"/chats/{await new_chat(http)}/messages"
        response = await http.post(path, json={"content": "x", **SAMPLING})
        refusal(response, 422, "bad_request")
        assert response.json()["param"] == "sampling_parameters.max_tokens"


@pytest.mark.parametrize("body", [{"max_tokens": 5}, {"params": {"max_new_tokens": 5}}])
async def test_generate_has_no_other_names(mesh: Mesh, body: dict[str, Any]) -> None:
    async with await mesh.client("unknown to generate") as http:
        response = await http.post("/generate", json={"prompt": "x", "model": ECHO, **body})
        assert response.status_code == 400
        assert "There is no parameter" in response.text and "max_" in response.text


async def test_what_clients_of_such_servers_send_along_is_taken(mesh: Mesh) -> None:
    plugin = {"url": "https://plugins.test/a", "enabled": False, "trusted": True}
    plugin |= {"plugin_config": {"schema_version": "v1"}}
    more = {"plugins": [plugin], "used_plugin": None}
    async with await mesh.client("sends more along") as http:
        path = f"/chats/{await new_chat(http)}/messages"
        ok(await http.post(path, json={"content": "x", "model_config_name": ECHO, **more}))
        said: list[dict[str, Any]] = [{"role": "user", "content": "x"}]
        question = {"question": "x", "client_id": "c", "user_id": "u", "stream": False}
        sent = question | {"product_id": "p", "history": said, "model": ECHO}
        ok(await http.post("/v1/ask", json=sent))
        refused = await http.post("/v1/ask", json=question | {"model_name": ECHO})
        assert (refused.status_code, "'model_name'" in refused.json()["msg"]) == (400, True)
        said[0] |= {"created": 1}
        refused = await http.post("/v1/ask", json=sent | {"history": said})
        assert refused.status_code == 400
        assert "'history[0].created'" in refused.json()["msg"]
        plugin |= {"active": False}
        body = {"content": "x", "plugins": [plugin]}
        refused = await http.post(path, json=body)
        refusal(refused, 400, "bad_request")
        assert refused.json()["param"] == "plugins[0].active"


@pytest.mark.parametrize(
    ("bias", "param"), [({"a": 1}, "logit_bias"), ({"5": 101}, "logit_bias[...]")]
)
async def test_a_wrong_key_of_a_map_names_the_map(
    mesh: Mesh, bias: dict[str, float], param: str
) -> None:
    messages = [{"role": "user", "content": "x"}]
    async with await mesh.client("wrong maps") as http:
        body = {"model": ECHO, "messages": messages, "logit_bias": bias}
        response = await http.post("/v1/chat/completions", json=body)
        assert response.status_code == 400
        assert response.json()["error"]["param"] == param


async def test_what_is_needed_and_missing_is_named(mesh: Mesh) -> None:
    async with await mesh.client("missing names") as http:
        path = f"/chats/{await new_chat(http)}/prompter_message"
        response = await http.post(path, json={})
        assert "'content' is needed" in refusal(response, 400, "bad_request")
        assert response.json()["param"] == "content"
        tool = {"type": "function", "function": {"description": "x"}}
        body = {"model": ECHO, "messages": [{"role": "user", "content": "x"}], "tools": [tool]}
        response = await http.post("/v1/chat/completions", json=body)
        assert response.json()["error"]["param"] == "tools[0].function.name"
