"""Readers who stay behind long answers cost a gateway little, and miss nothing by that."""

import json
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import psutil
import pytest

from tests.acceptance.conftest import Processes, until
from tests.acceptance.reading import WORDS, Reading
from tests.chaos.narrow import SEGMENT

FIRST, READERS = 10, 30
TOKENS = 20_000
PROMPT = f"/repeat {WORDS}"

HELD = 16 << 10
"""Bytes that their sockets may hold, about."""

PATIENCE = 60.0
"""Seconds in which a reader who reads on has to be told more."""

WORTH = 1536 << 10
"""Bytes that a gateway may keep for each of them. What its HTTP server holds of a stream before it
presses back is 400 KiB; a whole answer of theirs takes 3600 KiB, and did."""

LEFT = "is left to the log"

GENERATE: tuple[str, dict[str, Any]] = (
    "/generate",
    {"prompt": PROMPT, "params": {"max_tokens": TOKENS}},
)

TALK = {"model": "echo", "max_tokens": TOKENS, "stream": True}
CHAT = TALK | {"messages": [{"role": "user", "content": PROMPT}]}
LIKELY = TALK | {"prompt": PROMPT, "logprobs": 1, "max_tokens": 6000}
RESPONSE = {"model": "echo", "input": PROMPT, "max_output_tokens": TOKENS, "stream": True}

ROUTES: dict[str, tuple[str, dict[str, Any]]] = {
    "generate": GENERATE,
    "chat": ("/v1/chat/completions", CHAT),
    "likely": ("/v1/completions", LIKELY),
    "response": ("/v1/responses", RESPONSE),
}


def asking(port: int, key: str, asked: tuple[str, dict[str, Any]]) -> socket.socket:
    """A client that asks under a key, and has not read a byte of its answer yet."""
    client = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, HELD)
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, SEGMENT)
    client.settimeout(PATIENCE)
    client.connect(("127.0.0.1", port))
    path, fields = asked
    body = json.dumps(fields, separators=(",", ":"))  # byte for byte what `Reading` sends
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nIdempotency-Key: {key}\r\n"
    client.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n{body}".encode())
    return client


def lines(client: socket.socket) -> Iterator[str]:
    """What a client is told that has asked, line by line, up to the end of its stream."""
    with client.makefile("rb") as told:
        head = [told.readline()]
        while head[-1] != b"\r\n":
            assert head[-1], head
            head.append(told.readline())
        assert b" 200 " in head[0], head
        left = b""
        while size := int(told.readline(), 16):
            whole, _, left = (left + told.read(size)).rpartition(b"\n")
            told.readline()
            yield from whole.decode().split("\n")
        assert left == b""


def left_to_the_log(processes: Processes) -> int:
    """How many readers the gateway says were too slow for it."""
    return (processes.folder / "gateway.log").read_text().count(LEFT)


@pytest.fixture
def started(processes: Processes) -> Processes:
    """With a gateway, and a worker that writes long answers as quickly as it can."""
    processes.gateway("--keep-alive", "1")
    processes.worker("w1", "--context", "200000")
    processes.await_workers(1)
    return processes


def test_what_slow_readers_have_not_read_is_held_by_the_log_alone(started: Processes) -> None:
    memory = psutil.Process(started.started[0].popen.pid).memory_info
    with ExitStack() as open_ones:
        clients: list[socket.socket] = []

        def ask(count: int) -> int:
            """So many who do not read, one after the other; the bytes that the gateway has then."""
            for _ in range(count):
                key = f"slow {len(clients)}"
                clients.append(asking(started.port, key, GENERATE))
                open_ones.enter_context(clients[-1])
                Reading.whole(started.url, TOKENS, key=key)
            until("all are left to the log", lambda: left_to_the_log(started) == len(clients))
            return int(memory().rss)

        before = ask(FIRST)
        grown = ask(READERS) - before
        assert grown < READERS * WORTH, f"{grown >> 20} MiB for {READERS} readers"
        quick = list(lines(open_ones.enter_context(asking(started.port, "slow 0", GENERATE))))
        for client in clients:
            told = [line for line in lines(client) if line != ": keep-alive"]
            assert _events(told) == _events(quick)
    indexes = [json.loads(line[6:]).get("index") for line in quick if line.startswith("data: ")]
    assert indexes == [*range(TOKENS), None]


@pytest.mark.parametrize("name", ROUTES)
def test_who_reads_slowly_is_told_what_others_are_on_every_route(
    started: Processes, name: str
) -> None:
    with asking(started.port, "k", ROUTES[name]) as slow:
        with asking(started.port, "k", ROUTES[name]) as client:
            quick = _events(lines(client))
        until("it is left to the log", lambda: left_to_the_log(started) == 1)
        assert _events(lines(slow)) == quick
    assert len(quick) > 6000


def test_several_slow_answers_of_one_stream_are_each_told_whole(started: Processes) -> None:
    both = ("/v1/chat/completions", CHAT | {"n": 2, "max_tokens": 8000})
    with asking(started.port, "k", both) as slow:
        with asking(started.port, "k", both) as client:
            quick = _choices(_events(lines(client)))
        until("they are left to the log", lambda: left_to_the_log(started) == 2)
        assert _choices(_events(lines(slow))) == quick
    assert [len(quick[at]) for at in (0, 1)] == [8002, 8002]


def test_a_broker_that_is_away_is_waited_for_by_slow_readers_too(started: Processes) -> None:
    with asking(started.port, "k", GENERATE) as slow:
        Reading.whole(started.url, TOKENS, key="k")
        until("it is left to the log", lambda: left_to_the_log(started) == 1)
        started.broker.stop()
        told = lines(slow)
        first = []
        for line in told:  # of what was written before, and then that it lives
            first.append(line)
            if first.count(": keep-alive") == 3:
                break
        assert len(_events(first)) < TOKENS
        started.broker.start()
        numbers = [event.partition("\n")[0] for event in _events([*first, *told])]
    assert numbers[:-1] == [f"id: {at}" for at in range(TOKENS)]
    assert json.loads(numbers[-1].removeprefix("data: ")) == {"done": True, "total_tokens": TOKENS}


def test_a_gateway_stops_though_a_reader_does_not_read(started: Processes) -> None:
    with asking(started.port, "k", GENERATE):
        Reading.whole(started.url, TOKENS, key="k")
        until("it is left to the log", lambda: left_to_the_log(started) == 1)
        began = time.monotonic()
        assert started.started[0].stop() == 0
        assert time.monotonic() - began < 10


def _events(told: Iterator[str] | list[str]) -> list[str]:
    """Events without comments, each as one text."""
    text = "\n".join(line for line in told if not line.startswith(":"))
    return [event for each in text.split("\n\n") if (event := each.strip("\n"))]


def _choices(told: list[str]) -> dict[int, list[str]]:
    """The chunks of each answer of a stream of several."""
    found: dict[int, list[str]] = {}
    for event in told:
        if event != "data: [DONE]":
            (choice,) = json.loads(event.removeprefix("data: "))["choices"]
            found.setdefault(choice["index"], []).append(json.dumps(choice))
    return found
