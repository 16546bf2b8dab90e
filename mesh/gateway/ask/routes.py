"""The routes of questions: `POST /v1/ask`, and what a client has used.

Nothing is kept between two questions: the client sends the history along. Hanging up cancels, and
what was generated up to then is charged; with an `Idempotency-Key` the answer goes on, and the same
body under the same key is the same answer, charged once.
"""

from datetime import date
from functools import partial
from secrets import token_hex
from typing import Annotated

from litestar import Response, get, post
from litestar.params import QueryParameter
from msgspec import Struct
from msgspec.structs import replace

from mesh.bus.follow import Track
from mesh.gateway.ask import body as bodies
from mesh.gateway.ask.body import AskBody, Question
from mesh.gateway.ask.shapes import Answer, Chunk, ClientInfo
from mesh.gateway.ask.writing import AskDialect, error_event, whole
from mesh.gateway.client import Client
from mesh.gateway.errors import AnyRequest, AskError, request_id, stopping
from mesh.gateway.headers import REPEATABLE, body_digest, idempotency_key
from mesh.gateway.limits.limiter import CHARACTERS, SOON
from mesh.gateway.openai.completion import failure
from mesh.gateway.openai.tokenize import count_tokens
from mesh.gateway.services import Services, Wired
from mesh.gateway.streams import refused
from mesh.gateway.tokens import Principal
from mesh.protocol.errors import ErrorCode, MeshError
from mesh.protocol.events import Done
from mesh.protocol.request import Request
from mesh.protocol.run import Run

NO_TOKENS = "Insufficient token (client)!"

HELD = "Other questions of this client that are being answered may take what is left; try again."


class Sent(Struct, frozen=True, kw_only=True):
    """A question as it came. key, digest: of its idempotency key, and of its body; "" for none."""

    question: Question
    key: str
    digest: str
    trace: str


@post(
    "/v1/ask",
    status_code=200,
    body=AskBody,
    reply=Answer,
    events=(Chunk, AskError),
    headers=REPEATABLE,
)
async def ask(request: AnyRequest, services: Wired) -> Response[bytes]:
    """Answer a question, as one object or as Server-Sent Events."""
    principal = services.doorman.principal(request)
    question = bodies.read(await request.body(), services.settings.ask_history)
    key = idempotency_key(request)
    digest = await body_digest(request) if key else ""
    sent = Sent(question=question, key=key, digest=digest, trace=request_id(request))
    client = Client(request, services.settings.hold_headers)
    accept = _accept(services, principal, sent, client)
    asked = await services.streams.accept(client, accept, Asked.hang_up)
    return await (asked.stream(client) if question.stream else asked.whole(client))


@get("/v1/client/info")
async def client_info(
    request: AnyRequest,
    services: Wired,
    client_id: Annotated[str, QueryParameter(name="client_id")],
) -> ClientInfo:
    """How many tokens a client of `POST /v1/ask` has used, and how many it may."""
    principal = services.doorman.principal(request)
    found = await services.quota.used(principal.user_id, client_id)
    if found is None:
        raise MeshError(ErrorCode.NOT_FOUND, "There is no such client.", param="client_id")
    return ClientInfo(client_id, found.tokens, services.quota.most)


class Asked:
    """A question that was accepted, and what answers it. request: as it stands in the log."""

    def __init__(self, services: Services, request: Request, track: Track, sent: Sent) -> None:
        self._services = services
        self._request = request
        self._track = track
        self._client = sent.question.charge.client
        self._keeps = bool(sent.key)

    async def stream(self, client: Client) -> Response[bytes]:
        """The answer as events; a failure before the first one is a status."""
        if not await self._services.streams.first_change(self._track, client):
            self.hang_up()
            raise stopping()
        refused(self._track)
        ended = partial(_note_end, self._services, self._request.tenant, self._client)
        dialect = AskDialect(self._request, ended)
        parting = error_event(stopping())
        return self._services.streams.response(self._track, dialect, -1, self._keeps, parting)

    async def whole(self, client: Client) -> Response[bytes]:
        """The answer as one object."""
        if not await self._services.streams.ended(self._track, client):
            self.hang_up()
            raise stopping()
        run = self._track.run
        _note_end(self._services, self._request.tenant, self._client, run)
        if not isinstance(run.end, Done):
            raise failure(run.end)
        return Response(whole(self._request, run, run.end), media_type="application/json")

    def hang_up(self) -> None:
        """Nobody reads this any more; one with a key may still be asked for again."""
        if not self._keeps:
            self._services.streams.hang_up(self._track)


def _note_end(services: Services, tenant: str, client: str, run: Run) -> None:
    """A client is being told of the end: its next question counts this one."""
    services.quota.ended(tenant, client, run.last)


async def _accept(services: Services, principal: Principal, sent: Sent, client: Client) -> Asked:
    """Queue a question, or find what its key has begun already. Raises MeshError."""
    track = None
    if sent.key:
        track = await services.requests.again(services.rid(principal, sent.key), sent.digest)
    if track is not None and track.run.queued is not None:
        return Asked(services, track.run.queued.request, track, sent)
    made = await _request(services, principal, sent)
    quota, whose = services.quota, (principal.user_id, sent.question.charge.client)
    try:
        client.check()
        track = await services.requests.submit(made, body=sent.digest, charge=sent.question.charge)
    except BaseException:
        quota.let_go(made.rid)
        raise
    quota.begun(*whose, made.rid, track.rid)
    queued = track.run.queued
    told = replace(made, rid=track.rid) if queued is None else queued.request
    return Asked(services, told, track, sent)


async def _request(services: Services, principal: Principal, sent: Sent) -> Request:
    """The request, with tokens held for it where there is a quota.

    Raises MeshError: model_not_found, no_worker, quota_exhausted, broker_unavailable, and
    rate_limited where other questions under way hold what is left.
    """
    question = sent.question
    model = await services.model(principal, question.model, sent.key)
    messages = question.messages(date.today())
    made = services.new_request(principal, model, messages, key=sent.key, trace=sent.trace)
    if services.quota.most:
        await _reserve(services, (principal.user_id, question.charge.client), made)
    return made


async def _reserve(services: Services, whose: tuple[str, str], request: Request) -> None:
    """Hold twice the tokens of a prompt, some for the answer. Raises MeshError (quota_exhausted)
    unless they are left, and rate_limited where those who came before hold them.

    It is held first, and then asked what is left: so each question counts those before it, and
    none that ends meanwhile is missing in both.
    """
    quota = services.quota
    text = "\n".join(message.content for message in request.messages)
    most = 2 * len(text.encode())  # a text has no more tokens than bytes
    ahead = quota.held(*whose) - quota.holds(request.rid)
    quota.hold(*whose, request.rid, most // CHARACTERS)
    try:
        left = await quota.left(*whose)
        if most + ahead > left:
            needed = await _needed(services, request, text, left, ahead)
            quota.hold(*whose, request.rid, needed)
    except BaseException:
        quota.let_go(request.rid)
        raise


async def _needed(services: Services, request: Request, text: str, left: int, ahead: int) -> int:
    """Twice the tokens of a text, counted. Raises MeshError as `_reserve`, and as counting may be
    refused (rate_limited, forbidden, share_full, no_worker)."""
    if left <= 0:
        raise MeshError(ErrorCode.QUOTA_EXHAUSTED, NO_TOKENS)
    needed = 2 * await _counted(services, request, text, left)
    if needed + ahead > left:
        raise MeshError(ErrorCode.RATE_LIMITED, HELD, retry_after=SOON)
    return needed


async def _counted(services: Services, request: Request, text: str, left: int) -> int:
    """The tokens of a text. Raises MeshError (quota_exhausted) if twice as many are not left.

    For the limits counting them is a request; it gives way to the question itself, and stays where
    there will be none.
    """
    counting = await services.limiter.admit(replace(request, rid=token_hex(16)))
    enough = True
    try:
        count = await count_tokens(services, request.tenant, request.model, text)
        enough = 2 * count <= left
    finally:
        if enough:
            services.limiter.forget(counting.rid)
        else:
            services.limiter.ended(counting.rid, 0)
    if not enough:
        raise MeshError(ErrorCode.QUOTA_EXHAUSTED, NO_TOKENS)
    return count
