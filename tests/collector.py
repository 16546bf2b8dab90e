"""A collector of OpenTelemetry's, for what gateways tell of requests."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest


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
