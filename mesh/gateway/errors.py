"""Error codes as HTTP: the one place that knows a status for each, and each dialect's shape."""

import logging
import math
import re
from collections.abc import Callable, Iterable
from typing import Any

import msgspec
from litestar import Request, Response
from litestar.datastructures import State
from litestar.exceptions import HTTPException, ValidationException
from msgspec import Struct

from mesh.bus.connection import BusError
from mesh.gateway.event_stream import HEADERS
from mesh.protocol.errors import ErrorCode, MeshError

log = logging.getLogger(__name__)

STATUS: dict[ErrorCode, int] = {
    ErrorCode.BAD_REQUEST: 400,
    ErrorCode.EMPTY_PROMPT: 400,
    ErrorCode.TOO_LARGE: 413,
    ErrorCode.CONTEXT_OVERFLOW: 400,
    ErrorCode.UNSUPPORTED: 400,
    ErrorCode.MODEL_NOT_FOUND: 404,
    ErrorCode.NOT_FOUND: 404,
    ErrorCode.CONFLICT: 422,
    ErrorCode.CHAT_FULL: 413,
    ErrorCode.NOT_IMPLEMENTED: 501,
    ErrorCode.NOT_AUTHENTICATED: 401,
    ErrorCode.INVALID_TOKEN: 401,
    ErrorCode.TOKEN_EXPIRED: 401,
    ErrorCode.FORBIDDEN: 403,
    ErrorCode.RATE_LIMITED: 429,
    ErrorCode.QUOTA_EXHAUSTED: 402,
    ErrorCode.QUEUE_FULL: 503,
    ErrorCode.SHARE_FULL: 429,
    ErrorCode.NO_WORKER: 503,
    ErrorCode.STORE_UNAVAILABLE: 503,
    ErrorCode.BROKER_UNAVAILABLE: 503,
    ErrorCode.PROVIDER_UNAVAILABLE: 503,
    ErrorCode.GATEWAY_STOPPING: 503,
    ErrorCode.CANCELLED: 409,
    ErrorCode.DEADLINE_EXCEEDED: 504,
    ErrorCode.ENGINE_FAILED: 500,
    ErrorCode.WORKER_LOST: 500,
    ErrorCode.PROTOCOL_VERSION: 500,
    ErrorCode.INTERNAL: 500,
}

QUESTIONS = ("/v1/ask", "/v1/client/info")
"""The routes whose errors have one key, `msg`."""

SOMETHING_WRONG = "Something wrong!"

TOKENIZE = "/tokenize"
"""A route beside those of OpenAI's API, for the same clients."""

PROCESS = "/api/messages/process"
"""The route whose errors have one key, `error`."""

NOT_PROCESSED = "An error occurred while processing the message"

STARTED = 2.0
"""Seconds after which another gateway, or this one when it was started again, may be reached."""

CUT_OFF = "client disconnected prematurely"
"""What Litestar raises, as a 500, where a body ends before its end (`Request.stream`)."""

_BREAKS_OFF = "The body breaks off before its end; send it again, the whole of it."

_LEFT_OUT = re.compile(r"Missing required query parameter '(\w+)' for path")
"""What Litestar says of a parameter that has to be there; its sentence names the path."""

_OF_STATUS = {
    404: "There is no such route.",
    405: "This route does not take this method; the header Allow says which ones it takes.",
    413: ErrorCode.TOO_LARGE.sentence,
}
"""Sentences for the framework's own errors."""

AnyRequest = Request[Any, Any, State]


def stopping() -> MeshError:
    """For those whose answer ends because the gateway has to."""
    return MeshError(ErrorCode.GATEWAY_STOPPING, retry_after=STARTED)


def broker_away() -> MeshError:
    """For those who ask what cannot be read or written just now."""
    return MeshError(ErrorCode.BROKER_UNAVAILABLE, retry_after=2.0)


class ErrorBody(Struct, omit_defaults=True):
    """An error on the mesh's own routes. param: the field at fault, where it is one."""

    detail: str
    code: ErrorCode
    request_id: str
    param: str | None = None


class AskError(Struct):
    """An error of the routes of questions."""

    msg: str


class ProcessError(Struct):
    """An error of the route that processes messages."""

    error: str


class ErrorEvent(Struct):
    """An error on `/generate`: an event, the only one or the last."""

    error: str


class OpenAIErrorDetail(Struct):
    """All four keys are always there; clients look at each."""

    message: str
    type: str
    param: str | None
    code: str | None


class OpenAIError(Struct):
    """An error in OpenAI's shape, as a response and in mid-stream."""

    error: OpenAIErrorDetail


OF_SHAPE: dict[type[Struct], dict[ErrorCode, int]] = {
    ErrorBody: {ErrorCode.NOT_AUTHENTICATED: 403},
    AskError: {
        ErrorCode.NOT_AUTHENTICATED: 400,
        ErrorCode.INVALID_TOKEN: 403,
        ErrorCode.TOKEN_EXPIRED: 403,
    },
}
"""Statuses that are others where errors have this shape: those by which the clients of the servers
that these routes are known from tell that a token is missing (403; for questions 400) or wrong."""


def openai_error(error: MeshError) -> OpenAIError:
    """The error as OpenAI's clients expect it."""
    status = STATUS[error.code]
    kind = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}
    fallback = "invalid_request_error" if status < 500 else "server_error"
    return OpenAIError(
        OpenAIErrorDetail(
            message=error.detail,
            type=kind.get(status, fallback),
            param=error.param,
            code=error.code.value,
        )
    )


def request_id(request: AnyRequest) -> str:
    """The id under which this HTTP request stands in the logs."""
    found: str = request.scope.get("state", {}).get("request_id", "")
    return found


def answer(request: AnyRequest, error: MeshError) -> Response[bytes]:
    """An error as a response, in the dialect of the route; a 500 is logged with its reason."""
    if STATUS[error.code] == 500:
        _log(request, error)
    path = request.scope["path"]  # its URL may be none, with a Host that is none
    headers = retry_headers(error)
    if STATUS[error.code] == 401:
        # Whatever the status is here: it says that credentials would help (RFC 9110, 11.6.1).
        headers["WWW-Authenticate"] = "Bearer"
    if path == "/generate":
        return _generate_refusal(error, headers)
    return Response(
        msgspec.json.encode(_body(request, error)),
        status_code=status_of(error.code, dialect(path)),
        media_type="application/json",
        headers=headers,
    )


def _log(request: AnyRequest, error: MeshError) -> None:
    """Log what went wrong inside: what is told of it, and where it came from, if we know."""
    log.error(
        "%s: 500 %s: %s", request_id(request), error.code, error.detail, exc_info=error.__cause__
    )


def dialect(path: str) -> type[Struct]:
    """The shape of the errors of a route."""
    if path in QUESTIONS:
        return AskError
    if path == PROCESS:
        return ProcessError
    return OpenAIError if path.startswith("/v1/") or path == TOKENIZE else ErrorBody


def status_of(code: ErrorCode, shape: type[Struct]) -> int:
    """The status of an error on a route whose errors have this shape."""
    return OF_SHAPE.get(shape, {}).get(code) or STATUS[code]


def _body(request: AnyRequest, error: MeshError) -> Struct:
    shape = dialect(request.scope["path"])
    if shape is AskError:
        return AskError(SOMETHING_WRONG if STATUS[error.code] == 500 else error.detail)
    if shape is ProcessError:
        return ProcessError(NOT_PROCESSED if STATUS[error.code] == 500 else error.detail)
    if shape is OpenAIError:
        return openai_error(error)
    return ErrorBody(error.detail, error.code, request_id(request), error.param)


def _generate_refusal(error: MeshError, headers: dict[str, str]) -> Response[bytes]:
    """One error event. Wrong prompts and models come with 200, as that route always had it."""
    asked_wrongly = error.code in (ErrorCode.EMPTY_PROMPT, ErrorCode.MODEL_NOT_FOUND)
    return Response(
        error_event(error.detail),
        status_code=200 if asked_wrongly else STATUS[error.code],
        media_type="text/event-stream",
        headers=HEADERS | headers,
    )


def error_event(detail: str) -> bytes:
    """The last event of a `/generate` that failed."""
    return b"data: %b\n\n" % msgspec.json.encode(ErrorEvent(detail))


def retry_headers(error: MeshError) -> dict[str, str]:
    """`Retry-After` in whole seconds, rounded up, where the error says when."""
    if error.retry_after is None:
        return {}
    return {"Retry-After": str(max(1, math.ceil(error.retry_after)))}


def on_mesh_error(request: AnyRequest, error: MeshError) -> Response[bytes]:
    return answer(request, error)


def on_bus_error(request: AnyRequest, error: BusError) -> Response[bytes]:
    log.warning("%s: the broker did not answer: %s", request_id(request), error)
    return answer(request, broker_away())


def on_http_error(request: AnyRequest, error: HTTPException) -> Response[bytes]:
    """Errors of the framework itself: unknown paths, wrong methods, bad parameters."""
    if error.detail == CUT_OFF:
        return answer(request, MeshError(ErrorCode.BAD_REQUEST, _BREAKS_OFF))
    code = {404: ErrorCode.NOT_FOUND, 413: ErrorCode.TOO_LARGE}.get(
        error.status_code, ErrorCode.BAD_REQUEST if error.status_code < 500 else ErrorCode.INTERNAL
    )
    detail = _OF_STATUS.get(error.status_code, error.detail)
    param = None
    if left_out := _LEFT_OUT.match(error.detail):
        param = left_out[1]
        detail = f"The parameter {param!r} is needed here and missing."
    if isinstance(error, ValidationException) and error.extra:
        param, detail = _invalid(msgspec.convert(error.extra, list[_Invalid])[0])
    ours = MeshError(code, detail, param=param)
    ours.__cause__ = error
    response = answer(request, ours)
    response.status_code = error.status_code
    if error.headers and "allow" in error.headers:  # RFC 9110, section 15.5.6
        response.headers["Allow"] = allowed(error.headers["allow"].split(", "))
    return response


def allowed(methods: Iterable[str]) -> str:
    """The methods that the framework has for a route, in order. What takes GET takes HEAD."""
    found = set(methods)
    return ", ".join(sorted(found | {"HEAD"} if "GET" in found else found))


class _Invalid(Struct):
    """What the framework says of a parameter that it could not read."""

    message: str
    key: str = ""


def _invalid(found: _Invalid) -> tuple[str | None, str]:
    """The name of a wrong parameter, and a sentence about it."""
    what = found.message.rstrip(".")
    return found.key or None, f"{found.key}: {what}." if found.key else f"{what}."


def on_any_error(request: AnyRequest, error: Exception) -> Response[bytes]:
    ours = MeshError(ErrorCode.INTERNAL)
    ours.__cause__ = error
    return answer(request, ours)


HANDLERS: dict[int | type[Exception], Callable[[AnyRequest, Any], Response[Any]]] = {
    MeshError: on_mesh_error,
    BusError: on_bus_error,
    HTTPException: on_http_error,
    Exception: on_any_error,
}
