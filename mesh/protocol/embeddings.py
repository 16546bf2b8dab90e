"""What is asked of a worker that makes embeddings. One text a message: answers stay small, and the
texts of one HTTP request are shared by all workers of the model.
"""

from mesh.protocol.messages import Refused, Wire


class Embed(Wire, frozen=True, kw_only=True, tag="embed"):
    """Ask a worker for the embedding of a text. model: the one to make it, for the worker may have
    been given another since; "": whichever it has."""

    text: str
    model: str = ""


class Embedded(Wire, frozen=True, kw_only=True, tag="embedded"):
    """A text's embedding. vector: little-endian 32-bit floats, of length 1 all together; tokens:
    how many the text has."""

    vector: bytes = b""
    tokens: int = 0


EmbedReply = Embedded | Refused
