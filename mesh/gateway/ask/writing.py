"""Writes what `POST /v1/ask` answers, as one object and as a stream of chunks. Pure."""

from collections.abc import Callable
from typing import Literal

import msgspec

from mesh.gateway.ask.shapes import Answer, Choice, Chunk, ChunkChoice, Delta, Said, Usage
from mesh.gateway.errors import AskError
from mesh.gateway.openai.completion import failure
from mesh.protocol.errors import MeshError
from mesh.protocol.events import Done
from mesh.protocol.request import Request
from mesh.protocol.run import Run

_encode = msgspec.json.Encoder().encode

DONE = b"data: [DONE]\n\n"


def whole(request: Request, run: Run, end: Done) -> bytes:
    """A finished answer as one object."""
    used = end.usage
    together = used.prompt_tokens + used.completion_tokens
    return _encode(
        Answer(
            id=f"chatcmpl-{request.rid}",
            object="chat.completion",
            created=int(request.created),
            model=request.model,
            usage=Usage(used.prompt_tokens, used.completion_tokens, together),
            choices=[Choice(Said("assistant", run.text), end.finish, 0)],
        )
    )


class AskDialect:
    """The events of a streamed answer.

    One that did not come to its end has neither a last chunk nor `[DONE]`, but says why. `ended` is
    called with it when its end is being written.
    """

    def __init__(self, request: Request, ended: Callable[[Run], None]) -> None:
        self._request = request
        self._ended = ended
        self._opened = False

    def tokens(self, run: Run, index: int, upto: int) -> bytes:
        texts = run.pieces(index, upto)
        return self._opening() + b"".join(self._chunk(Delta(content=text)) for text in texts)

    def end(self, run: Run) -> bytes:
        self._ended(run)
        if not isinstance(run.end, Done):
            return error_event(failure(run.end))
        return self._opening() + self._chunk(Delta(), run.end.finish) + DONE

    def tick(self, run: Run) -> bytes:
        return b""

    def _opening(self) -> bytes:
        if self._opened:
            return b""
        self._opened = True
        return self._chunk(Delta(role="assistant"))

    def _chunk(self, delta: Delta, finish: Literal["stop", "length"] | None = None) -> bytes:
        request = self._request
        chunk = Chunk(
            id=f"chatcmpl-{request.rid}",
            object="chat.completion.chunk",
            created=int(request.created),
            model=request.model,
            choices=[ChunkChoice(delta, 0, finish)],
        )
        return b"data: %b\n\n" % _encode(chunk)


def error_event(error: MeshError) -> bytes:
    """The last event of an answer that broke off."""
    return b"data: %b\n\n" % _encode(AskError(error.detail))
