"""A worker whose engine throws is left as a dead one is: its requests are answered by others."""

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.acceptance.conftest import Processes, until
from tests.acceptance.reading import Reading, said
from tests.conftest import free_port
from tests.truth import truth_of

AWAY = ("--engine", "openai", "--upstream", "http://127.0.0.1:9/v1", "--model", "echo")


@pytest.mark.parametrize("faulty", [("--echo-fail-after", "1"), AWAY], ids=["throws", "away"])
def test_one_faulty_engine_costs_no_request(processes: Processes, faulty: tuple[str, ...]) -> None:
    """Six times as many as the sound worker has slots, while the faulty one has slots to spare."""
    processes.gateway()
    processes.worker("sound", "--slots", "2", "--echo-rate", "30")
    bad = processes.worker("bad", *faulty)
    processes.await_workers(2)
    readings = [Reading(processes.url, 60) for _ in range(12)]
    for reading in readings:
        reading.start()
    for reading in readings:
        reading.finish()
    assert [reading.texts == said(60) for reading in readings] == [True] * 12
    truth = truth_of(processes.broker)
    truth.check()
    assert any("bad" in claims for claims in truth.claims.values()), "it has had its part"
    assert all(claims.count("bad") <= 2 for claims in truth.claims.values())
    assert bad.running


def test_what_fails_with_every_engine_ends_as_its_own_failure(processes: Processes) -> None:
    """Neither of two workers waits for the other."""
    processes.gateway()
    for name in ("w1", "w2"):
        processes.worker(name, "--echo-fail-after", "1")
    processes.await_workers(2)
    reading = Reading(processes.url, 20)
    reading.start()
    reading.finish()
    assert "failed" in reading.last["error"]
    ((_, claims),) = truth_of(processes.broker).claims.items()
    assert len(claims) == 3 and set(claims) == {"w1", "w2"}


class Upstream(BaseHTTPRequestHandler):
    """Says one word."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        chunk = {"choices": [{"delta": {"content": "here"}, "finish_reason": "stop"}]}
        self.send_response(200)
        self.end_headers()
        self.wfile.write(f"data: {json.dumps(chunk)}\n\ndata: [DONE]\n\n".encode())

    def log_message(self, format: str, *args: object) -> None: ...


@pytest.fixture
def returning() -> Iterator[tuple[int, threading.Event]]:
    """A port at which an upstream answers once the event is set."""
    port, back, servers = free_port(), threading.Event(), list[ThreadingHTTPServer]()

    def serve() -> None:
        back.wait()
        with ThreadingHTTPServer(("127.0.0.1", port), Upstream) as server:
            servers.append(server)
            server.serve_forever()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield port, back
    back.set()
    until("it serves", lambda: bool(servers))
    servers[0].shutdown()
    thread.join()


def test_an_upstream_that_is_away_for_a_moment_costs_no_request(
    processes: Processes, returning: tuple[int, threading.Event]
) -> None:
    """Longer than three tries would last that followed upon each other."""
    port, back = returning
    processes.gateway()
    upstream = ("--upstream", f"http://127.0.0.1:{port}/v1", "--model", "m")
    worker = processes.worker("w1", "--engine", "openai", *upstream)
    processes.await_workers(1)
    readings = [Reading(processes.url, 5) for _ in range(6)]
    for reading in readings:
        reading.start()
    until("one has failed", lambda: "The engine failed on" in worker.log.read_text())
    time.sleep(2.0)
    back.set()
    for reading in readings:
        reading.finish()
    assert [reading.texts for reading in readings] == [["here"]] * 6
