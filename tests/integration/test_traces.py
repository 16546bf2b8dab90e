"""Traces: what a collector of OpenTelemetry's hears of a request, and what it never does."""

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest

from tests.fleet import wait_until
from tests.whole_mesh import ECHO, FAILING, Mesh

WORDS = "umbrellas in the long november rain"


class Collector:
    """Hears spans at its URL."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        heard = self.bodies

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.path == "/v1/traces":
                    heard.append(body)
                self.send_response(200)
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    def spans(self, trace: str = "") -> list[dict[str, Any]]:
        found = [
            span
            for body in self.bodies
            for resource in json.loads(body)["resourceSpans"]
            for scope in resource["scopeSpans"]
            for span in scope["spans"]
        ]
        return [span for span in found if trace in ("", span["traceId"])]

    def trace_with(self, request_id: str) -> list[dict[str, Any]]:
        """The spans of an HTTP request; none as long as it was not told of."""
        for span in self.spans():
            if about(span).get("mesh.request_id") == request_id:
                return self.spans(span["traceId"])
        return []

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def about(span: dict[str, Any]) -> dict[str, Any]:
    return {each["key"]: next(iter(each["value"].values())) for each in span["attributes"]}


@pytest.fixture
def collector() -> Iterator[Collector]:
    collector = Collector()
    yield collector
    collector.close()


def test_a_request_is_told_of_from_http_to_the_engine(
    new_mesh: Callable[..., Mesh], collector: Collector
) -> None:
    mesh = new_mesh(otlp=collector.url)
    mesh.start("store", "gateway", ECHO, FAILING)
    body: dict[str, Any] = {"model": ECHO, "messages": [{"role": "user", "content": WORDS}]}
    answer = httpx.post(f"{mesh.url}/v1/chat/completions", json=body, timeout=60)
    request_id = answer.headers["x-request-id"]
    wait_until("all of it was told", lambda: len(collector.trace_with(request_id)) == 5)
    spans = {span["name"]: span for span in collector.trace_with(request_id)}
    http, chat = spans["POST /v1/chat/completions"], spans[f"chat {ECHO}"]
    assert "parentSpanId" not in http and chat["parentSpanId"] == http["spanId"]
    assert about(http)["http.response.status_code"] == "200"
    used = answer.json()["usage"]
    told = about(chat)
    assert told["gen_ai.usage.output_tokens"] == str(used["completion_tokens"])
    assert (told["mesh.end"], told["mesh.attempts"], told["mesh.worker"]) == ("done", "1", ECHO)
    before = int(chat["startTimeUnixNano"])
    for name in ("queue", "prefill", "generate"):
        step = spans[name]
        assert step["parentSpanId"] == chat["spanId"]
        assert before <= int(step["startTimeUnixNano"]) <= int(step["endTimeUnixNano"])
        before = int(step["endTimeUnixNano"])
    assert before == int(chat["endTimeUnixNano"])
    assert all(len(span["traceId"]) == 32 and len(span["spanId"]) == 16 for span in spans.values())

    body |= {"model": FAILING, "messages": [{"role": "user", "content": WORDS * 9}]}
    failing = httpx.post(f"{mesh.url}/v1/chat/completions", json=body, timeout=60)
    failed = failing.headers["x-request-id"]
    wait_until("the failure was told", lambda: len(collector.trace_with(failed)) >= 2)
    (chat,) = [span for span in collector.trace_with(failed) if span["name"].startswith("chat")]
    assert chat["status"] == {"code": 2, "message": "engine_failed"}
    assert int(about(chat)["mesh.attempts"]) > 1
    assert all(WORDS.split()[0].encode() not in heard for heard in collector.bodies)


def test_a_collector_that_is_away_keeps_nobody_waiting(new_mesh: Callable[..., Mesh]) -> None:
    mesh = new_mesh(otlp="http://127.0.0.1:1")
    mesh.start("store", "gateway", ECHO)
    for _ in range(2):
        body = {"prompt": "hello", "model": ECHO}
        assert httpx.post(f"{mesh.url}/generate", json=body, timeout=60).status_code == 200
