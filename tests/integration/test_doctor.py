"""`mesh doctor` against real meshes: whole, and with one thing after another broken."""

import json
import os
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import httpx
import pytest

from mesh.bus.api import AnyAnswer
from mesh.bus.connection import Bus
from mesh.bus.jetstream import JetStream
from mesh.bus.topology import streams
from mesh.cli.join import own_address
from mesh.protocol import subjects
from mesh.protocol.codec import encode
from mesh.protocol.request import Message, Prompt, Request
from mesh.settings import Limits
from tests.fleet import Fleet, fleet, wait_until

Found = dict[str, list[tuple[str, str]]]


@pytest.fixture
def mesh(tmp_path: Path) -> Iterator[Fleet]:
    with fleet(tmp_path) as found:
        yield found


def doctor(mesh: Fleet, *flags: str, **settings: str) -> Found:
    """What was found: check to (state, sentence)."""
    done = mesh.run("doctor", "--json", *flags, **settings)
    report = json.loads(done.stdout)
    found: Found = {}
    for finding in report["findings"]:
        found.setdefault(finding["check"], []).append((finding["state"], finding["sentence"]))
        assert finding["sentence"].endswith((".", "'", "?"))
    assert report["healthy"] == (not failed(found)) == (done.returncode == 0)
    return found


def failed(found: Found) -> set[str]:
    return {check for check in found if state(found, check) == "fail"}


def state(found: Found, check: str) -> str:
    """The worst that was found."""
    return max((state for state, _ in found[check]), key=["ok", "warn", "fail"].index)


def sentences(found: Found, check: str) -> str:
    return " ".join(sentence for _, sentence in found[check])


def prompt(model: str) -> bytes:
    request = Request(
        rid="r1",
        reply="gw1",
        tenant="ada",
        model=model,
        messages=(Message(role="user", content="hello"),),
        created=time.time(),
        deadline=time.time() + 60,
    )
    return encode(Prompt(queued=1, request=request))


@asynccontextmanager
async def gateway_bus(mesh: Fleet) -> AsyncIterator[JetStream]:
    name, password = mesh.broker.credentials("gateway")
    bus = await Bus.connect([mesh.broker.url], name, password, "test")
    yield JetStream(bus)
    await bus.close()


async def test_a_whole_mesh_is_well_and_what_is_taken_away_is_missed(mesh: Fleet) -> None:
    mesh.gateway()
    mesh.store()
    mesh.worker("w1")
    found = doctor(mesh)
    assert {state(found, check) for check in found} == {"ok"}, found
    assert set(found) >= {"data folder", "broker", "clock", "log", "queue", "store", "database"}
    assert set(found) >= {"workers", "model echo", "disk", "gateway", "exposure"}
    shown = mesh.run("doctor")
    assert shown.returncode == 0
    assert "\x1b" not in shown.stdout

    mesh.stop("store")
    found = doctor(mesh)
    assert failed(found) == {"store"}
    assert "mesh store" in sentences(found, "store")
    assert state(found, "gateway") == "warn"

    mesh.stop("w1")
    found = doctor(mesh)
    assert failed(found) == {"store", "workers", "gateway"}
    assert "mesh worker" in sentences(found, "workers")
    assert state(found, "model echo") == "warn"

    async with gateway_bus(mesh) as js:
        await js.append(subjects.req("echo", "ada"), prompt("echo"))
        await js.append(subjects.req("ghost", "ada"), prompt("ghost"))
    found = doctor(mesh)
    assert failed(found) == {"store", "workers", "gateway", "model echo", "queue"}
    assert "1 request without an end" in sentences(found, "model echo")
    assert "1 prompt in the queue where no worker" in sentences(found, "queue")

    mesh.kill("gateway")
    found = doctor(mesh)
    assert "mesh gateway" in sentences(found, "gateway")

    mesh.broker.stop()
    found = doctor(mesh)
    assert failed(found) == {"broker", "gateway"}
    assert "mesh up" in sentences(found, "broker")


def test_without_a_gateway_ever_there_are_no_streams(mesh: Fleet) -> None:
    found = doctor(mesh)
    assert failed(found) >= {"streams"}
    names = "REQ, RUN, DLQ, KV_workers, KV_leases, KV_accounts"
    assert f"are no streams {names}: start a gateway" in sentences(found, "streams")


async def test_a_stream_that_is_missing_is_named(mesh: Fleet) -> None:
    async with gateway_bus(mesh) as js:
        for stream in streams(Limits()):
            if stream.name != subjects.DLQ_STREAM:
                await js.api(f"STREAM.CREATE.{stream.name}", stream, AnyAnswer)
    found = doctor(mesh)
    assert "There is no stream DLQ: start a gateway" in sentences(found, "streams")
    mesh.gateway()
    assert "streams" not in doctor(mesh)


def test_a_data_folder_that_others_can_read_is_reported(mesh: Fleet) -> None:
    folder = mesh.broker.data_dir
    folder.chmod(0o755)
    found = doctor(mesh)
    assert state(found, "data folder") == "warn"
    broker = mesh.broker.folder
    broker.path.chmod(0o755)
    (broker.path / "secrets.json").chmod(0o644)
    found = doctor(mesh)
    assert failed(found) >= {"data folder"}
    assert "broker/secrets.json" in sentences(found, "data folder")
    (advice,) = (words.partition("type: ")[2] for _, words in found["data folder"])
    assert os.system(advice) == 0
    assert state(doctor(mesh), "data folder") == "ok"


def test_a_folder_that_is_not_there_is_reported(mesh: Fleet, tmp_path: Path) -> None:
    found = doctor(mesh, "--data-dir", str(tmp_path / "nowhere"))
    assert failed(found) >= {"data folder", "broker"}


def test_a_wrong_password_is_reported(mesh: Fleet) -> None:
    found = doctor(mesh, operator_password="guessed")
    assert "refused the user 'operator'" in sentences(found, "broker")


@contextmanager
def many(mesh: Fleet, first: int) -> Iterator[Callable[[int], None]]:
    """Ask so many at once whose answers take longer than the test; the function asks so many
    more. They end with the gateway."""
    asking: list[threading.Thread] = []

    def ask() -> None:
        try:
            asked(mesh)
        except httpx.TransportError:
            pass

    def more(number: int) -> None:
        fresh = [threading.Thread(target=ask) for _ in range(number)]
        asking.extend(fresh)
        for thread in fresh:
            thread.start()

    more(first)
    try:
        yield more
    finally:
        mesh.kill("gateway")
        for thread in asking:
            thread.join()


def asked(mesh: Fleet) -> int:
    """The status of one more request's answer."""
    body = {"messages": [{"role": "user", "content": "hello"}]}
    return httpx.post(f"{mesh.url}/v1/chat/completions", json=body, timeout=300.0).status_code


def test_a_queue_that_fills_up_is_reported(mesh: Fleet) -> None:
    mesh.gateway("--req-max-msgs", "5")
    mesh.worker("w1", "--slots", "1", "--echo-delay", "600")
    with many(mesh, 3) as more:
        wait_until("it is warned of", lambda: state(doctor(mesh), "queue") == "warn")
        more(1)
        wait_until("it fails", lambda: state(doctor(mesh), "queue") == "fail")
        told = sentences(doctor(mesh), "queue")
        assert "4 of 5 requests (80%). New requests are refused where there is no room" in told
        more(1)  # for which there is room
        full = "5 of 5 requests (100%). New requests are refused: add workers"
        wait_until("it is full", lambda: full in sentences(doctor(mesh), "queue"))
        assert asked(mesh) == 503


def test_a_model_for_which_almost_all_wait_that_may_is_reported(mesh: Fleet) -> None:
    mesh.gateway("--max-waiting", "5")
    mesh.worker("w1", "--slots", "1", "--echo-delay", "600")

    def looked() -> Found:
        return doctor(mesh, max_waiting="5")

    with many(mesh, 1) as more:
        wait_until("one is in work", lambda: "1 in work" in sentences(looked(), "model echo"))
        more(3)
        wait_until("it is warned of", lambda: state(looked(), "model echo") == "warn")
        assert "3 of 5 wait" in sentences(looked(), "model echo")
        more(1)
        wait_until("it fails", lambda: state(looked(), "model echo") == "fail")
        more(1)
        full = "5 of 5 wait that may (100%). New requests are refused: add workers"
        wait_until("it is full", lambda: full in sentences(looked(), "model echo"))
        assert asked(mesh) == 503


def test_a_log_that_fills_up_is_reported(mesh: Fleet) -> None:
    mesh.gateway("--run-max-bytes", str(32 << 20))
    mesh.worker("w1")
    words = {"prompt": "x" * 220_000, "params": {"max_tokens": 1}}
    for _ in range(32):
        httpx.post(f"{mesh.url}/generate", json=words, timeout=30.0)
    found = doctor(mesh)
    assert state(found, "log") == "warn"
    assert "MESH_RUN_MAX_BYTES" in sentences(found, "log")
    for _ in range(32):
        words["prompt"] = "x" * 100_000
        httpx.post(f"{mesh.url}/generate", json=words, timeout=30.0)
    assert state(doctor(mesh), "log") == "fail"


def test_what_is_no_gateway_is_not_taken_for_one(mesh: Fleet) -> None:
    class Other(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"<html>welcome</html>")

        def log_message(self, format: str, *args: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Other) as server:
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        found = doctor(mesh, "--port", str(server.server_port))
        server.shutdown()
        serving.join()
    assert "is no gateway" in sentences(found, "gateway")


def test_services_that_others_can_reach_are_reported(mesh: Fleet) -> None:
    mesh.gateway("--host", "0.0.0.0")
    found = doctor(mesh)
    if own_address().startswith("127."):
        assert state(found, "exposure") == "ok"  # this machine has no other address
        return
    assert state(found, "exposure") == "fail"
    assert "MESH_ALLOWED_HOSTS" in sentences(found, "exposure")
    mesh.kill("gateway")
    mesh.gateway("--host", "0.0.0.0", "--allowed-hosts", f"127.0.0.1,{own_address()}")
    assert state(doctor(mesh), "exposure") == "warn"
