"""A broker that other machines reach: by TLS only, trusted by the line that `mesh join` prints."""

import re
import shlex
import socket
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

import httpx
import psutil
import pytest

from mesh.bus.trust import INLINE
from mesh.cli.join import own_address
from tests.acceptance.test_up import workers
from tests.acceptance.whole import Mesh


@pytest.fixture
def open_mesh(mesh: Mesh) -> Mesh:
    """A mesh whose broker listens on all addresses."""
    mesh.environment["MESH_NATS_HOST"] = "0.0.0.0"
    mesh.start()
    return mesh


def line_of(told: subprocess.CompletedProcess[str]) -> tuple[dict[str, str], list[str]]:
    """The variables and words of the one line that `mesh join` prints."""
    assert told.returncode == 0, told.stderr
    lines = [line for line in told.stdout.splitlines() if line.startswith("  ")]
    assert len(lines) == 1, told.stdout
    words = shlex.split(lines[0])
    given = dict(word.split("=", 1) for word in words if re.match("MESH_[A-Z_]+=", word))
    return given, words[len(given) :]


def beyond_loopback() -> str:
    """An address of this machine that is not of its loopback interface."""
    address = own_address()
    if address.startswith("127.") or not address[0].isdigit():
        pytest.skip("this machine has no address but loopback")
    return address


def elsewhere(
    mesh: Mesh, folder: Path, given: dict[str, str], words: list[str]
) -> subprocess.Popen[bytes]:
    """Type the line where there is nothing of this mesh: no data folder, no setting."""
    assert words[0] == "mesh"
    bare = {name: value for name, value in mesh.environment.items() if not name.startswith("MESH_")}
    extra = {"MESH_ENGINE": "echo", "MESH_DATA_DIR": str(folder / "nothing here")}
    return subprocess.Popen(
        [sys.executable, "-m", *words],
        env=bare | extra | given,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )


def refusal(worker: subprocess.Popen[bytes]) -> str:
    _, said = worker.communicate(timeout=60)
    assert worker.returncode == 78, said.decode()
    return said.decode()


def test_one_line_is_all_that_another_machine_needs(open_mesh: Mesh, tmp_path: Path) -> None:
    given, words = line_of(open_mesh.run("join", "attic", "--host", beyond_loopback()))
    assert given["MESH_NATS_CA"].startswith(INLINE)
    worker = elsewhere(open_mesh, tmp_path, given, words)
    try:
        open_mesh.wait_until(lambda: workers(open_mesh) == 2, "it did not join")
        remote = psutil.Process(worker.pid).net_connections("tcp")
        assert open_mesh.nats_port in {each.raddr.port for each in remote if each.raddr}
        told = open_mesh.run("ask", "one two")
        assert told.stdout.strip() == "one two"
    finally:
        worker.terminate()
        worker.communicate(timeout=60)


def test_another_certificate_is_refused_before_anything_is_said(
    open_mesh: Mesh, tmp_path: Path
) -> None:
    given, words = line_of(open_mesh.run("join", "attic", "--host", "127.0.0.1"))
    other = Mesh(tmp_path / "other", nats_host="0.0.0.0")
    (tmp_path / "other").mkdir()
    theirs, _ = line_of(other.run("join", "attic"))
    wrong = given | {"MESH_NATS_CA": theirs["MESH_NATS_CA"]}
    said = refusal(elsewhere(open_mesh, tmp_path, wrong, words))
    assert "another certificate than the one to trust" in said
    assert given["MESH_WORKER_PASSWORD"] not in said
    assert given["MESH_WORKER_PASSWORD"] not in open_mesh.output


def test_without_tls_nothing_goes_beyond_this_machine(open_mesh: Mesh, tmp_path: Path) -> None:
    address = beyond_loopback()
    given, words = line_of(open_mesh.run("join", "attic", "--host", address))
    del given["MESH_NATS_CA"]
    words[-1] = words[-1].replace("tls://", "nats://")
    said = refusal(elsewhere(open_mesh, tmp_path, given, words))
    assert "without TLS everybody on the way would read the password" in said
    assert given["MESH_WORKER_PASSWORD"] not in said


def test_who_says_that_tls_is_not_needed_is_not_told_the_password(
    open_mesh: Mesh, tmp_path: Path
) -> None:
    """Somebody in between greets like a broker without TLS, and gets a handshake all the same."""
    given, words = line_of(open_mesh.run("join", "attic", "--host", "127.0.0.1"))
    with socket.create_server(("127.0.0.1", 0)) as liar:
        words[-1] = f"tls://127.0.0.1:{liar.getsockname()[1]}"
        worker = elsewhere(open_mesh, tmp_path, given, words)
        try:
            connection, _ = liar.accept()
            with connection:
                connection.sendall(
                    b'INFO {"server_id":"x","version":"2.12.0","max_payload":1024}\r\n'
                )
                connection.settimeout(60)
                heard = connection.recv(65536)
        finally:
            worker.kill()
            worker.communicate()
    assert heard[:1] == b"\x16"  # a TLS handshake record
    assert given["MESH_WORKER_PASSWORD"].encode() not in heard


def test_a_broker_that_is_too_busy_for_tls_at_first_is_asked_again(
    open_mesh: Mesh, tmp_path: Path
) -> None:
    """Kept waiting, nats-server greets without TLS, and a moment later it does not."""
    given, words = line_of(open_mesh.run("join", "attic", "--host", "127.0.0.1"))
    with socket.create_server(("127.0.0.1", 0)) as front:
        front.settimeout(60)
        words[-1] = f"tls://127.0.0.1:{front.getsockname()[1]}"
        worker = elsewhere(open_mesh, tmp_path, given, words)
        try:
            for _ in range(2):
                greeted, _ = front.accept()
                with greeted:
                    greeted.settimeout(60)
                    greeted.recv(65536)  # TLS has begun, so what comes now is no TLS
                    greeted.sendall(b'INFO {"server_id":"x","version":"2.12.0"}\r\n')
            client, _ = front.accept()
            broker = socket.create_connection(("127.0.0.1", open_mesh.nats_port))
            for source, target in ((client, broker), (broker, client)):
                threading.Thread(target=pass_on, args=(source, target), daemon=True).start()
            open_mesh.wait_until(lambda: workers(open_mesh) == 2, "it was not asked again")
        finally:
            worker.kill()
            worker.communicate()


def pass_on(source: socket.socket, target: socket.socket) -> None:
    """Pass on what comes, to its end."""
    with source, target, suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)


def test_a_broker_without_tls_is_refused(mesh: Mesh, tmp_path: Path) -> None:
    mesh.start()
    given, words = line_of(mesh.run("join", "attic", "--host", "127.0.0.1"))
    other = Mesh(tmp_path / "other", nats_host="0.0.0.0")
    (tmp_path / "other").mkdir()
    given["MESH_NATS_CA"] = line_of(other.run("join", "attic"))[0]["MESH_NATS_CA"]
    said = refusal(elsewhere(mesh, tmp_path, given, words))
    assert "does not speak TLS as it should" in said
    assert given["MESH_WORKER_PASSWORD"] not in said


def test_a_broken_certificate_on_the_line_is_said_to_be_one(
    open_mesh: Mesh, tmp_path: Path
) -> None:
    given, words = line_of(open_mesh.run("join", "attic", "--host", "127.0.0.1"))
    given["MESH_NATS_CA"] = given["MESH_NATS_CA"][:100]
    said = refusal(elsewhere(open_mesh, tmp_path, given, words))
    assert "copy that line anew" in said


def test_the_broker_speaks_nothing_but_tls(open_mesh: Mesh) -> None:
    with socket.create_connection(("127.0.0.1", open_mesh.nats_port), timeout=60) as connection:
        lines = connection.makefile("rb")
        assert b'"tls_required":true' in lines.readline()
        connection.sendall(b'CONNECT {"user":"operator","pass":"x","verbose":false}\r\nPING\r\n')
        assert lines.readline() in (b"", b"-ERR 'Secure Connection - TLS Required'\r\n")


def test_the_key_is_for_its_owner_and_told_to_nobody(open_mesh: Mesh) -> None:
    folder = open_mesh.data_dir / "broker" / "tls"
    assert folder.stat().st_mode & 0o777 == 0o700
    assert (folder / "key.pem").stat().st_mode & 0o777 == 0o600
    secret = (folder / "key.pem").read_text().splitlines()[1]
    told = open_mesh.run("join", "attic")
    assert secret not in told.stdout + told.stderr + open_mesh.output
    assert not any(secret in word for child in open_mesh.children().values()
                   for word in child.cmdline())  # fmt: skip


def test_this_machines_own_commands_find_the_certificate(open_mesh: Mesh) -> None:
    for words in (("ps", "--json"), ("models", "--json")):
        told = open_mesh.run(*words)
        assert told.returncode == 0, told.stderr
        assert '"w1"' in told.stdout
    assert "by TLS only" in open_mesh.run("doctor").stdout


def test_what_an_admin_is_told_over_http_is_all_that_another_machine_needs(
    open_mesh: Mesh, tmp_path: Path
) -> None:
    password = (open_mesh.data_dir / "admin-password").read_text().strip()
    with httpx.Client(base_url=open_mesh.url, timeout=30) as http:
        pair = http.post("/auth/login", json={"username": "admin", "password": password}).json()
        http.headers["Authorization"] = f"Bearer {pair['access_token']['access_token']}"
        made = http.put("/admin/workers", json={"name": "attic"}).raise_for_status().json()
        given = {"MESH_WORKER_PASSWORD": made["api_key"], "MESH_NATS_CA": made["nats_ca"]}
        url = f"tls://127.0.0.1:{open_mesh.nats_port}"
        words = ["mesh", "worker", "--worker-name", "attic", "--nats", url]
        worker = elsewhere(open_mesh, tmp_path, given, words)
        try:
            open_mesh.wait_until(lambda: workers(open_mesh) == 2, "it did not join")
            http.delete("/admin/workers/attic").raise_for_status()
            _, said = worker.communicate(timeout=60)
            assert "may have been removed" in said.decode()
            assert made["api_key"] not in open_mesh.output
        finally:
            worker.kill()
            worker.communicate()
