"""`mesh up` as a newcomer meets it: it starts, says where, mends itself, and leaves nothing."""

import json
import signal
import socket
import stat
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import click
import httpx
import psutil
import pytest

from tests.acceptance.conftest import until
from tests.acceptance.whole import SERVICES, Mesh
from tests.conftest import free_port


def test_it_answers_soon_and_says_where(mesh: Mesh) -> None:
    started = time.monotonic()
    mesh.start()
    assert httpx.get(f"{mesh.url}/v1/health", timeout=60).json()["status"] == "ok"
    assert time.monotonic() - started < 40  # about 1 s on a machine that has nothing else to do
    for fact in (mesh.url, f"nats://127.0.0.1:{mesh.nats_port}", str(mesh.data_dir), "echo"):
        assert fact in mesh.output
    assert click.unstyle(mesh.output) == mesh.output


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_everything_and_leaves_nothing_behind(
    mesh: Mesh, number: signal.Signals
) -> None:
    mesh.start()
    family = list(mesh.children().values())
    assert mesh.stop(number) == 0
    assert not psutil.wait_procs(family, timeout=30)[1]
    left = {path.name for path in mesh.data_dir.rglob("*") if path.is_file()}
    assert not left & {"running.json", "nats.pid"}
    assert not any(name.endswith(".lock") for name in left)
    assert not list((mesh.data_dir / "broker" / "workers").iterdir())
    mesh.start()


def test_an_answer_under_way_is_waited_for_unless_a_second_signal_comes(mesh: Mesh) -> None:
    mesh.environment["MESH_ECHO_RATE"] = "1"
    mesh.start()
    assert mesh.process is not None
    words = {"prompt": "/repeat one two three four", "params": {"max_tokens": 40}}
    with httpx.stream("POST", f"{mesh.url}/generate", json=words, timeout=30) as answer:
        lines = answer.iter_lines()
        next(lines)
        mesh.process.send_signal(signal.SIGINT)
        mesh.wait_for("Stopping")
        with pytest.raises(subprocess.TimeoutExpired):
            mesh.process.wait(timeout=1.5)
        assert mesh.stop(signal.SIGINT) == 0


def test_an_answer_of_a_worker_started_elsewhere_is_waited_for_too(mesh: Mesh) -> None:
    mesh.start()
    worker = mesh.spawn("worker", "--engine", "echo", "--model-name", "other", "--echo-rate", "10")
    try:
        mesh.wait_until(lambda: workers(mesh) == 2, "the second worker did not join")
        asked = {"model": "other", "prompt": "/repeat one two", "params": {"max_tokens": 100}}
        with httpx.stream("POST", f"{mesh.url}/generate", json=asked, timeout=60) as answer:
            lines = answer.iter_lines()
            next(lines)
            assert mesh.process is not None
            mesh.process.send_signal(signal.SIGINT)
            *_, last = filter(None, lines)
        assert last == 'data: {"done":true,"total_tokens":100}'
        mesh.wait_for("started elsewhere")
        assert mesh.process.wait(timeout=60) == 0
    finally:
        worker.kill()
        worker.wait()


def test_nothing_survives_its_kill(mesh: Mesh) -> None:
    mesh.start()
    assert mesh.process is not None
    family = psutil.Process(mesh.process.pid).children(recursive=True)
    assert len(family) >= len(SERVICES)
    mesh.process.kill()
    mesh.process.wait()
    assert not psutil.wait_procs(family, timeout=30)[1]
    mesh.start()


@pytest.mark.parametrize("service", SERVICES)
def test_a_killed_service_comes_back(mesh: Mesh, service: str) -> None:
    mesh.start()
    before = mesh.children()[service]
    before.kill()

    def back() -> bool:
        now = mesh.children().get(service)
        return now is not None and now.pid != before.pid and health(mesh) == "ok"

    mesh.wait_until(back, f"the {service} did not come back")
    assert "killed by SIGKILL; starting it again" in mesh.output


def test_prompts_that_take_their_worker_down_do_not_take_down_the_mesh(mesh: Mesh) -> None:
    """Three of them, each of which two workers die of, one soon after the other."""
    mesh.environment |= {"MESH_ECHO_DELAY": "1000", "MESH_LOG_LEVEL": "debug"}
    mesh.environment["MESH_WORKER_WAIT"] = "60"
    mesh.start()
    claims = 0
    for number in range(3):
        body = {"prompt": f"poison {number}", "model": "echo"}
        with ThreadPoolExecutor(1) as asking:
            asked = asking.submit(httpx.post, f"{mesh.url}/generate", json=body, timeout=90)
            for _ in range(2):
                claims += 1
                mesh.wait_for("is claimed with n = ", claims)
                mesh.children()["worker"].kill()
            claims += 1  # the third ends it
            assert "2 workers were lost" in asked.result().text
    assert mesh.output.count("killed by SIGKILL") == 6
    until("three letters are kept", lambda: len(_letters(mesh)) == 3)
    assert mesh.process is not None and mesh.process.poll() is None


def _letters(mesh: Mesh) -> list[object]:
    found: list[object] = json.loads(mesh.run("dlq", "list", "--json").stdout)
    return found


def test_a_worker_that_cannot_run_ends_it_with_the_reason(mesh: Mesh) -> None:
    mesh.environment["MESH_ENGINE"] = "llamacpp"
    mesh.environment["MESH_MODEL"] = "/nowhere/model.gguf"
    mesh.launch()
    assert mesh.process is not None
    assert mesh.process.wait(timeout=60) != 0
    last = mesh.output.strip().splitlines()[-1]
    assert last.startswith("mesh: The worker 1")
    assert "/nowhere/model.gguf" in last


def test_a_second_one_on_the_same_folder_is_refused(mesh: Mesh) -> None:
    mesh.start()
    second = mesh.run("up", port=str(free_port()), nats_port=str(free_port()))
    assert second.returncode != 0
    assert mesh.url in second.stderr and "MESH_DATA_DIR" in second.stderr


@pytest.mark.parametrize("setting", ["MESH_PORT", "MESH_NATS_PORT"])
def test_a_taken_port_is_refused_before_anything_starts(mesh: Mesh, setting: str) -> None:
    with socket.create_server(("127.0.0.1", int(mesh.environment[setting]))):
        refused = mesh.run("up")
    assert refused.returncode != 0
    assert setting in refused.stderr and mesh.environment[setting] in refused.stderr
    assert refused.stdout == ""


def test_a_second_worker_joins_without_any_setting(mesh: Mesh) -> None:
    mesh.start()
    for name in ("MESH_PORT", "MESH_NATS_PORT"):
        del mesh.environment[name]
    worker = mesh.spawn("worker")
    try:
        mesh.wait_until(lambda: workers(mesh) == 2, "the second worker did not join")
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(timeout=60) == 0
    finally:
        worker.kill()
        worker.wait()


def test_a_worker_of_another_machine_joins_with_the_line_it_was_given(
    mesh: Mesh, tmp_path: Path
) -> None:
    mesh.start()
    told = mesh.run("join", "gpu1", "--host", "127.0.0.1")
    assert "MESH_NATS_HOST=0.0.0.0" in told.stderr
    secret, line = told.stdout.strip().splitlines()[-2:]
    elsewhere = {
        "PATH": mesh.environment["PATH"],
        "HOME": str(tmp_path / "elsewhere"),
        "MESH_ENGINE": "echo",
    }
    words = line.replace("mesh ", f"{Path(sys.executable).parent}/mesh ", 1)
    command = f"exec env {secret.strip().rstrip(chr(92))} {words.strip()}"
    worker = subprocess.Popen(["sh", "-c", command], env=elsewhere)
    try:
        mesh.wait_until(lambda: workers(mesh) == 2, "the worker did not join")
        assert mesh.run("join", "gpu1", "--remove").returncode == 0
        mesh.wait_until(lambda: workers(mesh) == 1, "the removed worker is still there")
    finally:
        worker.kill()
        worker.wait()


def test_passwords_are_on_no_command_line_and_in_no_readable_file(mesh: Mesh) -> None:
    mesh.start()
    secrets = (mesh.data_dir / "broker" / "secrets.json").read_text().split('"')
    passwords = [word for word in secrets if word.startswith("mesh-")]
    assert len(passwords) == 4
    for child in mesh.children().values():
        assert not any(password in " ".join(child.cmdline()) for password in passwords)
    assert not any(password in mesh.output for password in passwords)
    for path in (mesh.data_dir, mesh.data_dir / "broker"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o700
    for name in ("secrets.json", "workers.conf"):
        assert stat.S_IMODE((mesh.data_dir / "broker" / name).stat().st_mode) == 0o600


def health(mesh: Mesh) -> str:
    try:
        status: str = httpx.get(f"{mesh.url}/v1/health", timeout=60).json()["status"]
        return status
    except httpx.HTTPError:
        return "unreachable"


def workers(mesh: Mesh) -> int:
    present: int = httpx.get(f"{mesh.url}/v1/health", timeout=60).json()["workers"]
    return present
