"""One mesh for all rows, and the people who ask there; what it keeps is looked at from outside."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from tests.conftest import Broker
from tests.declared import declared as declared
from tests.declared import watched as watched
from tests.refusals.everywhere import MOST
from tests.refusals.people import People, people_of
from tests.refusals.stored import Kept, everything
from tests.whole_mesh import ECHO, Mesh


@pytest.fixture(scope="session")
def refusing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mesh]:
    """A mesh with one model, that takes small bodies only."""
    broker = Broker(tmp_path_factory.mktemp("refusing"))
    broker.start()
    mesh = Mesh(broker, max_body=MOST)
    try:
        mesh.start("store", "gateway", ECHO)
        yield mesh
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
