"""Cancel tokens: whoever holds one may stop one answer, once, from a page of any origin.

They are for a notebook whose kernel is busy: its Stop button lives in a browser that has no access
token, and should have none. A cancel token names an answer and the time it is good for, signed
with a key of its own, so that it opens no other door. Nothing is kept of it: the first use appends
a cancel to the answer's log, and an answer that is being stopped, or has ended, has no use for it.
So it works once, at every gateway, also after a restart.
"""

import re
from hashlib import sha256
from hmac import compare_digest, digest

from litestar import Response, post
from litestar.params import FromPath
from msgspec import Struct

from mesh.gateway.answering import look, stored_answer
from mesh.gateway.body import read_body
from mesh.gateway.errors import AnyRequest
from mesh.gateway.messages import MESSAGE
from mesh.gateway.services import Services, Wired
from mesh.gateway.stopping import Cancellation, cancellation, stop
from mesh.protocol.errors import ErrorCode, MeshError

_FORM = re.compile(r"(?P<named>(?P<rid>[0-9a-f]{32})\.(?P<expires>[0-9]{10}))\.[0-9a-f]{64}")
_SPENT = (
    "A cancel token works once, while its answer is written; this answer has ended or is being "
    "stopped."
)


class CancelToken(Struct, frozen=True):
    """What `POST /cancel` takes, as its JSON body. expires_at: Unix seconds."""

    cancel_token: str
    expires_at: float


class UsedToken(Struct, frozen=True):
    """A cancel token on its way back."""

    cancel_token: str


@post(MESSAGE + "/cancel_token", status_code=200)
async def cancel_token(
    request: AnyRequest, services: Wired, chat_id: FromPath[str], message_id: FromPath[str]
) -> Response[CancelToken]:
    """A token that stops this running answer, once, until the answer's deadline."""
    user = services.doorman.signed_in(request)
    found = await look(services, user, chat_id, message_id)
    if found is None:  # perhaps because it is nobody's, or somebody else's
        await stored_answer(services, user, chat_id, message_id)
    if found is None or found.run.end is not None or found.run.queued is None:
        raise MeshError(ErrorCode.CONFLICT, "This answer has ended: there is nothing to stop.")
    expires = int(found.run.queued.request.deadline) + 1
    token = CancelToken(_signed(services, f"{message_id}.{expires:010d}"), expires)
    return Response(token, headers={"Cache-Control": "no-store"})


@post("/cancel", status_code=200, body=UsedToken, public=True)
async def cancel_by_token(request: AnyRequest, services: Wired) -> Cancellation:
    """Stop the answer of a cancel token; says how it ended, once that stands in the log.

    Pages of any origin may call it, without preflight if the body is sent as text/plain.
    """
    rid = _read(services, (await read_body(request, UsedToken)).cancel_token)
    run = await services.requests.logs.look(rid)
    if run is None or run.end is not None or run.cancel:
        raise MeshError(ErrorCode.CONFLICT, _SPENT)
    run = await stop(services, request, run, rid, by="cancel token")
    return cancellation(run)


def _signed(services: Services, named: str) -> str:
    key = services.tokens.derive("cancel")
    return f"{named}.{digest(key, named.encode(), sha256).hex()}"


def _read(services: Services, token: str) -> str:
    """The request that a token is for. Raises MeshError: invalid_token, token_expired."""
    form = _FORM.fullmatch(token)
    if form is None or not compare_digest(token, _signed(services, form["named"])):
        raise MeshError(ErrorCode.INVALID_TOKEN, "This is not a cancel token of this mesh.")
    if services.clock() > int(form["expires"]):
        raise MeshError(ErrorCode.TOKEN_EXPIRED, "The time of this cancel token is over.")
    return form["rid"]
