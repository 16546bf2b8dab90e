"""A whole mesh in this process: a real broker, and its services on a thread of their own.

Quicker to start than real processes, and each service can be stopped and started again; what has
to be killed belongs into real ones (`tests/acceptance`). A folder whose tests share one mesh takes
the fixtures below into its conftest.
"""

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import Future
from typing import Any, TypeVar

import httpx
import pytest
from msgspec import Struct

from mesh.gateway import app as gateway
from mesh.settings import GatewaySettings, StoreSettings, WorkerSettings
from mesh.store import app as store
from mesh.store.first_admin import FILE, NAME
from mesh.worker import app as worker
from tests.conftest import Broker, free_port

T = TypeVar("T")

READY = 60.0
"""Seconds that a service may take to start or stop on a busy machine."""

ECHO, SLOW, FAILING, SINGLE = "echo", "slow", "failing", "single"
"""The models: one as fast as it can, one of 20 tokens a second, one whose engine fails after
every third token, one of 20 tokens a second with one slot."""


class Service:
    """A service running on the thread's loop."""

    def __init__(self, run: Callable[[asyncio.Event], Coroutine[Any, Any, None]]) -> None:
        self._stop = asyncio.Event()
        self.task = asyncio.ensure_future(run(self._stop))

    async def stop(self) -> None:
        self._stop.set()
        async with asyncio.timeout(READY):
            await self.task


class Mesh:
    """Broker, store, gateway and workers of the models. `limits`: settings of gateway and store."""

    def __init__(self, broker: Broker, **limits: Any) -> None:
        self.broker = broker
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._limits = limits
        self._services: dict[str, Service] = {}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="mesh")
        self._thread.start()

    # --- its services -----------------------------------------------------------------------------

    def start(self, *names: str) -> None:
        """Start services (all without names) and wait until they are there."""
        for name in names or ("store", "gateway", ECHO, SLOW, FAILING, SINGLE):
            self._on_loop(self._start(name))
        self._on_loop(self._ready())

    def limit(self, **limits: Any) -> None:
        """Other settings for the gateway, from its next start on."""
        self._limits |= limits

    def stop(self, *names: str) -> None:
        """Stop services in good order (all without names)."""
        chosen = [self._services.pop(name) for name in names or tuple(reversed(self._services))]
        failures = [failure for service in chosen if (failure := self._end(service))]
        if failures:
            raise failures[0]

    def _end(self, service: Service) -> BaseException | None:
        """Stop a service; returns what it failed with."""
        try:
            self._on_loop(service.stop())
        except Exception as error:
            return error
        return None

    def close(self) -> None:
        try:
            self.stop()
        finally:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()

    # --- its users --------------------------------------------------------------------------------

    def anonymous(self, **options: Any) -> httpx.AsyncClient:
        """A client that nobody has signed in with."""
        return httpx.AsyncClient(base_url=self.url, timeout=60.0, **options)

    async def client(self, user: str, **options: Any) -> httpx.AsyncClient:
        """A client signed in as a user; use it with `async with`."""
        async with self.anonymous() as http:
            login = await http.get("/auth/callback/debug", params={"code": user})
        token = login.raise_for_status().json()["access_token"]["access_token"]
        return self.anonymous(headers={"Authorization": f"Bearer {token}"}, **options)

    @property
    def admin_password(self) -> str:
        """The first admin's, as the store has left it."""
        return (self.broker.data_dir / FILE).read_text().strip()

    async def admin(self, **options: Any) -> httpx.AsyncClient:
        """A client signed in as the first admin; use it with `async with`."""
        body = {"username": NAME, "password": self.admin_password}
        async with self.anonymous() as http:
            login = await http.post("/auth/login", json=body)
        token = login.raise_for_status().json()["access_token"]["access_token"]
        return self.anonymous(headers={"Authorization": f"Bearer {token}"}, **options)

    # --- inside -----------------------------------------------------------------------------------

    def _on_loop(self, work: Coroutine[Any, Any, T]) -> T:
        future: Future[T] = asyncio.run_coroutine_threadsafe(work, self._loop)
        return future.result(2 * READY)

    async def _start(self, name: str) -> None:
        self._services[name] = Service(self._runner(name))

    def _runner(self, name: str) -> Callable[[asyncio.Event], Coroutine[Any, Any, None]]:
        common: Any = {"data_dir": str(self.broker.data_dir), "nats": self.broker.url}
        password = self.broker.credentials(name).password
        match name:
            case "store":
                stored = StoreSettings(store_password=password, **common, **self._of(StoreSettings))
                return lambda stop: store.run(stored, stop)
            case "gateway":
                served = GatewaySettings(
                    gateway_password=password,
                    port=self.port,
                    **common,
                    **self._of(GatewaySettings),
                )
                return lambda stop: gateway.run(served, stop)
            case _:
                echo = WorkerSettings(
                    engine="echo",
                    model=name,
                    slots=1 if name == SINGLE else 0,
                    echo_rate=20.0 if name in (SLOW, SINGLE) else 0.0,
                    echo_fail_after=3 if name == FAILING else 0,
                    grace=0.0,
                    **common,
                )
                return lambda stop: worker.run(echo, name, password, stop)

    def _of(self, kind: type[Struct]) -> dict[str, Any]:
        """Those of the limits that a service knows."""
        return {name: self._limits[name] for name in self._limits if name in kind.__struct_fields__}

    async def _ready(self) -> None:
        """Wait until what was started answers; raise what it failed with."""
        workers = len(self._services.keys() - {"store", "gateway"})
        async with asyncio.timeout(READY):
            while not await self._healthy(workers):
                for service in self._services.values():
                    if service.task.done():
                        await service.task
                await asyncio.sleep(0.02)

    async def _healthy(self, workers: int) -> bool:
        if "gateway" not in self._services:
            return True
        async with self.anonymous() as http:
            try:
                found = (await http.get("/v1/health")).json()
            except httpx.TransportError:
                return False
        stored = found["store"] == "ok" or "store" not in self._services
        return stored and found["workers"] >= workers


@pytest.fixture(scope="session")
def mesh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mesh]:
    """A running mesh that all tests of a folder share: do not disturb it, and sign in as users of
    your own."""
    broker = Broker(tmp_path_factory.mktemp("mesh"))
    broker.start()
    mesh = Mesh(broker)
    try:
        mesh.start()
        yield mesh
    finally:
        try:
            mesh.close()
        finally:
            broker.kill()


@pytest.fixture
def new_mesh(broker: Broker) -> Iterator[Callable[..., Mesh]]:
    """Makes a mesh that a test may disturb, with settings for its gateway; start it yourself."""
    made: list[Mesh] = []

    def make(**limits: Any) -> Mesh:
        made.append(Mesh(broker, **limits))
        return made[-1]

    yield make
    for mesh in made:
        mesh.close()
