"""The store away, killed, out of room and locked out: answers stream, and then it has the log.

    MESH_CHAOS_EVENTS=100000 python -m pytest -s tests/chaos/test_store_in_trouble.py

lets so many events happen while the store is away, and prints how soon it has caught up; a usual
run makes do with fewer.
"""

import asyncio
import os
import resource
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import httpx
import pytest

from tests.acceptance.conftest import Process, Processes
from tests.acceptance.reading import Reading, said
from tests.chaos.flood import EVENTS, flood
from tests.chaos.ledger import in_database, in_log, position
from tests.chaos.small_disk import small_disk
from tests.conftest import Broker

MANY = int(os.environ.get("MESH_CHAOS_EVENTS", "3000"))
CATCHING_UP = 60.0 + MANY / 200
"""Seconds after which a store that has not caught up never will."""


class Store(Process):
    """A store with its database in a folder, behind a prefix. readable: where to read that."""

    def __init__(self, mesh: Processes, folder: Path, prefix: Sequence[str]) -> None:
        self._prefix = prefix
        self.database = folder / "mesh.db"
        self.readable: Callable[[], Path] = lambda: self.database
        env = mesh.env | {"MESH_DATABASE": str(self.database)}
        super().__init__("store", ["store"], env, mesh.folder)

    def command(self) -> list[str]:
        return [*self._prefix, *super().command()]


@pytest.fixture
def mesh(processes: Processes) -> Processes:
    """A gateway and a worker of the echo engine, and no store yet."""
    processes.broker.credentials("flooder")
    processes.gateway()
    processes.worker("w1", "--echo-rate", "50")
    processes.await_workers(1)
    return processes


def start_store(mesh: Processes, folder: Path, *prefix: str) -> Store:
    """Start a store with its database in a folder, its command behind a prefix."""
    store = Store(mesh, folder, prefix)
    mesh.started.append(store)
    mesh.await_store()
    return store


def wait(what: str, holds: Callable[[], bool], seconds: float = CATCHING_UP) -> float:
    """Seconds until something holds. Raises AssertionError if it does not in time."""
    began = time.monotonic()
    while not holds():
        assert time.monotonic() - began < seconds, f"{what}: not within {seconds:g} s"
        time.sleep(0.02)
    return time.monotonic() - began


def has_come_to(database: Path, seq: float) -> bool:
    return position(database) >= seq


def exactly_the_log(broker: Broker, database: Callable[[], Path]) -> bool:
    """Wait until a database has come to the end of the log, and hold them against each other."""
    log = asyncio.run(in_log(broker))
    wait("the store is where the log ends", lambda: position(database()) >= log.last)
    assert in_database(database()) == log
    return True


@contextmanager
def an_answer_meanwhile(mesh: Processes) -> Iterator[None]:
    """An answer of two seconds that is read at its usual pace, whatever happens."""
    reading = Reading(mesh.url, 100)
    reading.start()
    reading.await_tokens(5)
    yield
    reading.finish()
    assert reading.texts == said(100)
    assert reading.last == {"done": True, "total_tokens": 100}


@pytest.mark.timeout(300 + MANY / 100)
def test_a_store_that_was_away_for_long_and_is_killed_as_it_returns_has_exactly_the_log(
    mesh: Processes, broker: Broker, tmp_path: Path
) -> None:
    store = start_store(mesh, tmp_path)
    store.kill()
    with an_answer_meanwhile(mesh):
        took = asyncio.run(flood(broker, MANY // EVENTS))
    behind = position(store.database)
    last = asyncio.run(in_log(broker)).last
    began = time.monotonic()
    for part in (0.2, 0.5, 0.8):
        store.start()
        goal = behind + part * (last - behind)
        wait(f"{part:.0%} are applied", partial(has_come_to, store.database, goal))
        store.kill()  # in a transaction: it does nothing else
    store.start()
    wait("the rest is applied", lambda: position(store.database) >= last)
    caught_up = time.monotonic() - began
    print(f"\n  {MANY:,} events: written in {took:.1f} s, applied in {caught_up:.1f} s, 3 kills")
    assert exactly_the_log(broker, store.readable)


@pytest.mark.timeout(400)
def test_a_store_whose_database_is_locked_says_so_and_waits(
    mesh: Processes, broker: Broker, tmp_path: Path
) -> None:
    """Somebody else writes for longer than SQLite waits by itself."""
    store = start_store(mesh, tmp_path)
    other = sqlite3.connect(store.database, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    with an_answer_meanwhile(mesh):
        asyncio.run(flood(broker, 100))
    wait("it says so", lambda: "database is locked" in store.log.read_text())
    other.execute("ROLLBACK")
    other.close()
    assert exactly_the_log(broker, store.readable)
    assert store.running


def begin_a_chat(mesh: Processes) -> httpx.Response:
    """Sign in and begin a chat; the answer, or the first refusal on the way."""
    with httpx.Client(base_url=mesh.url, timeout=30.0) as http:
        login = http.get("/auth/callback/debug?code=ada")
        if login.status_code != 200:
            return login
        signed = {"Authorization": f"Bearer {login.json()['access_token']['access_token']}"}
        return http.post("/chats", json={}, headers=signed)


def goes_on_without_room(
    mesh: Processes, broker: Broker, store: Store, room_again: Callable[[], None]
) -> None:
    """A store that has no room says so, refuses by a sentence, tries on, and catches up."""
    with an_answer_meanwhile(mesh):
        asyncio.run(flood(broker, 600, words=300))
    trying = "The log cannot be applied, trying again"
    wait("it says so", lambda: trying in store.log.read_text())
    told = begin_a_chat(mesh)
    if told.is_error:  # there may be room left for something as small
        assert (told.status_code, told.json()["code"]) == (503, "store_unavailable")
        assert told.json()["detail"].endswith(".")
    with an_answer_meanwhile(mesh):
        assert position(store.readable()) < asyncio.run(in_log(broker)).last
    assert store.running
    room_again()
    assert exactly_the_log(broker, store.readable)
    assert begin_a_chat(mesh).status_code == 200


@pytest.mark.timeout(400)
def test_a_store_whose_disk_is_full_goes_on_when_there_is_room(
    mesh: Processes, broker: Broker, tmp_path: Path
) -> None:
    with small_disk(tmp_path / "small", 24 << 20) as disk:
        store = start_store(mesh, disk.folder, *disk.prefix)
        store.readable = lambda: disk.copy("mesh.db", tmp_path / "copy")
        disk.fill(leaving=200_000)
        goes_on_without_room(mesh, broker, store, disk.empty)
    assert "disk is full" in store.log.read_text()


@pytest.mark.timeout(400)
def test_a_store_whose_file_may_not_grow_goes_on_when_it_may(
    mesh: Processes, broker: Broker, tmp_path: Path
) -> None:
    """The way to have no room that every Linux knows."""
    store = start_store(mesh, tmp_path)
    pid, limit = store.popen.pid, resource.RLIMIT_FSIZE
    usual = resource.prlimit(pid, limit)
    resource.prlimit(pid, limit, (store.database.stat().st_size + 200_000, usual[1]))

    def room_again() -> None:
        resource.prlimit(pid, limit, usual)

    goes_on_without_room(mesh, broker, store, room_again)
