"""A mesh for tests that only use it, shared by all of them; and one of its own for a test."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.conftest import Broker
from tests.whole_mesh import Mesh


@pytest.fixture(scope="session")
def mesh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mesh]:
    """A running mesh that all tests share: do not disturb it, and sign in as users of your own."""
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
