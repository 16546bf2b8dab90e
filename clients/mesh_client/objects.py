"""What the gateway's JSON becomes: frozen Structs. Nothing in here asks the gateway for anything.

Unknown fields are ignored and what an older gateway leaves out has a default, so a client and a
gateway of neighbouring versions understand each other.
"""

from datetime import datetime
from typing import Literal

from msgspec import Struct

MessageState = Literal[
    "manual", "pending", "in_progress", "complete", "aborted_by_worker", "cancelled", "timeout"
]

UNFINISHED = ("pending", "in_progress")


class Reply(Struct, frozen=True, kw_only=True):
    """The base of all that the gateway answers with."""


class Usage(Reply, frozen=True, kw_only=True):
    """Tokens as the engine counted them."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0


class Timings(Reply, frozen=True, kw_only=True):
    """Seconds in the queue, from claim to first token, and from first token to the end."""

    queue: float = 0.0
    first_token: float | None = None
    generate: float = 0.0


class ModelConfig(Reply, frozen=True, kw_only=True):
    """The model that an answer was asked of."""

    model_id: str = ""


class WorkParameters(Reply, frozen=True, kw_only=True):
    """How an answer was asked for."""

    model_config: ModelConfig = ModelConfig()


class Message(Reply, frozen=True, kw_only=True):
    """A node of a chat's tree: what a person wrote (prompter) or an answer (assistant).

    finish: why a whole answer ended, `stop` or `length` (cut off at the limit of tokens);
    truncated: messages that were left out so that it would fit, one that was cut included; error,
    error_code: why a failed one failed; worker: who wrote it; attempts: how often a worker took it
    up.
    """

    id: str
    role: Literal["prompter", "assistant"]
    state: MessageState
    chat_id: str = ""
    parent_id: str | None = None
    created_at: datetime | None = None
    content: str | None = None
    score: int = 0
    finish: str | None = None
    truncated: int = 0
    error: str | None = None
    error_code: str | None = None
    worker: str | None = None
    attempts: int = 0
    usage: Usage | None = None
    timings: Timings | None = None
    work_parameters: WorkParameters | None = None

    @property
    def beyond_context(self) -> str:
        """What did not fit into the model's context, as a sentence; "" where all did."""
        if not self.truncated:
            return ""
        some = "1 message" if self.truncated == 1 else f"{self.truncated} messages"
        return f"{some} did not fit into the model's context, wholly or in part."

    @property
    def model(self) -> str:
        """The model of an answer; "" of what a person wrote."""
        return self.work_parameters.model_config.model_id if self.work_parameters else ""

    @property
    def unfinished(self) -> bool:
        """Whether tokens may still come."""
        return self.state in UNFINISHED


class ChatInfo(Reply, frozen=True, kw_only=True):
    """A chat without its messages, as lists show it."""

    id: str
    title: str | None = None
    created_at: datetime | None = None
    modified_at: datetime | None = None
    hidden: bool = False
    allow_data_use: bool = True
    active_thread_tail_message_id: str | None = None


class ChatTree(ChatInfo, frozen=True, kw_only=True):
    """A chat with all of its messages; `parent_id` makes them a tree."""

    messages: tuple[Message, ...] = ()


class ChatPage(Reply, frozen=True, kw_only=True):
    """Some chats, newest first; `next` is the cursor of the older ones."""

    chats: tuple[ChatInfo, ...] = ()
    next: str | None = None
    prev: str | None = None


class Exchange(Reply, frozen=True, kw_only=True):
    """What posting a message gives back: the message, and the answer that was begun."""

    prompter_message: Message
    assistant_message: Message


class CancelReply(Reply, frozen=True, kw_only=True):
    """The acknowledged end of a cancelled answer."""

    cancelled: bool = False
    tokens: int = 0
    state: str = "cancelled"


class Stop(Struct, frozen=True, kw_only=True):
    """How a cancel ended, with the seconds that it took until the end was acknowledged.

    state: `cancelled`, or what the answer had become before the cancel arrived.
    """

    tokens: int
    state: str
    seconds: float

    def __str__(self) -> str:
        if self.state not in ("cancelled", *UNFINISHED):
            return f"it had ended already, after {self.tokens} tokens"
        return f"stopped after {self.tokens} tokens (freed in {round(self.seconds * 1000)} ms)"


class Model(Reply, frozen=True, kw_only=True):
    """A model of the mesh. available: a worker serves it now; context_length in tokens; engine:
    what it runs on there, `openai` for a model of another service."""

    id: str
    owned_by: str = ""
    available: bool = True
    context_length: int | None = None
    engine: str | None = None


class ModelList(Reply, frozen=True, kw_only=True):
    """The OpenAI shape of a list of models."""

    data: tuple[Model, ...] = ()


class Worker(Reply, frozen=True, kw_only=True):
    """A worker as it announces itself; speed in tokens per second over all its requests."""

    name: str
    models: tuple[str, ...] = ()
    slots: int = 0
    running: int = 0
    speed: float = 0.0
    draining: bool = False
    hardware: str = ""


class WorkerList(Reply, frozen=True, kw_only=True):
    """The workers that are there now."""

    workers: tuple[Worker, ...] = ()


class WorkerEvent(Reply, frozen=True, kw_only=True):
    """One thing that happened to a worker, by the broker's clock."""

    at: datetime
    worker: str
    kind: str
    detail: str = ""


class WorkerEventList(Reply, frozen=True, kw_only=True):
    """The last events of workers, oldest first."""

    events: tuple[WorkerEvent, ...] = ()


class CancelToken(Reply, frozen=True, kw_only=True):
    """What stops one answer, once, without a sign-in. expires_at: Unix seconds."""

    cancel_token: str
    expires_at: float


class Bearer(Reply, frozen=True, kw_only=True):
    """One token as the login routes wrap it."""

    access_token: str
    token_type: str = "bearer"


class Renewed(Reply, frozen=True, kw_only=True):
    """A new access token, and the refresh token for the next time; null: the same again."""

    access_token: str
    refresh_token: Bearer | None = None


class Account(Reply, frozen=True, kw_only=True):
    """Somebody with an account: whom `provider` knows as `account`; role: user, operator, admin."""

    id: str
    provider: str
    account: str
    display_name: str
    role: str


class TokenPair(Reply, frozen=True, kw_only=True):
    """What a login gives: a short-lived access token and a refresh token."""

    access_token: Bearer
    refresh_token: Bearer
