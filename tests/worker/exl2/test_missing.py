"""Says why the tests of the ExLlamaV2 engine did not run, where they did not."""

import pytest

from tests.worker.exl2.conftest import MISSING


def test_the_engine_s_packages_are_installed() -> None:
    if MISSING:
        pytest.skip(
            f"The ExLlamaV2 engine is not tested: {', '.join(MISSING)} missing; install PyTorch for"
            " the CPU, then pip install -e '.[dev,exllamav2]'"
        )
