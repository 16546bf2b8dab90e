"""Two neighbouring versions side by side, an upgrade and its way back, and versions too far apart.

The other version is `tests/neighbours.py`: real processes that speak as it would.
"""

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from mesh.bus.connection import Bus
from mesh.bus.jetstream import JetStream
from mesh.bus.stored import Stored, fence
from mesh.protocol import subjects
from mesh.protocol.subjects import Writer
from tests.acceptance.conftest import Process, Processes, until
from tests.acceptance.reading import SLOW, Reading, said
from tests.conftest import Broker, free_port
from tests.truth import truth_of

TOKENS = 200
LONG = ("--echo-rate", "5", "--grace", "0")
"""Of workers whose answers last for longer than others take to start on a busy machine, and which
hand over at once when they leave."""

FEW = ("--slots", "5", *SLOW)
"""Of workers of whom no two can take a dozen requests: each of three gets some."""

CONFIGURATION = 78

STEP = """
import sqlalchemy as sa
from alembic import op

revision, down_revision, branch_labels, depends_on = "9999", {newest!r}, None, None

def upgrade():
    with op.batch_alter_table("chats") as chats:
        chats.add_column(sa.Column("mood", sa.Text(), nullable=False, server_default="good"))

def downgrade():
    with op.batch_alter_table("chats") as chats:
        chats.drop_column("mood")
"""
"""A step of the schema that only the newer version has."""


class Neighbour(Process):
    """A process of another version; the first word says which."""

    module = "tests.neighbours"


class Mixed(Processes):
    """Services of several versions around one broker. version: `older`, `newer` or "" for ours."""

    def start(self, version: str, name: str, *words: str) -> Process:
        if version:
            process: Process = Neighbour(name, [version, *words], self.env, self.folder)
        else:
            process = Process(name, list(words), self.env, self.folder)
        self.started.append(process)
        return process

    def gateway_of(self, version: str, name: str) -> tuple[Process, str]:
        """Start a gateway under this name and wait until it answers; with its URL."""
        port = free_port()
        names = ("--gateway-name", name, "--port", str(port))
        process = self.start(version, name, "gateway", *names)
        self.port, self.url = port, f"http://127.0.0.1:{port}"
        self.await_gateway()
        return process, self.url

    def worker_of(self, version: str, name: str, *flags: str) -> Process:
        words = ("--worker-name", name, "--engine", "echo", "--slots", "8", *(flags or SLOW))
        return self.start(version, name, "worker", *words)


@pytest.fixture
def mixed(processes: Processes) -> Iterator[Mixed]:
    found = Mixed(processes.broker, processes.folder)
    yield found
    found.end()


def ask(urls: list[str], count: int) -> list[Reading]:
    """So many requests, each with a key, at these gateways in turn."""
    readings = [Reading(urls[n % len(urls)], TOKENS, key=f"key {n}") for n in range(count)]
    for reading in readings:
        reading.start()
    return readings


def holders(mixed: Mixed) -> list[str]:
    """Who has the latest claim on each request."""
    return [claims[-1] for claims in truth_of(mixed.broker).claims.values()]


def test_gateways_workers_and_stores_of_neighbouring_versions_do_one_job(mixed: Mixed) -> None:
    mixed.env["MESH_POISON_AFTER"] = "3"  # who is moved to the second victim may lose it at once
    versions = ("older", "", "newer")
    urls = [mixed.gateway_of(version, f"gw-{version or 'now'}")[1] for version in versions]
    workers = {
        f"w-{version or 'now'}": mixed.worker_of(version, f"w-{version or 'now'}", *FEW)
        for version in versions
    }
    mixed.start("older", "store-older", "store")
    mixed.start("newer", "store-newer", "store")
    mixed.await_workers(3)
    mixed.await_store()
    readings = ask(urls, 12)
    until("all are being answered", lambda: len(holders(mixed)) == 12)
    asyncio.run(interject(mixed.broker))
    for victim in ("w-older", "w-newer"):
        for reading in readings:
            reading.await_tokens(30)
        workers[victim].kill()
    for reading in readings:
        reading.finish()
        assert reading.texts == said(TOKENS), reading.last or reading.failure
    elsewhere = [Reading(urls[(n + 1) % 3], TOKENS, key=f"key {n}", after=99) for n in range(12)]
    for reading in elsewhere:
        reading.start()
    for reading in elsewhere:
        reading.finish()
        assert reading.texts == said(TOKENS)[100:]
    truth = truth_of(mixed.broker)
    truth.check()
    assert len(truth.runs) == 12
    took_part = {worker for claims in truth.claims.values() for worker in claims}
    assert took_part == set(workers)
    database = mixed.broker.data_dir / "mesh.db"
    until("the stores have it all", lambda: texts(database) == ["".join(said(TOKENS))] * 12)


async def interject(broker: Broker) -> None:
    """Append to each request's story an event of a kind that only a later version knows."""
    bus = await Bus.connect([broker.url], *broker.credentials("gateway"))
    js = JetStream(bus, timeout=30.0)
    stories: dict[str, Stored] = {}
    upto = (await js.stream_info(subjects.RUN_STREAM)).state.last_seq
    async for batch in js.read(subjects.RUN_STREAM, subjects.RUN_EVENTS, 1, upto):
        stories |= {subjects.parse_run(stored.subject).rid: stored for stored in batch}
    for rid, last in stories.items():
        where = subjects.parse_run(last.subject)
        if where.reply != subjects.FLEET:
            subject = subjects.event(where.reply, rid, Writer("gateway", "later"))
            event = b'{"type": "added_later", "uid": "u"}'
            await js.append(subject, event, fence(last.seq, subjects.events_of(rid)))
    await bus.close()


def texts(database: Path) -> list[str]:
    with closing(sqlite3.connect(database)) as connection:
        return [text for (text,) in connection.execute("SELECT text FROM runs WHERE state='done'")]


def test_a_rollout_one_process_after_the_other_is_not_noticed(mixed: Mixed) -> None:
    old_gateway, old_url = mixed.gateway_of("older", "gw1")
    old_store = mixed.start("older", "old store", "store")
    old_workers = [mixed.worker_of("older", f"old{n}", *LONG) for n in range(2)]
    mixed.await_workers(2)
    mixed.await_store()
    readings = ask([old_url], 8)
    for reading in readings:
        reading.await_tokens(20)

    new_workers = [mixed.worker_of("newer", f"new{n}", "--echo-rate", "20") for n in range(2)]
    mixed.await_workers(4)
    for worker in old_workers:
        assert worker.stop() == 0
    assert old_store.stop() == 0
    mixed.start("newer", "new store", "store")
    _, new_url = mixed.gateway_of("newer", "gw2")
    mixed.await_store()
    assert old_gateway.stop() == 0
    rests = []
    for n, reading in enumerate(readings):
        reading.finish()
        rests.append(Reading(new_url, TOKENS, key=f"key {n}", after=len(reading.texts) - 1))
        rests[-1].start()
    for reading, rest in zip(readings, rests, strict=True):
        rest.finish()
        assert reading.texts + rest.texts == said(TOKENS)
    truth = truth_of(mixed.broker)
    truth.check()
    assert len(truth.runs) == 8
    assert {claims[-1] for claims in truth.claims.values()} <= {"new0", "new1"}
    assert all(worker.running for worker in new_workers)


def test_what_waits_in_lanes_is_answered_also_by_those_who_know_of_none(mixed: Mixed) -> None:
    _, url = mixed.gateway_of("", "gw1")
    worker = mixed.worker_of("", "lanes", *LONG)
    mixed.await_workers(1)
    readings = [Reading(url, 40, key=f"key {n}") for n in range(12)]
    for reading in readings:
        reading.start()
    until("all slots are taken", lambda: len(truth_of(mixed.broker).claims) == 8)
    assert worker.stop() == 0
    mixed.worker_of("older", "line")
    for reading in readings:
        reading.finish()
        assert reading.texts == said(40)
    truth = truth_of(mixed.broker)
    truth.check()
    assert {claims[-1] for claims in truth.claims.values()} == {"line"}


@pytest.fixture
def step(tmp_path: Path, mixed: Mixed) -> str:
    """The folder of a further step of the schema, and in the environment of the newer version."""
    from mesh.store.schema import newest

    folder = tmp_path / "steps"
    folder.mkdir()
    (folder / "9999_mood.py").write_text(STEP.format(newest=newest()))
    mixed.env["MESH_TEST_MIGRATIONS"] = str(folder)
    return newest()


def test_an_upgrade_of_the_schema_is_taken_back(mixed: Mixed, step: str) -> None:
    database = mixed.broker.data_dir / "mesh.db"
    _, url = mixed.gateway_of("", "gw1")
    mixed.worker_of("", "w1")
    mixed.await_workers(1)
    new_store = mixed.start("newer", "new store", "store")
    mixed.await_store()
    for reading in ask([url], 4):
        reading.finish()
    until("the new store has it all", lambda: texts(database) == ["".join(said(TOKENS))] * 4)
    assert new_store.stop() == 0

    ours = mixed.start("", "our store", "store")
    assert ours.popen.wait(30) == CONFIGURATION
    assert f"written by a newer version of the mesh (schema 9999, this one knows up to {step})" in (
        ours.log.read_text()
    )
    back = mixed.start("newer", "back", "store", "--schema", step)
    assert back.popen.wait(30) == 0, back.log.read_text()
    assert f"has schema {step} now" in back.log.read_text()
    mixed.start("", "our store", "store")
    mixed.await_store()
    more = [Reading(url, TOKENS, key="after the way back")]
    more[0].start()
    more[0].finish()
    until("our store has it all", lambda: texts(database) == ["".join(said(TOKENS))] * 5)


@pytest.mark.parametrize("version", [subjects.VERSION - 1, subjects.VERSION + 1])
def test_a_version_too_far_away_is_refused_by_a_sentence(mixed: Mixed, version: int) -> None:
    _, url = mixed.gateway_of("", "gw1")
    mixed.worker_of("", "w1")
    mixed.await_workers(1)
    commands = (
        ("worker", "--worker-name", "here", "--engine", "echo"),
        ("worker", "--worker-name", "away", "--engine", "echo"),
        ("gateway", "--gateway-name", "far", "--port", str(free_port())),
        ("store", "--database", str(mixed.folder / "far.db")),
        ("ps",),
    )
    password = mixed.broker.credentials("away").password
    for number, command in enumerate(commands):
        mixed.env["MESH_WORKER_PASSWORD"] = password if "away" in command else ""
        far = mixed.start(f"protocol={version}", f"far {number}", *command)
        assert far.popen.wait(30) == CONFIGURATION, far.log.read_text()
        said_so = [line for line in far.log.read_text().splitlines() if line.startswith("mesh: ")]
        assert len(said_so) == 1
        assert f"protocol {version}" in said_so[0]
        assert f"protocol {subjects.VERSION}" in said_so[0]
        assert "upgrade the older of the two" in said_so[0]
    (reading,) = ask([url], 1)
    reading.finish()
    assert reading.texts == said(TOKENS), "the mesh that was there goes on"
