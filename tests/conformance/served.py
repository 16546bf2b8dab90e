"""The mesh that the clients speak to: whole and real, on loopback, with a model that has a script,
a real small one, and those of `tests.whole_mesh`."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mesh.bus.appender import new_uid
from mesh.bus.connection import Bus
from mesh.protocol.subjects import Writer
from mesh.settings import WorkerSettings
from mesh.worker import app as worker
from mesh.worker.loader import Loader
from tests.conformance.scripted import ScriptedEngine
from tests.conftest import Broker
from tests.whole_mesh import ECHO, FAILING, SLOW, Mesh

SCRIPTED, TINY = "scripted", "tiny"


class ServedMesh(Mesh):
    """A mesh with two models more."""

    def _runner(self, name: str) -> Callable[[asyncio.Event], Coroutine[Any, Any, None]]:
        if name not in (SCRIPTED, TINY):
            return super()._runner(name)
        password = self.broker.credentials(name).password
        settings = WorkerSettings(
            engine="echo" if name == SCRIPTED else "llamacpp",
            model_name=name,
            slots=0 if name == SCRIPTED else 2,
            context=0 if name == SCRIPTED else 1024,
            grace=0.0,
            nats=self.broker.url,
            data_dir=str(self.broker.data_dir),
        )
        if name == TINY:
            return lambda stop: worker.run(settings, name, password, stop)
        return lambda stop: _scripted(self.broker, settings, name, password, stop)


async def _scripted(
    broker: Broker, settings: WorkerSettings, name: str, password: str, stop: asyncio.Event
) -> None:
    """A worker whose engine is not to be had by any setting."""
    writer = Writer(name, new_uid())
    bus = await Bus.connect([broker.url], name, password, str(writer))
    loader = Loader(ScriptedEngine(settings), settings)
    try:
        await worker.Worker(bus, loader, writer, settings).serve(stop)
    finally:
        await bus.close()
        await loader.close()


@contextmanager
def served(folder: Path) -> Iterator[ServedMesh]:
    """A running mesh; all of it ended afterwards."""
    broker = Broker(folder)
    broker.start()
    mesh = ServedMesh(broker)
    try:
        mesh.start("store", "gateway", ECHO, SLOW, FAILING, SCRIPTED, TINY)
        yield mesh
    finally:
        try:
            mesh.close()
        finally:
            broker.kill()
