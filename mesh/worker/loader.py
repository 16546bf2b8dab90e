"""The engine that a worker drives now: loaded, put away while nobody asks, changed for another.

Is an engine itself, so desk and answers need not know which one is behind it. Whoever changes it
sees to it that no answer is under way; what is offered to the mesh is `mesh.worker.offer`'s affair.
"""

import asyncio
import logging
from contextlib import suppress

from mesh.protocol.errors import MeshError
from mesh.settings import WorkerSettings
from mesh.worker.engines import choose
from mesh.worker.engines.base import Engine, EngineBroken, EngineError, EngineInfo, Job, Reader
from mesh.worker.engines.embedding import Embedder, Embedding

log = logging.getLogger(__name__)


class Loader:
    """One engine at a time, or none. Make it with `start`."""

    def __init__(self, engine: Engine, settings: WorkerSettings) -> None:
        self.settings = settings
        self._engine: Engine | None = engine
        self._info = engine.info
        self._changing = asyncio.Lock()
        self._loading: asyncio.Task[Engine] | None = None

    @classmethod
    async def start(cls, settings: WorkerSettings) -> "Loader":
        """Load the model that the settings name. Raises MeshError."""
        return cls(await choose.load(settings), settings)

    # --- an engine like others --------------------------------------------------------------------

    @property
    def info(self) -> EngineInfo:
        """Of the model that is loaded, or was last."""
        return self._info

    def encode(self, text: str) -> list[int]:
        return self._loaded().encode(text)

    async def embed(self, text: str) -> Embedding:
        engine = self._loaded()
        if not isinstance(engine, Embedder):
            raise EngineError("This engine makes no embeddings.")
        return await engine.embed(text)

    async def generate(self, job: Job, reader: Reader) -> None:
        await self._loaded().generate(job, reader)

    async def close(self) -> None:
        """Free everything, also what is only just being loaded: a library cannot be interrupted.

        Raises EngineBroken when the engine does not end.
        """
        if self._loading is not None:
            with suppress(MeshError):
                self._engine = await self._loading
        await self._free()

    # --- which engine -----------------------------------------------------------------------------

    @property
    def loaded(self) -> bool:
        return self._engine is not None

    @property
    def loading(self) -> bool:
        return self._loading is not None

    async def ready(self) -> None:
        """Have the last model again, if it was put away. Raises MeshError when it will not load."""
        if self._engine is not None:
            return
        async with self._changing:
            if self._engine is None:
                await self._load(self.settings)

    async def change(self, settings: WorkerSettings) -> None:
        """Load another model in the place of the present one.

        Raises MeshError when it will not load; then none is loaded; EngineBroken when the present
        one does not end.
        """
        async with self._changing:
            await self._free()
            await self._load(settings)

    async def put_away(self) -> None:
        """Free the memory; `ready` loads the same model again. Raises EngineBroken when the engine
        does not end."""
        async with self._changing:
            await self._free()

    async def _load(self, settings: WorkerSettings) -> None:
        self._loading = asyncio.create_task(choose.load(settings))
        try:
            engine = await asyncio.shield(self._loading)
        except Exception:
            self._loading = None
            raise
        self._loading = None
        self._engine, self._info, self.settings = engine, engine.info, settings

    async def _free(self) -> None:
        engine, self._engine = self._engine, None
        if engine is None:
            return
        try:
            async with asyncio.timeout(self.settings.stall_limit):
                await engine.close()
        except TimeoutError:
            raise EngineBroken("The engine does not end: a step of it hangs.") from None

    def _loaded(self) -> Engine:
        if self._engine is None:
            raise EngineError("The model is not loaded just now.")
        return self._engine
