"""OpenAI's own client at a mesh of a test."""

from collections.abc import Iterator

import openai
import pytest

from tests.fleet import Fleet
from tests.whole_mesh import Mesh


def connected(mesh: Mesh | Fleet) -> openai.OpenAI:
    """A client that asks as a guest, each request once."""
    return openai.OpenAI(base_url=f"{mesh.url}/v1", api_key="guest", max_retries=0)


@pytest.fixture
def client(mesh: Mesh | Fleet) -> Iterator[openai.OpenAI]:
    """The same at the mesh that the test has, its connections closed afterwards."""
    with connected(mesh) as client:
        yield client
