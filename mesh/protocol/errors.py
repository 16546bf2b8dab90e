"""The one enum of error codes that crosses the wire, each with the sentence people read.

How a code looks over HTTP or in a terminal is not decided here: the gateway and the clients
each have one place for that.
"""

from enum import StrEnum


class ErrorCode(StrEnum):
    """Why something was refused or failed. The value is what travels."""

    # The request itself.
    BAD_REQUEST = "bad_request"
    EMPTY_PROMPT = "empty_prompt"
    TOO_LARGE = "too_large"
    CONTEXT_OVERFLOW = "context_overflow"
    UNSUPPORTED = "unsupported"
    MODEL_NOT_FOUND = "model_not_found"
    NOT_FOUND = "not_found"
    CONFLICT = "conflict"
    CHAT_FULL = "chat_full"
    NOT_IMPLEMENTED = "not_implemented"

    # Who asks.
    NOT_AUTHENTICATED = "not_authenticated"
    INVALID_TOKEN = "invalid_token"
    TOKEN_EXPIRED = "token_expired"
    FORBIDDEN = "forbidden"
    RATE_LIMITED = "rate_limited"
    QUOTA_EXHAUSTED = "quota_exhausted"

    # The mesh.
    QUEUE_FULL = "queue_full"
    SHARE_FULL = "share_full"
    NO_WORKER = "no_worker"
    STORE_UNAVAILABLE = "store_unavailable"
    BROKER_UNAVAILABLE = "broker_unavailable"
    PROVIDER_UNAVAILABLE = "provider_unavailable"
    GATEWAY_STOPPING = "gateway_stopping"
    CANCELLED = "cancelled"
    DEADLINE_EXCEEDED = "deadline_exceeded"
    ENGINE_FAILED = "engine_failed"
    WORKER_LOST = "worker_lost"
    PROTOCOL_VERSION = "protocol_version"
    INTERNAL = "internal"

    @classmethod
    def _missing_(cls, value: object) -> "ErrorCode":
        """A code that a newer version has and this one does not: an end is an end all the same."""
        return cls.INTERNAL

    @property
    def sentence(self) -> str:
        """What happened and what to do, for a person, without the particulars."""
        return _SENTENCES[self]


_SENTENCES = {
    ErrorCode.BAD_REQUEST: "The request could not be understood; correct it and send it again.",
    ErrorCode.EMPTY_PROMPT: "The prompt is empty; write something to be answered.",
    ErrorCode.TOO_LARGE: "The request is larger than this mesh accepts; send less text.",
    ErrorCode.CONTEXT_OVERFLOW: (
        "The conversation does not fit the model's context; shorten it or ask for fewer tokens."
    ),
    ErrorCode.UNSUPPORTED: "This parameter is not supported here; leave it out.",
    ErrorCode.MODEL_NOT_FOUND: "No such model; GET /v1/models lists the ones there are.",
    ErrorCode.NOT_FOUND: "There is nothing under this id.",
    ErrorCode.CONFLICT: "This contradicts what is there already; look at its state and try again.",
    ErrorCode.CHAT_FULL: "This chat has as many messages as one may have; start a new chat.",
    ErrorCode.NOT_IMPLEMENTED: "This mesh does not do that; do without it, or ask elsewhere.",
    ErrorCode.NOT_AUTHENTICATED: "Sign in first: send an Authorization: Bearer header.",
    ErrorCode.INVALID_TOKEN: "This token is not valid here; sign in again.",
    ErrorCode.TOKEN_EXPIRED: "This token has expired; refresh it or sign in again.",
    ErrorCode.FORBIDDEN: "You may not do this.",
    ErrorCode.RATE_LIMITED: "You ask more often than you may; wait as long as Retry-After says.",
    ErrorCode.QUOTA_EXHAUSTED: "The tokens that were granted are used up; ask for a larger quota.",
    ErrorCode.QUEUE_FULL: "The mesh is busy and its queue is full; try again in a while.",
    ErrorCode.SHARE_FULL: "You have as many requests waiting as you may; let some finish first.",
    ErrorCode.NO_WORKER: "No worker serves this model now; start one, or try again later.",
    ErrorCode.STORE_UNAVAILABLE: (
        "The store does not answer, so what it keeps cannot be read or changed now; try again in "
        "a while."
    ),
    ErrorCode.BROKER_UNAVAILABLE: "The broker does not answer; try again in a while.",
    ErrorCode.PROVIDER_UNAVAILABLE: (
        "The site to sign in through does not work now; try again in a while."
    ),
    ErrorCode.GATEWAY_STOPPING: "The gateway has to stop now; ask again.",
    ErrorCode.CANCELLED: "The answer was cancelled before its end; ask again if you want it.",
    ErrorCode.DEADLINE_EXCEEDED: "The answer was not finished by its deadline; ask again.",
    ErrorCode.ENGINE_FAILED: "The model's engine failed on this request; ask again.",
    ErrorCode.WORKER_LOST: "The worker was lost and its answer could not be continued; ask again.",
    ErrorCode.PROTOCOL_VERSION: "This worker speaks another protocol version; upgrade it.",
    ErrorCode.INTERNAL: "Something went wrong inside the mesh; the request id leads to its log.",
}

REFUSALS = frozenset(
    {
        ErrorCode.QUEUE_FULL,
        ErrorCode.SHARE_FULL,
        ErrorCode.RATE_LIMITED,
        ErrorCode.BROKER_UNAVAILABLE,
    }
)
"""Why a request is refused before anybody takes it up: asked again it may be let in."""


class MeshError(Exception):
    """A refusal or failure with a code of the wire and the particulars of this case.

    `detail` is a full sentence fit for the person who asked; it never holds a secret. `param`
    names the field of the request at fault, `retry_after` is in seconds.
    """

    def __init__(
        self,
        code: ErrorCode,
        detail: str = "",
        *,
        param: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(detail or code.sentence)
        self.code = code
        self.param = param
        self.retry_after = retry_after

    @property
    def detail(self) -> str:
        return str(self)
