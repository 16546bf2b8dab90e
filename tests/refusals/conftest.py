"""One mesh for all rows, and the people who ask there; what it keeps is looked at from outside."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from anyio.from_thread import start_blocking_portal

from mesh.bus.connection import Bus
from mesh.cli.registrar import Registrar
from tests.conftest import Broker
from tests.declared import declared as declared
from tests.declared import watched as watched
from tests.refusals.everywhere import MOST
from tests.refusals.people import People, people_of
from tests.refusals.stored import Kept, everything
from tests.whole_mesh import ECHO, Mesh


async def _keep_users(broker: Broker) -> Bus:
    """Keep the broker's users, as `mesh up` does. Close what it returns."""
    bus = await Bus.connect([broker.url], *broker.credentials("operator"))
    await Registrar(bus, broker.folder, [broker.url]).serve()
    return bus


@pytest.fixture(scope="session")
def refusing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mesh]:
    """A mesh with one model, that takes small bodies only."""
    broker = Broker(tmp_path_factory.mktemp("refusing"))
    broker.start()
    mesh = Mesh(broker, max_body=MOST)
    try:
        mesh.start("store", "gateway", ECHO)
        with start_blocking_portal() as portal:
            keeper = portal.call(_keep_users, broker)
            yield mesh
            portal.call(keeper.close)
    finally:
        mesh.close()
        broker.kill()


@pytest.fixture(scope="session")
def people(refusing: Mesh) -> Iterator[People]:
    with ExitStack() as stack:
        yield people_of(refusing, stack)


@pytest.fixture
def kept(refusing: Mesh) -> Callable[[], Kept]:
    """Looks at all that the store keeps now."""
    return lambda: everything(refusing.broker.data_dir / "mesh.db")
