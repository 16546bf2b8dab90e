"""What a backup says of itself, and what its pieces are called. Reads and writes nothing."""

from msgspec import Raw, Struct

from mesh.protocol import subjects
from mesh.store.copy import Kept

FORMAT = 1
MANIFEST = "manifest.json"

DATABASE = "mesh.db"
SECRETS = ("token.key", "broker/secrets.json", "broker/tls/cert.pem", "broker/tls/key.pem")
"""What keeps people signed in, idempotency keys known and workers joined: files of a data folder,
as far as there are such."""

STREAMS = (
    subjects.LEASES_STREAM,
    subjects.DLQ_STREAM,
    subjects.REQ_STREAM,
    subjects.RUN_STREAM,
)
"""In the order in which they are taken: the log last, so that it has all that the others speak of.

Two are not kept. Who is present lives in the broker's memory, and each worker says it again; what
gateways know of accounts the store writes anew out of its database.
"""


class Piece(Struct, frozen=True, kw_only=True):
    """One file. sha256: in hexadecimal."""

    name: str
    bytes: int
    sha256: str


class Stream(Struct, frozen=True, kw_only=True):
    """One stream. created identifies it; the numbers are of the moment its snapshot was begun.

    config: its configuration, in the broker's words.
    """

    name: str
    created: str
    messages: int
    first_seq: int
    last_seq: int
    config: Raw


class Manifest(Struct, frozen=True, kw_only=True):
    """What a backup is. mesh and broker: their versions; at: Unix time at which it was begun;
    models: those that were known."""

    format: int = FORMAT
    mesh: str
    protocol: int
    broker: str
    at: float
    database: Kept
    streams: tuple[Stream, ...]
    models: tuple[str, ...]
    pieces: tuple[Piece, ...]

    @property
    def bytes(self) -> int:
        return sum(piece.bytes for piece in self.pieces)

    def has(self, name: str) -> bool:
        return any(piece.name == name for piece in self.pieces)


def snapshot_of(stream: str) -> str:
    """The name of a stream's piece."""
    return f"streams/{stream}.snapshot"
