"""The messages of the mesh, as frozen tagged Structs. JSON on the wire.

Within a protocol version fields are only added, with defaults; an unknown field is ignored, an
unknown tag is an error. Times are Unix seconds, durations are seconds, both floats. How large a
number may be, `mesh.protocol.numbers` says.
"""

from typing import Literal

from msgspec import Struct
from msgspec.structs import force_setattr

from mesh.protocol.errors import ErrorCode
from mesh.protocol.grammar import Grammar
from mesh.protocol.hardware import Load, Machine
from mesh.protocol.numbers import Finite, Moment, Number, Small, seconds, tokens
from mesh.protocol.subjects import Priority


class Wire(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The base of everything that travels: frozen, by keyword, defaults left out."""


# --- what is asked --------------------------------------------------------------------------------


class ToolCall(Wire, frozen=True, kw_only=True):
    """A call that the model made. arguments: JSON text of an object, as the model wrote it."""

    id: str
    name: str
    arguments: str


class Tool(Wire, frozen=True, kw_only=True):
    """A function that the model may call. parameters: JSON text of its arguments' JSON Schema;
    strict: the caller asked that arguments match `parameters`; engines with grammars enforce it
    anyway."""

    name: str
    description: str = ""
    parameters: str = "{}"
    strict: bool = False


class Message(Wire, frozen=True, kw_only=True):
    """One turn of a conversation, as the model's chat template sees it.

    tool_calls: what an assistant called, after its content; tool_call_id: the call that the
    content of a tool's message is the outcome of.
    """

    role: Literal["system", "user", "assistant", "tool"]
    content: str
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str = ""


class Sampling(Wire, frozen=True, kw_only=True):
    """How to choose tokens. `None` leaves a value to the engine's default.

    temperature >= 0 (0 is greedy); top_k >= 0 tokens (0 is off); top_p, min_p, typical_p in
    0..1; penalties as in llama.cpp and the OpenAI API; stop: strings that end the answer and
    are never part of it; seed makes a sampled answer repeatable; ignore_eos goes on after the
    model's own end, up to the limit (for measurements); min_tokens: before so many the model may
    not end; logit_bias: by token id, added before choosing; banned_strings never come, whatever
    their case; dry_* punish repetitions by their length, xtc_* leave out likely tokens, both as
    in llama.cpp; logprobs: with each piece its log-probability, and those of so many of the
    likeliest tokens (None: none at all). What an engine cannot do it refuses, if it is asked for.
    """

    temperature: float | None = None
    top_k: int | None = None
    top_p: float | None = None
    min_p: float | None = None
    typical_p: float | None = None
    repetition_penalty: float | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    seed: int | None = None
    stop: tuple[str, ...] = ()
    ignore_eos: bool = False
    min_tokens: int = 0
    logit_bias: dict[int, float] = {}
    banned_strings: tuple[str, ...] = ()
    dry_multiplier: float | None = None
    dry_base: float | None = None
    dry_allowed_length: int | None = None
    xtc_probability: float | None = None
    xtc_threshold: float | None = None
    logprobs: int | None = None


class Request(Wire, frozen=True, kw_only=True):
    """One generation that somebody asked for.

    rid: unguessable id; reply: the address under which its log is kept; tenant: who pays;
    max_tokens: at most so many new tokens (None: what the context leaves); fit: whether an
    over-long conversation is truncated on the left or refused; deadline: Unix time by which it
    has ended; queue_deadline: by which a worker has claimed it, 0: the same; trace: the HTTP
    request's id, for logs; raw: the one message is a text to go on with, no chat template;
    tools: what the model may call; grammar: what the answer has to be a text of; priority: those
    with a higher one come first; weight: the tenant's share of the turns; key: id of the API key;
    store: whether the store may keep the words of the answer; traceparent, tracestate: the HTTP
    request's span in its caller's trace, as W3C's headers of these names say it, "" for none.
    """

    rid: str
    reply: str
    tenant: str
    model: str
    messages: tuple[Message, ...]
    sampling: Sampling = Sampling()
    max_tokens: int | None = None
    fit: Literal["truncate", "refuse"] = "truncate"
    created: Moment
    deadline: Moment
    trace: str = ""
    queue_deadline: Moment = 0.0
    raw: bool = False
    tools: tuple[Tool, ...] = ()
    grammar: Grammar | None = None
    priority: Priority = "normal"
    weight: float = 1.0
    key: str = ""
    store: bool = True
    traceparent: str = ""
    tracestate: str = ""

    @property
    def waits_until(self) -> float:
        """Unix time at which it is given up if nobody has claimed it."""
        return min(self.deadline, self.queue_deadline or self.deadline)


class UserMessage(Wire, frozen=True, kw_only=True):
    """What a person wrote in a chat; travels in the log so that the store can keep it."""

    id: str
    content: str
    parent_id: str | None = None
    created: Moment


class Turn(Wire, frozen=True, kw_only=True):
    """The place of a request in a chat: the answer is the message with the request's rid."""

    chat_id: str
    user_id: str
    user_message: UserMessage
    system_prompt: str = ""
    user_profile: str = ""
    response_instructions: str = ""


class Charge(Wire, frozen=True, kw_only=True):
    """To which of the tenant's clients a request's tokens are charged, and whose of its users."""

    client: str
    user: str = ""


class Prompt(Wire, frozen=True, kw_only=True, tag="prompt"):
    """An item of the queue: the request, and the sequence of its `queued` event to claim on."""

    queued: Number
    request: Request


# --- what happened: the events of a request -------------------------------------------------------


class Usage(Wire, frozen=True, kw_only=True):
    """Tokens counted by the engine. `cached_tokens` of the prompt were not computed anew;
    `reasoning_tokens` of the completion were thoughts, where an upstream tells.

    Counts out of range are clamped to the nearest possible, by whoever makes or reads them.
    """

    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    reasoning_tokens: int = 0

    def __post_init__(self) -> None:
        force_setattr(self, "prompt_tokens", tokens(self.prompt_tokens))
        force_setattr(self, "completion_tokens", tokens(self.completion_tokens))
        force_setattr(self, "cached_tokens", tokens(self.cached_tokens))
        force_setattr(self, "reasoning_tokens", tokens(self.reasoning_tokens))


class Timings(Wire, frozen=True, kw_only=True):
    """Seconds: waiting in the queue, from claim to first token, and from first token to the end.

    gap: the longest between two tokens, None where there were not two or nobody measured it. After
    a take-over they are those of the last worker; `queue` counts from the request. Times
    out of range, as a clock that was set makes them, are clamped to the nearest possible.
    """

    queue: float = 0.0
    first_token: float | None = None
    generate: float = 0.0
    gap: float | None = None

    def __post_init__(self) -> None:
        force_setattr(self, "queue", seconds(self.queue))
        force_setattr(self, "generate", seconds(self.generate))
        if self.first_token is not None:
            force_setattr(self, "first_token", seconds(self.first_token))
        if self.gap is not None:
            force_setattr(self, "gap", seconds(self.gap))


class Seal(Wire, frozen=True, kw_only=True):
    """What the holder of the pen vouches for: pieces, and checksums of their text and ids.

    text: SHA-256 hex of the UTF-8 text; ids: SHA-256 hex of the ids in decimal joined by
    commas, or None where the engine does not give every id.
    """

    count: Number
    text: str
    ids: str | None = None


class Event(Wire, frozen=True, kw_only=True):
    """Base of the events. `uid` is unique per append, so a writer can recognise its own."""

    uid: str


Thoughts = Literal["none", "marked", "begun"]
"""How the thoughts of an answer are marked in its text: not at all; by `<think>` and `</think>`; or
by the latter alone, because the prompt has opened them."""


class Queued(Event, frozen=True, kw_only=True, tag="queued"):
    """The request was accepted: the anchor of its story and of its idempotency key.

    `body` is a digest of what was asked, so that the same key with another body is noticed; `note`
    is what the route that took it wants to find again, in its own words; `charge`: who pays;
    `thoughts`: how the model marks them, None where nobody said.
    """

    request: Request
    turn: Turn | None = None
    body: str = ""
    note: str = ""
    charge: Charge | None = None
    thoughts: Thoughts | None = None


class Claim(Event, frozen=True, kw_only=True, tag="claim"):
    """A worker takes the pen with the next `n`; or a gateway, to end what nobody has ended in time,
    which repeats what else the claim before says.

    item: the queue item's stream sequence; fingerprint: of the worker's tokenizer and weights;
    lost: the holder before is gone without a word, and has not given it back; failures: so many of
    the claims before it ended because their engine had failed (None: whoever claims does not say).
    """

    n: Number
    item: Number
    ack_reply: str
    model: str
    fingerprint: str = ""
    lost: bool = False
    failures: Number | None = None


class Cancel(Event, frozen=True, kw_only=True, tag="cancel"):
    """Somebody asked to stop; whoever holds the request, now or later, ends it as cancelled.

    by: who, in words for people; withdrawn: a gateway took it back, because others that belong to
    it were refused, so that it counts for nothing.
    """

    by: str = ""
    withdrawn: bool = False


class Terminal(Event, frozen=True, kw_only=True):
    """What the three ends have in common. `seal` is there if the pen's holder wrote it, and knows
    what was written before. n: of the claim it was written under, 0: none."""

    text: str = ""
    usage: Usage = Usage()
    timings: Timings = Timings()
    seal: Seal | None = None
    n: Number = 0


class Done(Terminal, frozen=True, kw_only=True, tag="done"):
    """The answer is whole. `truncated` counts the messages left out so that it would fit."""

    finish: Literal["stop", "length"]
    truncated: Small = 0


class Failed(Terminal, frozen=True, kw_only=True, tag="failed"):
    """There will be no more; `text` is what there was.

    poison: it is not to be tried on a further worker, and is kept as a dead letter; retry_after:
    seconds after which to ask anew, of what no worker took in time.
    """

    code: ErrorCode
    detail: str = ""
    param: str | None = None
    poison: bool = False
    retry_after: Finite | None = None


class Cancelled(Terminal, frozen=True, kw_only=True, tag="cancelled"):
    """Stopped because somebody asked."""


class Deleted(Event, frozen=True, kw_only=True, tag="deleted"):
    """Behind the end: who asked wants the answer found no more. The log itself is not edited."""


RunEvent = Queued | Claim | Cancel | Done | Failed | Cancelled | Deleted
End = Done | Failed | Cancelled


# --- tokens ---------------------------------------------------------------------------------------


class Entry(Struct, frozen=True, array_like=True, gc=False):
    """Consecutive pieces of one answer, written under claim `n`, the first being piece `index`.

    A piece is the text that became certain with one engine step: usually one token; more than
    one where a character or a possible stop string had to be waited for. `ids[k]` are the token
    ids of `texts[k]`; `ids` is None where the engine does not give them.
    """

    rid: str
    n: Number
    index: Number
    texts: list[str]
    ids: list[tuple[int, ...]] | None = None


class Odds(Struct, frozen=True, array_like=True, gc=False):
    """How likely a piece was, as a natural logarithm: of its tokens together.

    top: the likeliest tokens in the place of its last one, and their logarithms, best first.
    """

    logprob: float
    top: tuple[tuple[str, float], ...] = ()


class Frame(Struct, frozen=True, tag="frame", gc=False, omit_defaults=True):
    """One message of tokens: what an engine yielded, for all requests of one reply address.

    odds: where some request asked for them, a list for each entry: one for each of its texts, or
    none where nobody asked.
    """

    entries: list[Entry]
    odds: list[list[Odds]] = []

    def odds_of(self, at: int) -> list[Odds]:
        """The odds of entry `at`, one for each of its texts; none, if they are not as many."""
        found = self.odds[at] if at < len(self.odds) else []
        return found if len(found) == len(self.entries[at].texts) else []


# --- the fleet ------------------------------------------------------------------------------------


class ModelCard(Wire, frozen=True, kw_only=True):
    """A model as a worker serves it. Equal fingerprints: same tokenizer, same weights.

    size: bytes on disk; memory: bytes of GPU memory, as the engine reckons; 0: unknown.

    abilities: what not every engine can: `mesh.protocol.abilities` lists them.
    """

    name: str
    fingerprint: str
    engine: str
    context_length: Number
    size: Number = 0
    memory: Number = 0
    abilities: tuple[str, ...] = ()


WorkerState = Literal["serving", "resting", "loading", "unloading", "unloaded"]


class WorkerInfo(Wire, frozen=True, kw_only=True, tag="worker"):
    """A worker's presence, renewed every few seconds; gone, it is dead or cut off.

    slots: requests it can work on at once; speed: tokens per second over the last seconds, all
    requests together; hardware: name of the GPU or CPU, for people; memory: bytes of the process.
    models: what it takes requests for now, those of a model that rests included: the next request
    loads it again. target: the model that is being loaded; trouble: why the last one was not;
    changes: how often its model was changed, or could not be. lanes: it takes prompts from lanes;
    machine, load: what it runs on.
    """

    name: str
    inc: str
    protocol: Number
    version: str
    models: tuple[ModelCard, ...]
    slots: Number
    running: Number = 0
    speed: Finite = 0.0
    draining: bool = False
    started: Moment
    host: str = ""
    pid: Number = 0
    hardware: str = ""
    state: WorkerState = "serving"
    target: str = ""
    trouble: str = ""
    changes: Number = 0
    memory: Number = 0
    lanes: bool = False
    machine: Machine | None = None
    load: Load | None = None


class WorkerStarted(Event, frozen=True, kw_only=True, tag="worker_started"):
    """A worker process is ready to serve."""

    info: WorkerInfo


class WorkerStopped(Event, frozen=True, kw_only=True, tag="worker_stopped"):
    """A worker process left in good order."""

    name: str
    inc: str
    reason: str = ""


class WorkerLost(Event, frozen=True, kw_only=True, tag="worker_lost"):
    """A gateway noticed that a worker's presence ended without a goodbye."""

    name: str
    inc: str


FleetEvent = WorkerStarted | WorkerStopped | WorkerLost
LogEvent = RunEvent | FleetEvent


# --- orders and questions -------------------------------------------------------------------------


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
    asks has had it, and a worker is there for it that has not.
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


# --- dead letters ---------------------------------------------------------------------------------


class Attempt(Wire, frozen=True, kw_only=True):
    """One claim on a request. at: Unix time; lost: the holder before it was gone without a word."""

    n: Number
    worker: str
    inc: str
    at: Moment
    lost: bool = False


class DeadLetter(Wire, frozen=True, kw_only=True, tag="dead_letter"):
    """A request that is not tried again, all that was asked with it, and its history.

    at: Unix time of its end; why: a sentence; text: what there was of the answer. note and
    charge: as it was queued.
    """

    request: Request
    turn: Turn | None = None
    at: float
    why: str
    text: str = ""
    attempts: tuple[Attempt, ...] = ()
    note: str = ""
    charge: Charge | None = None


class LetterGone(Wire, frozen=True, kw_only=True, tag="letter_gone"):
    """In the place of a dead letter that was dropped, or asked again under a new id."""

    asked_again_as: str = ""
    at: float


Letter = DeadLetter | LetterGone


class AskAgain(Wire, frozen=True, kw_only=True, tag="ask_again"):
    """Ask a gateway to queue a dead letter's request as a new one."""

    rid: str


class AskedAgain(Wire, frozen=True, kw_only=True, tag="asked_again"):
    """It was queued, under this id."""

    rid: str


AskAgainReply = AskedAgain | Refused
OrderReply = Accepted | Refused
HelloReply = Welcome | Refused
ResumeReply = RunStatus | Refused
