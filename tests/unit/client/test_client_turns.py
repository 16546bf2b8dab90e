"""Of all who find their token run out at once one signs in anew, and the others wait for it.

The flows of requests are driven by hand: a test is the network.
"""

import asyncio
import threading
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from mesh_client import FileStore, MemoryStore, NotSignedIn, auth
from mesh_client.auth import Renewal
from mesh_client.credentials import Credentials, CredentialStore
from mesh_client.turns import Flight

GATEWAY = "http://gateway"
ADA = Credentials(username="ada", access_token="a1", refresh_token="r1", by_name=False)
REFRESH = "/auth/refresh"

Flow = Generator[httpx.Request, httpx.Response, None]
Stores = Callable[[], CredentialStore]


def request() -> httpx.Request:
    return httpx.Request("GET", f"{GATEWAY}/auth/check", extensions={"timeout": {"read": 7.0}})


def refusal() -> httpx.Response:
    body = {"detail": "Sign in again.", "code": "token_expired", "request_id": "r"}
    return httpx.Response(401, json=body)


def renewal() -> httpx.Response:
    following = {"access_token": "r2", "token_type": "refresh"}
    body = {"access_token": "a2", "token_type": "bearer", "refresh_token": following}
    return httpx.Response(200, json=body)


def sent(store: CredentialStore) -> Flow:
    """The flow of a request that is on its way to the gateway."""
    flow = Renewal(store).sync_auth_flow(request())
    assert next(flow).headers["Authorization"] == "Bearer a1"
    return flow


def renewing(store: CredentialStore) -> Flow:
    """The flow of a request that was refused and refreshes its token."""
    flow = sent(store)
    assert flow.send(refusal()).url.path == REFRESH
    return flow


async def renewing_on_a_loop(store: CredentialStore) -> Any:
    flow = Renewal(store).async_auth_flow(request())
    await anext(flow)
    assert (await flow.asend(refusal())).url.path == REFRESH
    return flow


async def refused_on_a_loop(
    store: CredentialStore, signed: threading.Event | None = None
) -> httpx.Request:
    """What a request that is refused does next. signed: set once it has its old token."""
    flow = Renewal(store).async_auth_flow(request())
    await anext(flow)
    if signed is not None:
        signed.set()
    try:
        return await flow.asend(refusal())
    finally:
        await flow.aclose()


def token(request: httpx.Request) -> str:
    assert request.url.path != REFRESH, "it asks itself"
    return request.headers["Authorization"].removeprefix("Bearer ")


@pytest.fixture(params=["one store", "stores of one file"])
def stores(tmp_path: Path, request: pytest.FixtureRequest) -> Stores:
    """Makes the stores of clients that share a sign-in."""
    one = MemoryStore()

    def same() -> CredentialStore:
        return one

    def of_a_file() -> CredentialStore:
        return FileStore(GATEWAY, tmp_path / "credentials.json")

    made = same if request.param == "one store" else of_a_file
    made().save(ADA)
    return made


@pytest.fixture
def store() -> CredentialStore:
    store = MemoryStore()
    store.save(ADA)
    return store


def test_who_is_refused_beside_another_takes_what_that_one_gets(stores: Stores) -> None:
    first = renewing(stores())
    with ThreadPoolExecutor(1) as thread:
        second = thread.submit(sent(stores()).send, refusal())
        assert token(first.send(renewal())) == "a2"
        assert token(second.result(20)) == "a2"


async def test_event_loops_wait_for_one_another_and_for_threads(stores: Stores) -> None:
    first = await renewing_on_a_loop(stores())
    here = asyncio.create_task(refused_on_a_loop(stores()))
    signed = threading.Event()
    other = asyncio.to_thread(asyncio.run, refused_on_a_loop(stores(), signed))
    there = asyncio.create_task(other)
    thread = asyncio.create_task(asyncio.to_thread(sent(stores()).send, refusal()))
    assert await asyncio.to_thread(signed.wait, 20)
    assert token(await first.asend(renewal())) == "a2"
    async with asyncio.timeout(20):
        assert [token(each) for each in (await here, await there, await thread)] == ["a2"] * 3


def test_who_leaves_in_the_middle_lets_the_next_one_try(store: CredentialStore) -> None:
    first = renewing(store)
    with ThreadPoolExecutor(1) as thread:
        second = thread.submit(sent(store).send, refusal())
        first.close()
        assert second.result(20).url.path == REFRESH


async def test_who_stops_waiting_harms_nobody(store: CredentialStore) -> None:
    first = await renewing_on_a_loop(store)
    leaving, staying = (asyncio.create_task(refused_on_a_loop(store)) for _ in range(2))
    await asyncio.sleep(0)
    leaving.cancel()
    await asyncio.gather(leaving, return_exceptions=True)
    assert token(await first.asend(renewal())) == "a2"
    async with asyncio.timeout(20):
        assert token(await staying) == "a2"


async def test_a_thread_never_waits_for_the_loop_that_it_runs_itself(
    store: CredentialStore,
) -> None:
    first = await renewing_on_a_loop(store)
    blocking = sent(store)
    assert blocking.send(refusal()).url.path == REFRESH
    assert token(blocking.send(renewal())) == "a2"
    await first.aclose()


def test_nobody_waits_for_ever(store: CredentialStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auth, "PATIENCE", 0.05)
    stuck = renewing(store)
    with ThreadPoolExecutor(1) as thread:
        second = sent(store)
        assert thread.submit(second.send, refusal()).result(20).url.path == REFRESH
        monkeypatch.undo()
        third = thread.submit(sent(store).send, refusal())
        assert token(second.send(renewal())) == "a2"
        assert token(third.result(20)) == "a2"
    stuck.close()


def test_what_the_gateway_says_to_one_goes_for_all_who_wait(
    store: CredentialStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = renewing(store)
    waits, block = threading.Event(), Flight.block

    def noted(flight: Flight, until: float) -> None:
        waits.set()
        block(flight, until)

    monkeypatch.setattr(Flight, "block", noted)
    with ThreadPoolExecutor(1) as thread:
        second = thread.submit(sent(store).send, refusal())
        assert waits.wait(20)
        with pytest.raises(NotSignedIn):
            first.send(refusal())
        with pytest.raises(NotSignedIn):
            second.result(20)


def test_a_refresh_is_as_patient_as_the_request_that_needs_it(store: CredentialStore) -> None:
    flow = sent(store)
    assert flow.send(refusal()).extensions["timeout"] == {"read": 7.0}
