"""A broker that takes calls and answers nothing: who starts waits for it, and leaves when told."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest

from mesh.protocol import subjects
from tests.fleet import Fleet, fleet, wait_until

HELD = 2.3
"""Seconds for which an answer is kept back: more than a service waits for one."""

WAITS = "The broker is not ready yet; waiting for it"


class Holding:
    """A wire to the broker on which nothing is heard there any more from certain words on.

    words: each is held at once, as is what comes after it; `release` lets it pass.
    """

    def __init__(self, target: int, *words: str) -> None:
        self._target = target
        self._words = [word.encode() for word in words]
        self._server = socket.create_server(("127.0.0.1", 0))
        self._calls: list[socket.socket] = []
        self._free = threading.Event()
        self._held = threading.Event()
        self.port: int = self._server.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def holds(self) -> bool:
        return self._held.is_set()

    @property
    def left(self) -> int:
        """How many of the words were not heard yet."""
        return len(self._words)

    def release(self) -> None:
        """Let pass what is held, up to the next word."""
        self._held.clear()
        self._free.set()

    def close(self) -> None:
        self._words = []
        self.release()
        for call in (self._server, *self._calls):
            with suppress(OSError):
                call.shutdown(socket.SHUT_RDWR)
            call.close()

    def _serve(self) -> None:
        while True:
            try:
                caller, _ = self._server.accept()
            except OSError:
                return
            there = socket.create_connection(("127.0.0.1", self._target))
            self._calls += (caller, there)
            for work in ((caller, there, True), (there, caller, False)):
                threading.Thread(target=self._forward, args=work, daemon=True).start()

    def _forward(self, source: socket.socket, sink: socket.socket, out: bool) -> None:
        try:
            while data := source.recv(1 << 16):
                if out:
                    self._hold(data)
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def _hold(self, data: bytes) -> None:
        """Wait for `release` if one of the words is said."""
        said = [word for word in self._words if word in data]
        if said:
            self._words.remove(said[0])
            self._free.clear()
            self._held.set()
            self._free.wait()


@pytest.fixture
def lone(tmp_path: Path) -> Iterator[Fleet]:
    """A broker whose log has something in it, and nobody else."""
    with fleet(tmp_path) as found:
        found.gateway()
        found.worker("attic")
        found.stop("attic")
        found.stop("gateway")
        yield found


def test_a_gateway_begins_once_the_broker_answers_and_says_once_that_it_waits(lone: Fleet) -> None:
    words = (
        f"STREAM.INFO.{subjects.RUN_STREAM}",
        f"STREAM.MSG.GET.{subjects.REQ_STREAM}",
        f"STREAM.MSG.GET.{subjects.RUN_STREAM}",
        f"DIRECT.GET.{subjects.RUN_STREAM}",
        f"STREAM.INFO.{subjects.WORKERS_STREAM}",
        "CONSUMER.NAMES",
        f"STREAM.INFO.{subjects.ACCOUNTS_STREAM}",
    )
    before = lone.log("gateway")
    with closing(Holding(lone.broker.port, *words)) as wire:
        lone.environment["MESH_NATS"] = f"nats://127.0.0.1:{wire.port}"
        lone.begin("gateway", "gateway")
        while wire.left:
            left = wire.left
            wait_until(f"it asks what {left} hold", lambda: wire.holds() and wire.left < left)  # noqa: B023
            time.sleep(HELD)
            wire.release()
        wait_until("the gateway answers", lambda: lone.health() is not None)
        lone.stop("gateway")
    said = lone.log("gateway").removeprefix(before)
    assert said.count(WAITS) == 1, said
    assert "Traceback" not in said


@pytest.mark.parametrize(
    ("service", "word"),
    [
        ("gateway", f"STREAM.MSG.GET.{subjects.RUN_STREAM}"),
        ("store", f"STREAM.INFO.{subjects.RUN_STREAM}"),
        ("worker", subjects.hello("attic")),
    ],
)
def test_whoever_waits_for_a_silent_broker_leaves_when_told(
    lone: Fleet, service: str, word: str
) -> None:
    name = "attic" if service == "worker" else service
    before = lone.log(name) if service != "store" else ""
    flags = ("--worker-name", name, "--engine", "echo") if service == "worker" else ()
    waits = "No gateway answers yet" if service == "worker" else WAITS
    with closing(Holding(lone.broker.port, word)) as wire:
        lone.environment["MESH_NATS"] = f"nats://127.0.0.1:{wire.port}"
        lone.begin(name, service, *flags)
        wait_until("it has asked", wire.holds, 20)
        wait_until("it waits", lambda: waits in lone.log(name).removeprefix(before), 20)
        asked = time.monotonic()
        assert lone.stop(name) == 0
        assert time.monotonic() - asked < 8
    assert "Traceback" not in lone.log(name).removeprefix(before)
