"""Whatever is answered with 500, the gateway's log has the reason under the request's id."""

import logging

import httpx
import pytest
from litestar.types import Receive, Scope, Send

from mesh.gateway.errors import AnyRequest, on_any_error, on_mesh_error
from mesh.gateway.metrics.counting import Counting
from mesh.gateway.metrics.meters import Meters
from mesh.protocol.errors import ErrorCode, MeshError

REQUEST = AnyRequest({"type": "http", "path": "/chats", "state": {"request_id": "r1"}})  # type: ignore[arg-type]


def logged(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]


def test_what_failed_inside_is_logged_with_its_reason(caplog: pytest.LogCaptureFixture) -> None:
    failed = MeshError(ErrorCode.ENGINE_FAILED, "The engine broke down: ValueError.")
    assert on_mesh_error(REQUEST, failed).status_code == 500
    assert logged(caplog) == ["r1: 500 engine_failed: The engine broke down: ValueError."]
    on_any_error(REQUEST, KeyError("nobody thought of this"))
    assert "KeyError: 'nobody thought of this'" in caplog.text
    assert len(logged(caplog)) == 2


def test_a_refusal_is_nothing_to_log(caplog: pytest.LogCaptureFixture) -> None:
    on_mesh_error(REQUEST, MeshError(ErrorCode.NOT_FOUND))
    on_mesh_error(REQUEST, MeshError(ErrorCode.BROKER_UNAVAILABLE))
    assert logged(caplog) == []


async def test_what_fails_around_the_routes_is_answered_and_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def broken(scope: Scope, receive: Receive, send: Send) -> None:
        scope["state"] = {"request_id": "r2"}
        raise RuntimeError("a door that breaks")

    transport = httpx.ASGITransport(Counting(broken, Meters("gw")))  # type: ignore[arg-type]
    async with httpx.AsyncClient(transport=transport, base_url="http://mesh") as http:
        response = await http.get("/chats")
    assert response.status_code == 500
    assert response.json()["code"] == "internal" and response.json()["request_id"] == "r2"
    assert any(line.startswith("r2: 500 internal") for line in logged(caplog))
    assert "a door that breaks" in caplog.text and "a door that breaks" not in response.text
