"""A mesh is backed up while it answers, and restored elsewhere: it is the same, to the token."""

import asyncio
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import httpx
import msgspec
import pytest

from mesh.bus.api import ApiError
from mesh.bus.connection import Bus, BusError
from mesh.bus.jetstream import JetStream
from mesh.cli.manifest import Manifest, Stream
from mesh.protocol import subjects
from mesh.protocol.events import Done
from tests.acceptance.conftest import Processes, until
from tests.acceptance.reading import WORDS, Reading, said
from tests.chaos.cluster import Cluster
from tests.chatting import ask, events, get_message, new_chat, tokens
from tests.conftest import Broker
from tests.truth import Truth, read_truth

TOKENS = 200
READERS = 8
SLOW, QUICK = ("--echo-rate", "10"), ("--echo-rate", "100")
"""An answer of twenty seconds, which last longer than a backup on a busy machine, and of two."""
LENGTH = {"max_new_tokens": TOKENS}

Second = Callable[[Path], Processes]


@pytest.fixture
def second(tmp_path: Path) -> Iterator[Second]:
    """Starts a broker on a data folder, for services around it."""
    made: list[Processes] = []

    def start(data: Path) -> Processes:
        (tmp_path / "second").mkdir()
        made.append(Processes(Broker(data), tmp_path / "second"))
        made[0].broker.start()
        return made[0]

    yield start
    for processes in made:
        processes.end()
        processes.broker.kill()


def mesh(processes: Processes, *words: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run another `mesh` command to its end."""
    changed = {f"MESH_{name.upper()}": value for name, value in settings.items()}
    return subprocess.run(
        [sys.executable, "-m", "mesh", *words],
        env=processes.env | {"MESH_LOG_LEVEL": "info"} | changed,
        capture_output=True,
        text=True,
        timeout=60,
    )


def succeeded(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 0, done.stderr
    return done.stdout


def stored_runs(database: Path) -> dict[str, str]:
    """The text of every finished run, as the database has it."""
    with closing(sqlite3.connect(database)) as connection:
        rows = connection.execute("SELECT rid, text FROM runs WHERE state = 'done'")
        return dict(rows.fetchall())


def told_by(truth: Truth) -> dict[str, str]:
    """The text of every finished run, as the log has it."""
    return {rid: run.text for rid, run in truth.runs.items() if isinstance(run.end, Done)}


async def test_a_backup_taken_while_answers_stream_is_restored_to_the_token(
    processes: Processes, second: Second, tmp_path: Path
) -> None:
    processes.gateway()
    processes.store()
    slow = processes.worker("w1", *SLOW, "--slots", str(READERS + 1))
    processes.await_workers(1)
    processes.await_store()
    early = Reading(processes.url, 20, key="early")
    early.start()
    early.finish()
    readings = [Reading(processes.url, TOKENS, key=f"key {n}") for n in range(READERS)]
    async with signed_in(processes.url) as person:
        chat = await new_chat(person)
        for reading in readings:
            reading.start()
        asked = await ask(person, chat, f"/repeat {WORDS}", sampling_parameters=LENGTH)
        message = asked["assistant_message"]["id"]
        for reading in readings:
            reading.await_tokens(10)
        late = Reading(processes.url, TOKENS, key="late")  # there is no slot: it has to wait
        late.start()
        await waits(processes.broker)
        backup = tmp_path / "backup"
        made = succeeded(mesh(processes, "backup", str(backup), "--json"))
        processes.worker("w2", *QUICK)
        processes.await_workers(2)
        slow.kill()
        for reading in [*readings, late]:
            reading.finish()
            assert reading.texts == said(TOKENS), "whoever reads does not notice the backup"
        token = person.headers["authorization"]
    processes.end()
    processes.broker.kill()

    new = tmp_path / "new mesh"
    assert "with its keys" in succeeded(mesh(processes, "restore", str(backup), **at(new)))
    again = second(new)
    again.gateway()
    again.store()
    again.await_store()
    again.worker("w2", *QUICK)
    again.await_workers(1)
    keys = [*(f"key {n}" for n in range(READERS)), "late"]
    rests = [Reading(again.url, TOKENS, key=key, after=9) for key in keys]
    for rest in rests:
        rest.start()
    for rest in rests:
        rest.finish()
        assert rest.texts == said(TOKENS)[10:]
        assert rest.indexes == list(range(10, TOKENS))
    whole = Reading(again.url, 20, key="early")
    whole.start()
    whole.finish()
    assert whole.texts == said(20)
    async with httpx.AsyncClient(base_url=again.url, timeout=60) as person:
        person.headers["authorization"] = token
        await events(person, chat, message)
        answered = await get_message(person, chat, message)
        assert (answered["state"], answered["content"]) == ("complete", "".join(said(TOKENS)))
        repeated = await ask(person, chat, "And now?", parent=message)
        more = await events(person, chat, repeated["assistant_message"]["id"])
        assert "".join(tokens(more)) == "And now?"

    truth = await read_truth(again.broker)
    truth.check()
    assert len(truth.runs) == READERS + 4, "no request was begun anew"
    claims = sorted(truth.claims.values())
    taken_over, first_time = [["w1", "w2"]] * (READERS + 1), [["w2"]] * 2
    assert claims == [["w1"], *taken_over, *first_time], "what was under way went on"
    until("the database has it all", lambda: stored_runs(new / "mesh.db") == told_by(truth))
    manifest = msgspec.json.decode(made, type=_Report).manifest
    assert manifest.database.seq <= log_of(manifest).last_seq
    assert "reading it from the beginning" not in again.started[1].log.read_text()
    assert again.broker.data_dir == new


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    """Three brokers that are one, with nothing in them."""
    found = Cluster(tmp_path / "cluster", ("w1",))
    try:
        for node in range(3):
            found.start(node)
        for node in range(3):
            found.wait(node)
        asyncio.run(leads(found))
        yield found
    finally:
        asyncio.run(found.end())


async def leads(cluster: Cluster) -> None:
    """Return when the brokers have a leader, who answers."""
    bus = await Bus.connect([cluster.url], *cluster.credentials("operator"))
    async with asyncio.timeout(60):
        while True:
            try:
                await JetStream(bus).stream_info(subjects.RUN_STREAM)
            except ApiError:
                break  # there is no such stream: somebody knows
            except BusError:
                await asyncio.sleep(0.1)
    await bus.close()


def test_a_mesh_of_one_broker_is_restored_into_a_cluster_and_back(
    processes: Processes, cluster: Cluster, tmp_path: Path
) -> None:
    processes.gateway()
    processes.store()
    processes.worker("w1")
    processes.await_workers(1)
    processes.await_store()
    before = Reading(processes.url, TOKENS, key="mine")
    before.start()
    before.finish()
    succeeded(mesh(processes, "backup", str(tmp_path / "one.tar")))
    processes.end()

    new = tmp_path / "new"
    away = processes.env | {
        "MESH_DATA_DIR": str(new),
        "MESH_NATS": cluster.urls,
        "MESH_REPLICAS": "3",
        "MESH_OPERATOR_PASSWORD": cluster.credentials("operator").password,
        "MESH_GATEWAY_PASSWORD": cluster.credentials("gateway").password,
        "MESH_STORE_PASSWORD": cluster.credentials("store").password,
    }
    processes.env = away
    succeeded(mesh(processes, "restore", str(tmp_path / "one.tar")))
    processes.gateway()
    processes.store()
    processes.await_store()
    after = Reading(processes.url, TOKENS, key="mine", after=9)
    after.start()
    after.finish()
    assert after.texts == said(TOKENS)[10:]
    made = succeeded(mesh(processes, "backup", str(tmp_path / "three"), "--json"))
    log = log_of(msgspec.json.decode(made, type=_Report).manifest)
    assert msgspec.json.decode(log.config)["num_replicas"] == 3
    processes.end()
    back = at(tmp_path / "back") | {"replicas": "1"}
    succeeded(mesh(processes, "restore", str(tmp_path / "three"), **back))


async def waits(broker: Broker) -> None:
    """Return when there is a request that nobody has claimed."""
    async with asyncio.timeout(60):
        truth = await read_truth(broker)
        while not truth.runs.keys() - truth.claims.keys():
            await asyncio.sleep(0.05)
            truth = await read_truth(broker)


def at(data: Path) -> dict[str, str]:
    """Settings of a command that works on another data folder, whose broker nobody has named."""
    return {"data_dir": str(data), "nats": ""}


def signed_in(url: str, user: str = "ada") -> httpx.AsyncClient:
    """A client of somebody who has just signed in."""
    login = httpx.get(f"{url}/auth/callback/debug", params={"code": user}, timeout=30)
    token = login.raise_for_status().json()["access_token"]["access_token"]
    headers = {"Authorization": f"Bearer {token}"}
    return httpx.AsyncClient(base_url=url, headers=headers, timeout=60)


class _Report(msgspec.Struct):
    manifest: Manifest


def log_of(manifest: Manifest) -> Stream:
    (log,) = [stream for stream in manifest.streams if stream.name == subjects.RUN_STREAM]
    return log
