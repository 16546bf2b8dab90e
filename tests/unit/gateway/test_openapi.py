"""The OpenAPI document says what the routes are: all of them, validly, with their errors."""

from pathlib import Path
from typing import Any

import msgspec
import pytest
from openapi_spec_validator import validate

from mesh.gateway.access import rule
from mesh.gateway.errors import STATUS
from mesh.gateway.openapi import document
from mesh.gateway.refusals import EVERYWHERE, MORE, statuses
from tests.served import bare_app, served

DOCS = Path(__file__).parents[3] / "docs"


@pytest.fixture(scope="module")
def openapi() -> Any:
    return msgspec.json.decode(document(bare_app()))


def operations(openapi: Any) -> list[tuple[str, str, Any]]:
    return [
        (path, method, operation)
        for path, methods in openapi["paths"].items()
        for method, operation in methods.items()
    ]


def test_it_is_valid(openapi: Any) -> None:
    validate(openapi)


def test_every_route_is_in_it_and_nothing_else(openapi: Any) -> None:
    told = {f"{method.upper()} {path}" for path, method, _ in operations(openapi)}
    assert told == set(served())


def test_every_operation_has_a_sentence_an_id_and_its_errors(openapi: Any) -> None:
    found = operations(openapi)
    for path, method, operation in found:
        assert operation["summary"].endswith("."), (path, method)
        refused = {int(s) for s, r in operation["responses"].items() if "$ref" in r}
        assert refused == set(statuses(method.upper(), path)), (method, path)
        openai = path.startswith("/v1/") or path == "/tokenize"
        native = "OpenAIError" if openai else "ErrorBody"
        if path in ("/v1/ask", "/v1/client/info"):
            native = "AskError"
        if path == "/api/messages/process":
            native = "ProcessError"
        if path == "/generate":
            native = "ErrorEvent"
        refusal = operation["responses"]["404"]
        assert refusal == {"$ref": f"#/components/responses/{native}404"}
        (content,) = openapi["components"]["responses"][f"{native}404"]["content"].values()
        schema = content["schema"]
        if native == "ErrorEvent":
            (schema,) = schema["properties"]["data"]["contentSchema"]["anyOf"]
        assert schema == {"$ref": f"#/components/schemas/{native}"}
    assert len({operation["operationId"] for _, _, operation in found}) == len(found)


def test_a_status_is_declared_where_it_can_come_and_nowhere_else(openapi: Any) -> None:
    routes = {f"{method.upper()} {path}" for path, method, _ in operations(openapi)}
    assert MORE.keys() <= routes, "a route that is gone, or is called otherwise now"
    known = set(STATUS.values())
    assert EVERYWHERE.union(*MORE.values()) == known, "a status that no route has"
    health = openapi["paths"]["/v1/health"]["get"]["responses"]
    assert not {"402", "409", "422", "429", "500", "501", "504"} & health.keys()
    left_out = openapi["paths"]["/v1/files"]["get"]["responses"]
    assert "501" in left_out and "429" not in left_out


def test_every_response_that_is_kept_by_itself_is_referred_to(openapi: Any) -> None:
    text = msgspec.json.encode(openapi["paths"]).decode()
    for name in openapi["components"]["responses"]:
        assert f'"#/components/responses/{name}"' in text


def test_every_post_and_put_says_what_it_takes(openapi: Any) -> None:
    bodyless = {
        "assistant_chunk",
        "cancel",
        "cancel_request",
        "cancel_response",
        "cancel_run",
        "cancel_token",
        "compact_response",
        "count_input_tokens",
        "create_action",
        "create_container",
        "create_thread_and_run",
        "create_vector_store",
        "generate_title",
        "give_tool",
        "hide_all_chats",
        "logout",
        "plugin_config",
        "safety",
        "share_assistant",
        "share_chat",
        "ticket",
        "trusted",
        "update_completion",
        "upload_file",
    }
    for _, method, operation in operations(openapi):
        takes = method in ("post", "put") and operation["operationId"] not in bodyless
        assert ("requestBody" in operation) == takes


def test_only_signing_in_health_and_the_document_are_public(openapi: Any) -> None:
    public = {path for path, _, operation in operations(openapi) if not operation["security"]}
    assert public == {
        "/",
        "/auth/callback/debug",
        "/auth/callback/{provider}",
        "/auth/login",
        "/auth/login/debug",
        "/auth/login/{provider}",
        "/auth/logout",
        "/auth/providers",
        "/auth/refresh",
        "/auth/ticket",
        "/auth/trusted",
        "/cancel",
        "/openapi.json",
        "/page/{name}",
        "/shared/{share_id}",
        "/v1/health",
    }


def test_every_route_that_is_not_public_has_a_rule(openapi: Any) -> None:
    for path, method, operation in operations(openapi):
        if operation["security"]:
            found = rule(path)
            assert found is not None, f"{method} {path}: add a rule to mesh/gateway/access.py"
            scopes = [] if found.scope is None else [found.scope]
            assert operation["security"] == [{"bearer": scopes}]


def test_parameters_say_where_they_go_and_how_far(openapi: Any) -> None:
    limit = openapi["paths"]["/chats"]["get"]["parameters"][1]
    assert (limit["name"], limit["in"], limit["required"]) == ("limit", "query", False)
    assert limit["schema"] == {"type": "integer", "minimum": 1, "maximum": 100}
    path = "/chats/{chat_id}/messages/{message_id}/events"
    names = [(p["in"], p["name"]) for p in openapi["paths"][path]["get"]["parameters"]]
    assert names == [("path", "chat_id"), ("path", "message_id"), ("header", "Last-Event-ID")]


def test_streams_name_the_kinds_of_their_events(openapi: Any) -> None:
    path = "/chats/{chat_id}/messages/{message_id}/events"
    responses = openapi["paths"][path]["get"]["responses"]
    event = responses["200"]["content"]["text/event-stream"]["schema"]
    kinds = event["properties"]["data"]["contentSchema"]["anyOf"]
    assert [kind["$ref"].rpartition("/")[2] for kind in kinds] == [
        "PendingEvent",
        "PieceEvent",
        "MessageEvent",
        "FailureEvent",
    ]
    assert "204" in responses


def test_every_route_is_documented(openapi: Any) -> None:
    pages = "".join((DOCS / page).read_text() for page in ("accounts.md", "api.md", "openai.md"))
    for path, method, _ in operations(openapi):
        assert f"`{method.upper()} {path}" in pages, (method, path)


def test_whoever_is_to_come_back_is_told_when(openapi: Any) -> None:
    for name, response in openapi["components"]["responses"].items():
        assert ("Retry-After" in response.get("headers", {})) == (name[-3:] in "429 503 504"), name
    assert "gateway_stopping" in openapi["components"]["responses"]["ErrorBody503"]["description"]
