"""What can go wrong for a client, as one tree of exceptions. No HTTP and no I/O in here.

    MeshClientError
     +-- BadAddress           the gateway's address is none
     +-- BadText              what is to be sent is not Unicode text
     +-- Unreachable          no gateway answers, or it stayed away for too long
     +-- TimedOut             the time that was given is over
     +-- BadReply             the gateway said something that is not its protocol
     +-- GenerationFailed     the answer ended as failed; its text so far is kept
     +-- Rejected             the gateway said no, with an HTTP status
          +-- NotSignedIn     401, 403
          +-- NotFound        404
          +-- Refused         429, 503: the mesh cannot take it now; see `retry_after`

Each carries `code` (a value of `mesh.protocol.errors.ErrorCode`, or one of the client's own:
`bad_address`, `bad_text`, `unreachable`, `timed_out`, `bad_reply`), `sentence` (for a person),
`request_id` (leads to the gateway's log) and `retry_after` (seconds), the last two None where
nobody gave one.
"""

from collections.abc import Mapping

import msgspec

from mesh.protocol.hidden import without_userinfo


class MeshClientError(Exception):
    """The root: catch this to catch everything that this package raises on purpose."""

    def __init__(
        self,
        sentence: str,
        *,
        code: str,
        request_id: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        sentence = without_userinfo(sentence)
        super().__init__(sentence)
        self.sentence = sentence
        self.code = code
        self.request_id = request_id
        self.retry_after = retry_after


class BadAddress(MeshClientError):
    """What was given as the gateway's address cannot be one.

    value: what was given; variable: of the environment, where it stood there: MESH_URL or
    MESH_PORT.
    """

    def __init__(self, value: str, variable: str = "") -> None:
        match variable:
            case "":
                said = "is no address of a gateway; one looks like http://127.0.0.1:8000."
            case "MESH_PORT":
                said = "is no port; set it to the gateway's, a number from 1 to 65535."
            case _:
                said = "is no address; set it to the gateway's, such as http://127.0.0.1:8000."
        name = f"{variable}={value!r}" if variable else repr(value)
        super().__init__(f"{name} {said}", code="bad_address")


class BadText(MeshClientError):
    """What is to be sent is not Unicode text, such as bytes of another encoding."""

    def __init__(self) -> None:
        super().__init__(
            "What is to be sent is not Unicode text; convert it first.", code="bad_text"
        )


class Unreachable(MeshClientError):
    """No gateway answers at this address, or it stayed away longer than the client waits."""

    def __init__(self, url: str, reason: str) -> None:
        super().__init__(
            f"No gateway answers at {url} ({reason}); start one with `mesh up`, or set MESH_URL.",
            code="unreachable",
        )


class TimedOut(MeshClientError):
    """The time that the caller gave is over."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence, code="timed_out")


class BadReply(MeshClientError):
    """The gateway's words do not fit its protocol: a bug, another version, or not a gateway."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence, code="bad_reply")


class GenerationFailed(MeshClientError):
    """The answer ended as failed. `text` is what there was of it."""

    def __init__(self, sentence: str, *, code: str, text: str = "") -> None:
        super().__init__(sentence, code=code)
        self.text = text


class Rejected(MeshClientError):
    """The gateway said no. `status` is the HTTP status."""

    def __init__(
        self,
        sentence: str,
        *,
        status: int,
        code: str,
        request_id: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(sentence, code=code, request_id=request_id, retry_after=retry_after)
        self.status = status


class NotSignedIn(Rejected):
    """401 or 403: sign in with `login`, or this user may not do it."""

    @property
    def forbidden(self) -> bool:
        """Whether to sign in would change nothing."""
        return self.status == 403 and self.code != "not_authenticated"


class NotFound(Rejected):
    """404: there is nothing under this id, or it belongs to somebody else."""


class Refused(Rejected):
    """429 or 503: the mesh cannot take it now. `retry_after` says when to try again."""


_KINDS: dict[int, type[Rejected]] = {
    401: NotSignedIn,
    403: NotSignedIn,
    404: NotFound,
    429: Refused,
    503: Refused,
}


def no_such_model(model: str, listing: str) -> str:
    """The sentence for a model that is unknown or gone, in the words of a client's own place.

    The gateway's speaks of a route. model: "" for the one that the gateway would choose; listing:
    what lists the models in this place.
    """
    name = f"model {model}" if model else "model that answers where none is chosen"
    return f"There is no {name}; {listing} lists what there is."


class _Problem(msgspec.Struct):
    """The body of a refusal on the gateway's native routes."""

    detail: str = ""
    code: str = ""
    request_id: str | None = None


class _OpenAIProblem(msgspec.Struct):
    message: str = ""
    code: str | None = None


class _OpenAIBody(msgspec.Struct):
    """The body of a refusal on the OpenAI routes."""

    error: _OpenAIProblem


def rejection(status: int, headers: Mapping[str, str], body: bytes) -> Rejected:
    """The exception for a response of 400 or more, in whichever dialect its body is.

    `headers` must ignore case, as those of httpx do.
    """
    problem = _problem(body)
    return _KINDS.get(status, Rejected)(
        problem.detail or f"The gateway answered with HTTP status {status}.",
        status=status,
        code=problem.code or f"http_{status}",
        request_id=problem.request_id or headers.get("x-request-id"),
        retry_after=_seconds(headers.get("retry-after")),
    )


def _problem(body: bytes) -> _Problem:
    try:
        if b'"error"' in body:
            error = msgspec.json.decode(body, type=_OpenAIBody).error
            return _Problem(detail=error.message, code=error.code or "")
        return msgspec.json.decode(body, type=_Problem)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return _Problem()


def _seconds(value: str | None) -> float | None:
    """Retry-After in seconds; the form with a date is not used by the gateway."""
    try:
        return max(0.0, float(value)) if value else None
    except ValueError:
        return None
