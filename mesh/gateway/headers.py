"""The request headers that make a request repeatable and a stream resumable."""

from hashlib import sha256

from mesh.gateway.errors import AnyRequest
from mesh.protocol.errors import ErrorCode, MeshError

LONGEST_KEY = 255

KEY = "Idempotency-Key"

REPEATABLE = {KEY: "Sent again with the same key and body, it is done once."}
RESUMABLE = {"Last-Event-ID": "The id of the last event that was read: go on behind it."}
"""What the routes that honour these say of them in the OpenAPI document."""


def idempotency_key(request: AnyRequest) -> str:
    """The `Idempotency-Key`, or "". Raises MeshError (bad_request) for one that is too long."""
    key: str = request.headers.get("idempotency-key", "").strip()
    if len(key) > LONGEST_KEY:
        raise MeshError(
            ErrorCode.BAD_REQUEST,
            f"An Idempotency-Key has at most {LONGEST_KEY} characters; shorten it.",
            param="Idempotency-Key",
        )
    return key


def last_event_id(request: AnyRequest) -> int | None:
    """The number of the last piece that the reader has, by `Last-Event-ID`; None: it has none.

    Raises MeshError (bad_request).
    """
    given: str = request.headers.get("last-event-id", "").strip()
    if not given:
        return None
    if not (given.isascii() and given.isdigit() and len(given) < 12):
        raise MeshError(
            ErrorCode.BAD_REQUEST,
            "Last-Event-ID is the number that stood in the last event's id line.",
            param="Last-Event-ID",
        )
    return int(given)


def read_after(request: AnyRequest, key: str) -> int:
    """The piece behind which to read an answer on that a `key` leads to; -1: the beginning.

    Raises MeshError (bad_request).
    """
    last = last_event_id(request)
    if last is None:
        return -1
    if not key:
        detail = "Last-Event-ID needs the Idempotency-Key of the request to read on from."
        raise MeshError(ErrorCode.BAD_REQUEST, detail, param="Last-Event-ID")
    return last


async def body_digest(request: AnyRequest) -> str:
    """SHA-256 in hex of what was asked, and where: the same under one idempotency key."""
    return sha256(request.url.path.encode() + b"\n" + await request.body()).hexdigest()
