"""What is asked of a worker that makes embeddings. One text a message: answers stay small, and the
texts of one HTTP request are shared by all workers of the model.
"""

from msgspec.structs import force_setattr

from mesh.protocol import numbers
from mesh.protocol.questions import Refused
from mesh.protocol.wire import Wire


class Embed(Wire, frozen=True, kw_only=True, tag="embed"):
    """Ask a worker for the embedding of a text. model: the one to make it, for the worker may have
    been given another since; "": whichever it has."""

    text: str
    model: str = ""


class Embedded(Wire, frozen=True, kw_only=True, tag="embedded"):
    """A text's embedding. vector: little-endian 32-bit floats, of length 1 all together; tokens:
    how many the text has, or the nearest number that can be meant."""

    vector: bytes = b""
    tokens: int = 0

    def __post_init__(self) -> None:
        force_setattr(self, "tokens", numbers.tokens(self.tokens))


EmbedReply = Embedded | Refused
