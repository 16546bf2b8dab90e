"""`mesh bench` on a running mesh: it counts whole answers only, and says what they cost."""

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from benchmarks import subjects
from mesh.cli.load.question import REPEAT
from mesh_client.credentials import FileStore
from tests.acceptance.conftest import Processes, until


def bench(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """What it says. variables: of the environment, besides ours."""
    command = [sys.executable, "-m", "mesh", "bench", "--json", "--seconds", "0", *arguments]
    env = os.environ | variables
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=60)


def test_it_counts_whole_answers_and_what_they_cost(processes: Processes) -> None:
    gateway = processes.gateway()
    worker = processes.worker("w1")
    processes.await_workers(1)
    said = bench(
        *("--url", processes.url, "--streams", "1,4", "--tokens", "20", "--echo"),
        *("--watch", f"gateway={gateway.popen.pid}", "--watch", f"worker={worker.popen.pid}"),
    )
    assert said.returncode == 0, said.stderr
    one, four = (json.loads(line) for line in said.stdout.splitlines())
    assert [one["streams"], one["answers"], one["tokens"]] == [1, 1, 20]
    assert [four["streams"], four["answers"], four["tokens"]] == [4, 4, 80]
    assert four["failures"] == 0 and four["reasons"] == {}
    assert four["tokens_per_second"] == pytest.approx(80 / four["seconds"], rel=0.1)
    assert 0 < four["first_token_ms"]["median"] <= four["first_token_ms"]["p99"] < 30_000
    assert 0 <= four["gap_ms"]["median"] <= four["gap_ms"]["p99"]
    assert 0 <= four["slowest"] <= four["pace"]
    for kind in ("gateway", "worker"):
        assert 10 < four["costs"][kind]["memory_mb"] < 1000


def test_an_answer_of_other_words_is_a_failure(processes: Processes) -> None:
    processes.gateway()
    processes.worker("w1")
    processes.await_workers(1)
    said = bench("--url", processes.url, "--streams", "2", "--echo", "--prompt", "other words")
    assert said.returncode == 1
    assert json.loads(said.stdout)["failures"] == 2
    assert "2 of 2 answers were not whole" in said.stderr


def test_a_pace_that_is_not_held_is_said(processes: Processes) -> None:
    processes.gateway()
    processes.worker("w1", "--echo-rate", "50")
    processes.await_workers(1)
    slow = ("--url", processes.url, "--streams", "1", "--tokens", "20", "--rate")
    assert bench(*slow, "30").returncode == 0
    said = bench(*slow, "500")
    assert said.returncode == 1
    assert "not 500" in said.stderr


@contextmanager
def answering(response: bytes) -> Iterator[str]:
    """A server that answers each connection's first request with these bytes, then hangs up."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection:
                    connection.recv(65536)
                    connection.sendall(response)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
        server.shutdown(socket.SHUT_RDWR)
        thread.join(5)


def streamed(*events: str) -> bytes:
    head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
    body = "".join(f"{event}\n\n" for event in events).encode()
    return head + b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)


def token(index: int) -> str:
    return f'id: {index}\ndata: {{"choices":[{{"delta":{{"content":"a "}}}}]}}'


END = 'data: {"choices":[{"delta":{},"finish_reason":"stop"}]}'
DONE = "data: [DONE]"


@pytest.mark.parametrize(
    ("response", "reason"),
    [
        (streamed(token(0), token(2), END, DONE), "token 2 came where 1 was due"),
        (streamed(token(0), token(0), END, DONE), "token 0 came where 1 was due"),
        (streamed(token(0), token(1), DONE), "without an end"),
        (streamed(token(0), END), "without an end"),
        (streamed(token(0), token(1))[:-40], "without an end"),
        (streamed(token(0), 'data: {"error":{"message":"The worker was lost."}}'), "was lost"),
        (streamed(END, DONE), "there was no token"),
        (b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n", "HTTP 503"),
        (b"", "the connection was lost"),
    ],
)
def test_what_is_not_whole_is_a_failure(response: bytes, reason: str) -> None:
    with answering(response) as url:
        said = bench("--url", url, "--streams", "1")
    assert said.returncode == 1
    (found,) = json.loads(said.stdout)["reasons"]
    assert reason in found


def test_where_nobody_listens_it_says_what_to_do() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = str(server.getsockname()[1])
    url = f"http://127.0.0.1:{port}"
    for said in (
        bench("--url", url, "--streams", "1"),
        bench("--streams", "1", MESH_PORT=port),
        bench("--streams", "1", MESH_URL=url, MESH_USER="ada"),
    ):
        sentence = f"mesh: No gateway answers at {url} (nothing listens there); start one with"
        assert (said.returncode, said.stdout) == (1, "")
        assert said.stderr.startswith(sentence) and said.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "variables", "named"),
    [
        (("--url", "http://127.0.0.1:99999"), {}, "'http://127.0.0.1:99999' is no address"),
        ((), {"MESH_URL": "http://[::1"}, "MESH_URL='http://[::1' is no address"),
        ((), {"MESH_PORT": "abc"}, "MESH_PORT='abc' is no port"),
        (("--url", "https://mesh.example"), {}, "`mesh bench` speaks plain http"),
    ],
)
def test_an_address_that_cannot_be_one_is_said(
    arguments: tuple[str, ...], variables: dict[str, str], named: str
) -> None:
    said = bench(*arguments, **variables)
    assert (said.returncode, said.stdout) == (78, "")
    assert said.stderr.startswith(f"mesh: {named}") and said.stderr.count("\n") == 1


def test_who_asks_is_found_in_the_environment(processes: Processes, tmp_path: Path) -> None:
    """On a gateway's own machine a name is enough; the load is put on in that name."""
    processes.gateway()
    processes.store()
    processes.worker("w1")
    processes.await_store()
    processes.await_workers(1)
    own = {"XDG_CONFIG_HOME": str(tmp_path / "own"), "MESH_DATA_DIR": str(tmp_path / "none")}
    port = {"MESH_PORT": processes.url.rpartition(":")[2]}
    said = bench("--streams", "1", "--tokens", "5", **own, **port, MESH_USER="ada")
    assert said.returncode == 0, said.stderr
    kept = FileStore(processes.url, tmp_path / "own" / "mesh" / "credentials.json").load()
    assert kept is not None and kept.username == "ada"
    headers = {"authorization": f"Bearer {kept.access_token}"}
    with httpx.Client(base_url=processes.url, headers=headers, timeout=60) as http:
        until("it is ada's", lambda: bool(http.get("/account/usage").json()["usage"]))


def test_the_subjects_of_the_benchmark_answer_whole(tmp_path: Path) -> None:
    """The bare app writes what the mesh writes, and an engine can be asked without a mesh."""
    with subjects.bare(tmp_path, 0) as bare:
        found = bare.load(4, 0, 30)
        assert (found.answers, found.failures, found.tokens) == (4, 0, 120)
    with subjects.alone(tmp_path, "echo", REPEAT, 30) as alone:
        assert alone.load(2, 0).tokens == 60
