"""Puts the stand-ins in place, where PyTorch is; elsewhere the tests of this folder are skipped.

With MESH_TEST_GPU set there are no stand-ins: for the contract and the continuation, on a GPU.
"""

import os
from importlib.util import find_spec
from pathlib import Path

import pytest

MISSING = [name for name in ("torch", "exllamav2", "tokenizers") if find_spec(name) is None]

if not MISSING and not os.environ.get("MESH_TEST_GPU"):
    from tests.worker.exl2 import standin

    standin.install()


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """Without PyTorch the modules cannot even be imported: `test_missing` says why."""
    return True if MISSING and collection_path.name != "test_missing.py" else None


@pytest.fixture(scope="session")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the model whose answers are known."""
    from tests.worker.exl2 import folders

    return folders.write(tmp_path_factory.mktemp("model") / "chain")
