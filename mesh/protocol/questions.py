"""Orders to workers, and what processes ask one another; each with its answer."""

from msgspec import Struct

from mesh.protocol.errors import ErrorCode
from mesh.protocol.numbers import Number
from mesh.protocol.wire import Wire


class CancelRun(Wire, frozen=True, kw_only=True, tag="cancel_run"):
    """Tell the holder of a request to look at its log: a cancel stands there."""

    rid: str


class Drain(Wire, frozen=True, kw_only=True, tag="drain"):
    """Take no new requests, finish or hand over the running ones, then exit."""

    grace: float = 30.0


class LoadModel(Wire, frozen=True, kw_only=True, tag="load_model"):
    """Serve this model from now on, instead of the present one.

    model: as in the worker's own setting, on its machine; "": the one it was started with; engine:
    "" for the one in its settings; name: under which it is offered, "": its own; grace: seconds in
    which answers under way may be finished before they are handed over.
    """

    model: str = ""
    engine: str = ""
    name: str = ""
    grace: float = 30.0


class UnloadModel(Wire, frozen=True, kw_only=True, tag="unload_model"):
    """Serve nothing until the next order, but stay. grace as in LoadModel."""

    grace: float = 30.0


class Accepted(Wire, frozen=True, kw_only=True, tag="accepted"):
    """The order was taken. To load or unload is done once `WorkerInfo.changes` reaches `change`."""

    change: int = 0


Order = CancelRun | Drain | LoadModel | UnloadModel


class Ask(Wire, frozen=True, kw_only=True, tag="ask"):
    """Ask a worker whether it works on a request, before its claim is taken over."""

    rid: str


class Alive(Wire, frozen=True, kw_only=True, tag="alive"):
    """The answer: it lives. holding: it works on that request; handed_over: it does no more, and
    has left it to others through no fault of its engine."""

    holding: bool
    handed_over: bool = False


class Taken(Wire, frozen=True, kw_only=True, tag="taken"):
    """A worker took prompts from the queue: of each the lane, and the weight of its tenant."""

    turns: tuple[tuple[str, float], ...]


class Encode(Wire, frozen=True, kw_only=True, tag="encode"):
    """Ask a worker for the tokens of a text, as its model would read it as it stands."""

    text: str


class Encoded(Wire, frozen=True, kw_only=True, tag="encoded"):
    """Their ids."""

    ids: tuple[int, ...] = ()


class Resume(Wire, frozen=True, kw_only=True, tag="resume"):
    """Ask the gateways how a request stands; with `prefix`, for the text before one's claim."""

    rid: str
    prefix: bool = False


class Loss(Struct, frozen=True, array_like=True):
    """A holder of a request, as NAME.INCARNATION, that was gone without a word; place: how many
    pieces there were."""

    holder: str
    place: Number


class RunStatus(Wire, frozen=True, kw_only=True, tag="run_status"):
    """How a request stands in the log.

    last: sequence of its last event, 0 when the log has none (expired); n, claimant, item,
    claim_uid: of the latest claim (n = 0: none); cancel: a cancel was asked for; end: the tag of
    the terminal event or "", end_uid its uid. texts and ids: the pieces before the latest claim,
    given only to the worker whose claim it is; fingerprints: of all claims, in order; left: the
    claimant has said goodbye; in_order: and its engine was well; failures: so many of the claims
    before the latest ended because their engine had failed, None where the gateway does not say or
    there is no claim; losses: with the prefix, who was lost, in order; lost: how many of these at
    the last one's place; lost_in_all: how many. Older gateways give these two alone. aside: who
    asks has had it, and a worker is there for it that has not. parted: so many seconds ago the
    broker said that the claimant's connection had ended; None: this gateway heard nothing of it.
    """

    last: Number
    n: Number = 0
    claimant: str = ""
    item: Number = 0
    claim_uid: str = ""
    cancel: bool = False
    end: str = ""
    end_uid: str = ""
    texts: tuple[str, ...] = ()
    ids: tuple[tuple[int, ...], ...] | None = ()
    fingerprints: tuple[str, ...] = ()
    left: bool = False
    lost: int = 0
    in_order: bool = False
    failures: int | None = None
    lost_in_all: int = 0
    losses: tuple[Loss, ...] = ()
    aside: bool = False
    parted: float | None = None


class Hello(Wire, frozen=True, kw_only=True, tag="hello"):
    """A worker asks to join and names what it would serve."""

    protocol: int
    version: str
    models: tuple[str, ...]


class Welcome(Wire, frozen=True, kw_only=True, tag="welcome"):
    """The worker may pull: its models' consumers exist. ack_wait is in seconds; now: the time by
    which deadlines are kept, 0.0 where the gateway does not say."""

    ack_wait: float
    now: float = 0.0


class Refused(Wire, frozen=True, kw_only=True, tag="refused"):
    """A question could not be granted. retry_after: seconds after which it may be; param: what in
    it is at fault."""

    code: ErrorCode
    detail: str = ""
    retry_after: float | None = None
    param: str | None = None


EncodeReply = Encoded | Refused
OrderReply = Accepted | Refused


HelloReply = Welcome | Refused


ResumeReply = RunStatus | Refused
