"""A page of another server asks the mesh: a browser lets it if its origin is one that we allow."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from playwright.sync_api import Browser, Error

from tests.whole_mesh import ECHO, Mesh

FETCH = """async ([url, model]) => {
    const response = await fetch(url + "/generate", {
        method: "POST",
        headers: {"Content-Type": "application/json"},
        body: JSON.stringify({prompt: "one two", model}),
    });
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let text = "";
    for (let part; !(part = await reader.read()).done; ) text += part.value;
    return text.split("\\n").filter((line) => line.startsWith("data: "))
        .map((line) => JSON.parse(line.slice(6)));
}"""


class Front(BaseHTTPRequestHandler):
    """Serves a page with nothing on it."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<!doctype html><title>Another page</title>")

    def log_message(self, *_: Any) -> None:
        """Says nothing."""


@contextmanager
def front() -> Iterator[str]:
    """The origin of another server."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Front) as server:
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            serving.join()


def fetched(browser: Browser, origin: str, mesh: Mesh) -> Any:
    """What a page of this origin gets of the mesh, as a list of events."""
    context = browser.new_context()
    try:
        page = context.new_page()
        page.goto(origin)
        return page.evaluate(FETCH, [mesh.url, ECHO])
    finally:
        context.close()


def test_a_page_of_an_allowed_origin_fetches_tokens_and_no_other(
    browser: Browser, new_mesh: Callable[..., Mesh]
) -> None:
    with front() as friend, front() as stranger:
        mesh = new_mesh(allowed_origins=friend)
        mesh.start("gateway", ECHO)
        assert fetched(browser, friend, mesh) == [
            {"token": "one ", "index": 0},
            {"token": "two", "index": 1},
            {"done": True, "total_tokens": 2},
        ]
        with pytest.raises(Error, match="Failed to fetch"):
            fetched(browser, stranger, mesh)
