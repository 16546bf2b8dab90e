"""A mesh is backed up while it answers, and restored elsewhere: it is the same, to the token."""

import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import httpx
import msgspec
import pytest

from mesh.cli.manifest import Manifest, Stream
from mesh.protocol import subjects
from mesh.protocol.messages import Done
from tests.acceptance.conftest import Processes, until
from tests.acceptance.reading import SLOW, WORDS, Reading, said
from tests.chatting import ask, events, get_message, new_chat, tokens
from tests.conftest import Broker
from tests.truth import Truth, read_truth

TOKENS = 240
READERS = 8
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
    processes.worker("w1", *SLOW, "--slots", "16")
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
            reading.await_tokens(30)
        backup = tmp_path / "backup"
        made = succeeded(mesh(processes, "backup", str(backup), "--json"))
        for reading in readings:
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
    again.worker("w2", *SLOW, "--slots", "16")
    again.await_workers(1)
    rests = [Reading(again.url, TOKENS, key=f"key {n}", after=9) for n in range(READERS)]
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
    assert len(truth.runs) == READERS + 3, "no request was begun anew"
    moved = [claims for claims in truth.claims.values() if claims == ["w1", "w2"]]
    assert len(moved) == READERS + 1, "what was under way was taken over, and went on"
    until("the database has it all", lambda: stored_runs(new / "mesh.db") == told_by(truth))
    manifest = msgspec.json.decode(made, type=_Report).manifest
    assert manifest.database.seq <= log_of(manifest).last_seq
    assert "reading it from the beginning" not in again.started[1].log.read_text()
    assert again.broker.data_dir == new


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
