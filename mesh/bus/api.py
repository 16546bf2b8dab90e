"""What JetStream's API answers, and why it refuses (ADR-1 and the broker's list of errors)."""

import msgspec
from msgspec import Struct, field

from mesh.bus.connection import BusError
from mesh.bus.stored import Raw

WRONG_LAST = 10071
TRANSIENT_LAST = 10164
STORE_FAILED = 10077
NO_LEADER = 10008
LEADERLESS = frozenset({NO_LEADER, 10009})
"""What is said where no leader is known, by a cluster or by a node that has lost it."""

UNDECIDED = frozenset({10158, TRANSIENT_LAST})
"""What a leader says of an earlier try, also one that nobody follows any more."""

UNDER_WAY = frozenset({NO_LEADER, 10158})
"""What a cluster says of an append while it has no leader, or is not done with an earlier try."""

NOT_FOUND = 10037
NO_STREAM = 10059


class ApiError(BusError):
    """JetStream refused. `code` is its err_code; `found` the last sequence it names, or None."""

    def __init__(self, code: int, description: str) -> None:
        super().__init__(f"{description} ({code})")
        self.code = code
        self.description = description
        tail = description.rpartition(": ")[2]
        self.found = int(tail) if code == WRONG_LAST and tail.isdigit() else None


class Error(Struct):
    err_code: int = 0
    description: str = ""


class Ack(Struct):
    error: Error | None = None
    seq: int = 0


class Nodes(Struct):
    leader: str = ""


class AnyAnswer(Struct):
    """What any answer may begin with. cluster: the nodes of what was asked about, where there are
    several. Where these have lost one another each tells of it for itself, and names no leader."""

    error: Error | None = None
    cluster: Nodes | None = None

    @property
    def leaderless(self) -> bool:
        return self.cluster is not None and not self.cluster.leader


class Get(Struct):
    error: Error | None = None
    message: Raw | None = None


class StreamState(Struct):
    messages: int = 0
    bytes: int = 0
    first_seq: int = 0
    last_seq: int = 0
    subjects: dict[str, int] = field(default_factory=dict)


class StreamConfig(Struct):
    name: str
    subjects: list[str] = field(default_factory=list)
    max_bytes: int = -1
    max_msgs: int = -1
    max_age: int = 0
    max_msgs_per_subject: int = -1


class StreamInfo(Struct):
    """What the broker says of a stream. `created` identifies it: a new stream has a new one.

    ts: the broker's clock when it said so; cluster: its nodes, where there are several.
    """

    config: StreamConfig
    state: StreamState
    created: str
    ts: str = ""
    cluster: Nodes | None = None
    error: Error | None = None


class ConsumerInfo(Struct):
    """What the broker says of a consumer: waiting, handed out and not yet acknowledged."""

    name: str
    num_pending: int = 0
    num_ack_pending: int = 0
    error: Error | None = None


class Names(Struct):
    """Of consumers, or of streams. None: there are none."""

    consumers: list[str] | None = None
    streams: list[str] | None = None
    error: Error | None = None


def refusal(answer: bytes) -> ApiError | None:
    """Why JetStream refuses, by an answer of its API; None where it does not."""
    return refused(msgspec.json.decode(answer, type=AnyAnswer).error)


def refused(error: Error | None) -> ApiError | None:
    return None if error is None else ApiError(error.err_code, error.description)
