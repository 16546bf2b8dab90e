"""How `mesh up` looks."""

from pathlib import Path

import click
import msgspec
import pytest

from mesh.cli.console import Console, banner, models
from mesh.cli.local import Running
from mesh.protocol.worker_info import ModelCard, WorkerInfo

RUNNING = Running(pid=1, nats_host="0.0.0.0", nats_port=4222, gateway="http://127.0.0.1:8000")


def worker(name: str, model: str = "tiny", slots: int = 4) -> WorkerInfo:
    card = ModelCard(name=model, fingerprint="f", engine="llamacpp", context_length=2048)
    return WorkerInfo(
        name=name, inc="i", protocol=1, version="1", models=(card,), slots=slots, started=0.0
    )


def test_the_banner_is_aligned_and_names_all_there_is_to_know() -> None:
    text = click.unstyle(banner("1.2", RUNNING, Path("/data"), [worker("w1")]))
    labels = ("Gateway", "Broker", "Data folder", "Model", "Next", "Stop")
    rows = [line.strip() for line in text.splitlines() if line.strip().startswith(labels)]
    values = [row.removeprefix(label) for row, label in zip(rows, labels, strict=True)]
    starts = [len(row) - len(value.lstrip()) for row, value in zip(rows, values, strict=True)]
    assert len(set(starts)) == 1
    for fact in ("http://127.0.0.1:8000", "nats://127.0.0.1:4222", "/data", "tiny", "chat"):
        assert fact in text


def test_the_next_command_finds_a_gateway_where_clients_do_not_look_by_themselves() -> None:
    def next_command(gateway: str) -> str:
        running = msgspec.structs.replace(RUNNING, gateway=gateway)
        text = click.unstyle(banner("1.2", running, Path("/data"), []))
        line = next(line for line in text.splitlines() if line.strip().startswith("Next"))
        return line.strip().removeprefix("Next").strip()

    assert not next_command("http://127.0.0.1:8000").startswith("MESH_URL")
    assert next_command("http://127.0.0.1:8080").startswith("MESH_URL=http://127.0.0.1:8080 ")


def test_models_count_their_workers_and_slots() -> None:
    assert models([worker("a"), worker("b"), worker("c", "big", 1)]) == (
        "tiny (llamacpp, 2 workers, 8 slots), big (llamacpp, 1 worker, 1 slot)"
    )
    assert "mesh worker" in models([])


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("[7] 2026/11/21 01:23:51.793567 [INF] Starting nats-server", ""),
        ("[7] 2026/11/21 01:23:51.79 [WRN] Plaintext passwords detected, use nkeys", ""),
        ("[7] 2026/11/21 01:23:51.79 [ERR] disk full", "broker    | 01:23:51 ERROR   disk full\n"),
        ("[7] 2026/11/21 01:23:51.79 [ERR] 127.0.0.1:5 - cid:2 - TLS handshake error: EOF", ""),
        ("nats-server: no such file", "broker    | nats-server: no such file\n"),
    ],
)
def test_of_the_broker_only_trouble_is_shown(
    line: str, shown: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Console().say("broker", line)
    assert capsys.readouterr().out == shown
