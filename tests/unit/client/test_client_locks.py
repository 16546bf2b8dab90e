"""Locks between processes: held by one at a time, and gone with who held them."""

import asyncio
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from mesh_client import FileStore
from mesh_client.auth import Renewal
from mesh_client.credentials import Credentials
from mesh_client.locks import Lock

URL = "http://gateway"
ADA = Credentials(username="ada", access_token="a1", refresh_token="r1", by_name=False)

HOLD = """
import sys
from pathlib import Path
from mesh_client import FileStore

assert FileStore(sys.argv[1], Path(sys.argv[2])).lock().take()
print("held", flush=True)
sys.stdin.readline()
"""


@pytest.fixture
def store(tmp_path: Path) -> FileStore:
    """A store where somebody is signed in."""
    store = FileStore(URL, tmp_path / "credentials.json")
    store.save(ADA)
    return store


@contextmanager
def held(store: FileStore) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the lock of a store's sign-in."""
    words = [sys.executable, "-c", HOLD, store.url, str(store.place[0])]
    holder = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout is not None and holder.stdout.readline() == "held\n"
        yield holder
    finally:
        holder.kill()
        holder.communicate()


def refused() -> httpx.Response:
    return httpx.Response(401, json={"detail": "Sign in again.", "code": "token_expired"})


def test_a_lock_is_held_by_one_process_and_goes_with_it(store: FileStore, tmp_path: Path) -> None:
    lock = store.lock()
    with held(store):
        assert not lock.take()
        other = FileStore("http://another", store.place[0]).lock()
        assert other.take()
        other.let_go()
    assert lock.take() and store.lock().take(), "a process does not wait for itself"
    lock.let_go()
    assert list(tmp_path.iterdir()) == [store.place[0]]


def test_where_no_lock_can_be_made_one_goes_on_without(tmp_path: Path) -> None:
    lock = Lock(tmp_path / "no folder" / "lock")
    assert lock.take()
    lock.let_go()


@pytest.mark.parametrize("killed", [True, False])
def test_who_waits_for_another_process_takes_what_it_has_saved(
    store: FileStore, killed: bool
) -> None:
    renewed = Credentials(username="ada", access_token="a2", refresh_token="r2", by_name=False)
    flow = Renewal(store).sync_auth_flow(httpx.Request("GET", URL))
    assert next(flow).headers["Authorization"] == "Bearer a1"
    with held(store) as holder:
        if not killed:
            store.save(renewed)
        threading.Timer(0.3, holder.kill).start()
        asked = flow.send(refused())
    if killed:
        assert (asked.url.path, asked.headers["Refresh"]) == ("/auth/refresh", "r1")
    else:
        assert asked.headers["Authorization"] == "Bearer a2"
    flow.close()


async def test_an_event_loop_goes_on_while_one_waits(store: FileStore) -> None:
    flow = Renewal(store).async_auth_flow(httpx.Request("GET", URL))
    await anext(flow)
    with held(store) as holder:
        waiting = asyncio.ensure_future(flow.asend(refused()))
        await asyncio.sleep(0.3)
        assert not waiting.done()
        holder.kill()
        assert (await waiting).url.path == "/auth/refresh"
    await flow.aclose()
    with held(store):
        pass  # for it was given back
