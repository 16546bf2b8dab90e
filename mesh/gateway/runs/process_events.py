"""How `POST /api/messages/process` tells a run: its id, what is said, and one of two words.

Thoughts and calls are not told: whoever wants them reads the run's own events.
"""

import msgspec
from msgspec import Struct

from mesh.gateway.openai.speech import Speech
from mesh.protocol.run import Run
from mesh.protocol.tool_story import ToolStory
from mesh.protocol.tools import RunOver

DONE, ERROR = b"data: [DONE]\n\n", b"data: [ERROR]\n\n"

_encode = msgspec.json.Encoder().encode


class RunId(Struct):
    """The first event."""

    run_id: str


class Chunk(Struct):
    """A piece of the answer."""

    chunk: str


class Telling:
    """The voice of this route. All answers of a run that calls tools are one to its reader."""

    def __init__(self, run_id: str) -> None:
        self._first = b"data: %b\n\n" % _encode(RunId(run_id))

    def first(self) -> bytes:
        """The first event, once."""
        first, self._first = self._first, b""
        return first

    def answer(self, speech: Speech, first: int, after: int) -> "Part":
        return Part(self, speech)

    def waits(self, story: ToolStory) -> bytes:
        return self.first()

    def over(self, over: RunOver) -> bytes:
        return self.first() + (DONE if over.state == "completed" else ERROR)

    def parting(self) -> bytes:
        return ERROR


class Part:
    """The events of one answer."""

    def __init__(self, telling: Telling, speech: Speech) -> None:
        self._telling = telling
        self._speech = speech

    def tokens(self, run: Run, index: int, upto: int) -> bytes:
        texts = run.pieces(index, upto)
        said = b"".join(_chunk(self._speech.feed(text).content) for text in texts)
        return self._telling.first() + said

    def end(self, run: Run) -> bytes:
        return _chunk(self._speech.finish().content)

    def tick(self, run: Run) -> bytes:
        return self._telling.first()


def _chunk(content: str) -> bytes:
    return b"data: %b\n\n" % _encode(Chunk(content)) if content else b""
