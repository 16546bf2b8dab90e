"""What this mesh leaves out it says, where others have it, and what to do instead (A22, A23)."""

from collections.abc import Callable

import pytest
from openai import InternalServerError, OpenAI

from tests.chatting import refusal
from tests.whole_mesh import Mesh


@pytest.mark.parametrize(
    "route", ["GET /configs/builtin_plugins", "POST /configs/plugin_config", "POST /safety"]
)
async def test_routes_of_chat_servers_that_are_left_out(mesh: Mesh, route: str) -> None:
    method, path = route.split()
    async with mesh.anonymous() as http:
        response = await http.request(method, path, json={"url": "https://example.com"})
        assert refusal(response, 501, "not_implemented")


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("what", ["files", "vector_stores", "containers"])
async def test_routes_of_openai_that_are_left_out(mesh: Mesh, method: str, what: str) -> None:
    async with mesh.anonymous() as http:
        response = await http.request(method, f"/v1/{what}", json={})
        error = response.json()["error"]
        assert (response.status_code, error["code"]) == (501, "not_implemented")
        assert "tool of yours" in error["message"] or "messages" in error["message"]


@pytest.mark.parametrize(
    ("route", "instead"),
    [
        ("POST /v1/actions", "PUT /v1/actions"),
        ("DELETE /v1/actions/act_1", "PUT /v1/actions"),
        ("POST /v1/threads/runs", "POST /v1/threads"),
    ],
)
async def test_routes_of_assistants_that_are_left_out(mesh: Mesh, route: str, instead: str) -> None:
    method, path = route.split()
    async with mesh.anonymous() as http:
        response = await http.request(method, path)
        error = response.json()["error"]
        assert (response.status_code, error["code"]) == (501, "not_implemented")
        assert instead in error["message"]


CALLS: dict[str, Callable[[OpenAI], object]] = {
    "chat.completions.list": lambda client: client.chat.completions.list(),
    "chat.completions.retrieve": lambda client: client.chat.completions.retrieve("c"),
    "chat.completions.update": lambda client: client.chat.completions.update("c", metadata={}),
    "chat.completions.delete": lambda client: client.chat.completions.delete("c"),
    "chat.completions.messages.list": lambda client: client.chat.completions.messages.list("c"),
    "responses.compact": lambda client: client.responses.compact(model="echo", input="x"),
    "responses.input_tokens.count": lambda client: client.responses.input_tokens.count(input="x"),
    "models.delete": lambda client: client.models.delete("echo"),
}


@pytest.mark.parametrize("call", CALLS)
def test_calls_of_openais_client_that_are_left_out(mesh: Mesh, call: str) -> None:
    with OpenAI(base_url=f"{mesh.url}/v1", api_key="guest", max_retries=0) as client:
        with pytest.raises(InternalServerError) as refused:
            CALLS[call](client)
    assert (refused.value.status_code, refused.value.code) == (501, "not_implemented")


@pytest.mark.parametrize("kind", ["code_interpreter", "file_search"])
@pytest.mark.parametrize("route", ["/v1/chat/completions", "/v1/responses"])
async def test_tools_of_such_kinds_are_refused_by_name(mesh: Mesh, route: str, kind: str) -> None:
    asked = {"messages": [{"role": "user", "content": "x"}], "input": "x"}
    key = "input" if route == "/v1/responses" else "messages"
    body = {"model": "echo", key: asked[key], "tools": [{"type": kind}]}
    async with mesh.anonymous() as http:
        response = await http.post(route, json=body)
        assert response.status_code == 400, response.text
        assert response.json()["error"]["param"].startswith("tools")
