"""Many requests whose token has run out refresh it once, at a gateway where a second time would
sign everybody out; and processes that refresh at once stay signed in."""

import asyncio
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from mesh_client import AsyncClient, Client, FileStore
from mesh_client.credentials import Credentials
from tests.fleet import wait_until
from tests.whole_mesh import Mesh

MANY, THREADS = 50, 16
NAMES = ["p0", "p1", "p2", "p3"]
"""Of processes."""

ASK = """
import sys
from pathlib import Path
from mesh_client import Client, FileStore

url, folder, name = sys.argv[1:]
store = FileStore(url, Path(folder) / "credentials.json")
with Client(url, store=store) as client:
    (Path(folder) / name).touch()
    sys.stdin.readline()
    print(client.user())
"""


def refreshes(mesh: Mesh) -> float:
    """How often the gateway was asked for another token."""
    families = text_string_to_metric_families(httpx.get(f"{mesh.url}/metrics").text)
    samples = (sample for family in families for sample in family.samples)
    return sum(
        sample.value
        for sample in samples
        if sample.name == "mesh_http_requests_total" and sample.labels["route"] == "/auth/refresh"
    )


def run_out(mesh: Mesh, store: FileStore) -> Credentials:
    """Sign the admin in with the password; returns that once its access token has run out."""
    mesh.limit(access_ttl=1.0)
    mesh.start("store", "gateway")
    with Client(mesh.url, store=store) as client:
        client.login("admin", mesh.admin_password)
    kept = store.load()
    assert kept is not None and not kept.by_name
    signed = {"Authorization": f"Bearer {kept.access_token}"}
    check = f"{mesh.url}/auth/check"
    wait_until("it runs out", lambda: httpx.get(check, headers=signed).status_code == 401)
    mesh.stop("gateway")
    mesh.limit(access_ttl=3600.0)
    mesh.start("gateway")
    return kept


@pytest.fixture
def strict(new_mesh: Callable[..., Mesh]) -> Mesh:
    """A mesh where a refresh token that is used twice ends its sign-in, however soon."""
    return new_mesh(refresh_leeway=0.0)


async def test_clients_of_an_event_loop_refresh_once(strict: Mesh, tmp_path: Path) -> None:
    def store() -> FileStore:
        return FileStore(strict.url, tmp_path / "credentials.json")

    await asyncio.to_thread(run_out, strict, store())
    before = refreshes(strict)
    async with (
        AsyncClient(strict.url, store=store()) as one,
        AsyncClient(strict.url, store=store()) as other,
    ):
        half = MANY // 2
        said = await asyncio.gather(*(each.user() for each in [one] * half + [other] * half))
        assert len(said) == MANY and len(set(said)) == 1
        assert refreshes(strict) - before == 1
        assert await other.user() == said[0]


def test_threads_refresh_once(strict: Mesh, tmp_path: Path) -> None:
    store = FileStore(strict.url, tmp_path / "credentials.json")
    run_out(strict, store)
    before = refreshes(strict)
    with Client(strict.url, store=store) as client, ThreadPoolExecutor(THREADS) as threads:
        asked = [threads.submit(client.user) for _ in range(THREADS)]
        assert len({each.result() for each in asked}) == 1
        assert refreshes(strict) - before == 1
        assert client.user() == asked[0].result()


def test_processes_that_refresh_at_once_stay_signed_in(
    new_mesh: Callable[..., Mesh], tmp_path: Path
) -> None:
    """Whoever comes second within the leeway is given what the first one got."""
    mesh = new_mesh()
    store = FileStore(mesh.url, tmp_path / "credentials.json")
    old = run_out(mesh, store)
    said = asked_at_once(mesh, tmp_path)
    assert len(set(said)) == 1 and said[0]
    kept = store.load()
    assert kept is not None and kept.refresh_token != old.refresh_token
    renewed = httpx.get(f"{mesh.url}/auth/refresh", headers={"Refresh": kept.refresh_token})
    assert renewed.status_code == 200, "what they kept is what comes next"


def test_processes_refresh_once(strict: Mesh, tmp_path: Path) -> None:
    """A second use would be none of the leeway, and sign them all out."""
    run_out(strict, FileStore(strict.url, tmp_path / "credentials.json"))
    before = refreshes(strict)
    said = asked_at_once(strict, tmp_path)
    assert len(set(said)) == 1 and said[0]
    assert refreshes(strict) - before == 1
    assert not list(tmp_path.glob(".*")), "locks are gone with their holders"


def asked_at_once(mesh: Mesh, folder: Path) -> list[str]:
    """What processes say that ask at the same time with the sign-in that is kept in a folder."""
    asking = [
        subprocess.Popen(
            [sys.executable, "-c", ASK, mesh.url, str(folder), name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for name in NAMES
    ]
    try:
        wait_until("they are there", lambda: all((folder / name).exists() for name in NAMES))
        for each in asking:
            assert each.stdin is not None
            each.stdin.write("\n")
            each.stdin.flush()
        return [each.communicate(timeout=60)[0] for each in asking]
    finally:
        for each in asking:
            each.kill()
            each.wait()
