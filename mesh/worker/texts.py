"""Answers what a text is to the model, outside of any request: its tokens, or its embedding."""

import asyncio
from collections.abc import Awaitable, Callable

from mesh.protocol.codec import decode_text_question
from mesh.protocol.embeddings import Embed, Embedded
from mesh.protocol.errors import ErrorCode, MeshError
from mesh.protocol.questions import Encoded
from mesh.worker.desk import NotReady
from mesh.worker.engines.base import EngineError
from mesh.worker.loader import Loader


class Texts:
    """ready: has the model loaded, where it rests; an embedding is worth that, a count is not."""

    def __init__(self, loader: Loader, ready: Callable[[], Awaitable[None]]) -> None:
        self._loader = loader
        self._ready = ready

    async def answer(self, subject: str, data: bytes) -> Encoded | Embedded:
        """Raises MeshError: no_worker where another may do, context_overflow."""
        asked = decode_text_question(data)
        try:
            if isinstance(asked, Embed):
                await self._ready()
                self._check_model(asked.model)
                found = await self._loader.embed(asked.text)
                return Embedded(vector=found.vector, tokens=found.tokens)
            return Encoded(ids=tuple(await asyncio.to_thread(self._loader.encode, asked.text)))
        except NotReady as error:
            raise MeshError(ErrorCode.NO_WORKER, "The model would not load.") from error
        except EngineError as error:
            raise MeshError(ErrorCode.NO_WORKER, str(error)) from error

    def _check_model(self, asked: str) -> None:
        """Raise EngineError if another model has taken the place of the one that is asked."""
        if asked not in ("", self._loader.info.model):
            raise EngineError(f"This worker serves {self._loader.info.model} now.")
