"""The ExLlamaV2 engine: the contract that all engines keep, with the real generator."""

from pathlib import Path

import pytest

from mesh.settings import WorkerSettings
from mesh.worker.engines.base import Engine
from mesh.worker.engines.exllamav2 import start
from tests.worker.engine_contract import TokenEngineContract


class TestContract(TokenEngineContract):
    LONG = "Say A"
    SHORT = "What is 0 + 1?"
    DRAFT = ""

    @pytest.fixture(autouse=True)
    def _model(self, chain: Path) -> None:
        self.path = chain

    async def load(self, slots: int) -> Engine:
        settings = WorkerSettings(slots=slots, draft=self.DRAFT)
        return await start.load(self.path, settings)


class TestContractWithNgrams(TestContract):
    DRAFT = "ngram"


class TestContractWithADraftModel(TestContract):
    """It guesses right also where an answer ends."""

    @pytest.fixture(autouse=True)
    def _draft(self, chain: Path) -> None:
        self.DRAFT = str(chain)
