"""A gateway and whatever else a test starts, around a broker that it may disturb."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.conftest import Processes
from tests.conftest import Broker


@pytest.fixture
def processes(broker: Broker, tmp_path: Path) -> Iterator[Processes]:
    """A running broker, and nothing else yet. Logs of all processes in tmp_path."""
    found = Processes(broker, tmp_path)
    found.env |= {"MESH_LOG_LEVEL": "info", "MESH_RUN_MAX_AGE": "14400"}
    yield found
    found.end()
