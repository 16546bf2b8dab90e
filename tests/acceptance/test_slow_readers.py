"""A reader that does not read slows nobody down, and costs the gateway next to nothing."""

import json
import socket
import time

import psutil

from tests.acceptance.conftest import Processes
from tests.acceptance.reading import WORDS, Reading, said
from tests.truth import truth_of

STUCK = 20
TOKENS = 60_000


def stuck(url: str, key: str) -> socket.socket:
    """A client that asks for a long answer under a key and never reads a byte of it."""
    host, _, port = url.removeprefix("http://").partition(":")
    client = socket.create_connection((host, int(port)))
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    asked = {"prompt": f"/repeat {WORDS}", "params": {"max_tokens": TOKENS}}
    body = json.dumps(asked, separators=(",", ":"))  # byte for byte what the other reader sends
    head = f"POST /generate HTTP/1.1\r\nHost: {host}:{port}\r\nIdempotency-Key: {key}\r\n"
    client.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n{body}".encode())
    return client


def test_a_reader_that_does_not_read_slows_nobody_and_is_bounded(processes: Processes) -> None:
    gateway = processes.gateway()
    processes.worker("w1", "--context", "200000")
    processes.await_workers(1)
    memory = psutil.Process(gateway.popen.pid).memory_info
    warm = Reading(processes.url, 1000)
    warm.start()
    warm.finish()
    before = memory().rss
    clients = [stuck(processes.url, "one and the same") for _ in range(STUCK)]
    quick = Reading(processes.url, 2000)
    began = time.monotonic()
    quick.start()
    quick.finish()
    assert quick.texts == said(2000)
    assert time.monotonic() - began < 30
    whole = Reading(processes.url, TOKENS, key="one and the same")
    whole.start()
    whole.finish()
    assert whole.texts == said(TOKENS), whole.last
    grown = memory().rss - before
    assert grown < 120 << 20, f"{grown >> 20} MiB for {STUCK} readers of one answer"
    for client in clients:
        client.close()
    assert len(truth_of(processes.broker).claims) == 3
