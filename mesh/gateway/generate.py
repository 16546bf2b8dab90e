"""`POST /generate`: a prompt in, tokens out. The simplest way to use the mesh.

The body is `{"prompt", "model"?, "params"? {"max_tokens", ...}}`; the events are
`{"token", "index"}`, then `{"done": true, "total_tokens"}` or `{"error"}`. Hanging up cancels,
unless the request has an `Idempotency-Key`: then the same body under the same key is the same
answer, and `Last-Event-ID` reads on behind that event. Nothing is kept, unless `chat_id` or
`username` names a chat (`numbered.py`).
"""

from collections.abc import Callable
from typing import NamedTuple

import msgspec
from litestar import Response, post
from msgspec import Struct
from msgspec.structs import replace

from mesh.bus.follow import Track
from mesh.gateway import numbered
from mesh.gateway.answering import supersede
from mesh.gateway.body import SHOWN, read_body
from mesh.gateway.client import Client
from mesh.gateway.errors import AnyRequest, ErrorEvent, error_event, request_id, stopping
from mesh.gateway.headers import (
    REPEATABLE,
    RESUMABLE,
    body_digest,
    idempotency_key,
    read_after,
)
from mesh.gateway.numbered import ChatNumber, Place
from mesh.gateway.openai.asked import Count, Seed, Share, StopStrings, TopK
from mesh.gateway.presets import Temperature
from mesh.gateway.services import Services, Wired
from mesh.gateway.streams import CUT, refused
from mesh.gateway.taking_back import taken_back
from mesh.gateway.tokens import Principal
from mesh.protocol.errors import ErrorCode, MeshError
from mesh.protocol.events import Cancelled, Done, Failed
from mesh.protocol.request import Message, Request, Sampling
from mesh.protocol.run import Run

MAX_TOKENS = 256


class GenerateParams(Struct, forbid_unknown_fields=True):
    """How to generate. Values left out are the engine's own defaults.

    A temperature has the bounds that it has in chats, the rest those of OpenAI's routes.
    """

    max_tokens: Count = MAX_TOKENS
    temperature: Temperature | None = None
    top_k: TopK | None = None
    top_p: Share | None = None
    seed: Seed | None = None
    stop: StopStrings = []


class GenerateBody(Struct, forbid_unknown_fields=True):
    """What `POST /generate` takes. chat_id: a chat of one's own to go on with, by its number;
    username: who asks, where nobody has to sign in; without a chat_id begins a new chat."""

    prompt: str = ""
    model: str | None = None
    params: GenerateParams = msgspec.field(default_factory=GenerateParams)
    username: str = ""
    chat_id: ChatNumber | None = None


class TokenEvent(Struct):
    token: str
    index: int


class DoneEvent(Struct):
    done: bool
    total_tokens: int


_encode = msgspec.json.Encoder().encode


class GenerateDialect:
    """The events of `/generate`."""

    def tokens(self, run: Run, index: int, upto: int) -> bytes:
        return b"".join(
            [
                b'id: %d\ndata: {"token":%b,"index":%d}\n\n' % (at, _encode(text), at)
                for at, text in enumerate(run.pieces(index, upto), index)
            ]
        )

    def end(self, run: Run) -> bytes:
        match run.end:
            case Done():
                return b"data: %b\n\n" % _encode(DoneEvent(True, run.count))
            case Failed(detail=detail):
                return error_event(detail)
            case Cancelled() | None:
                return error_event("The answer was cancelled.")

    def tick(self, run: Run) -> bytes:
        return b""


class Asking(NamedTuple):
    """One call. digest: of the body, for a request with a key; kept: in a chat."""

    request: AnyRequest
    principal: Principal
    body: GenerateBody
    key: str
    digest: str
    kept: bool


@post(
    "/generate",
    status_code=200,
    body=GenerateBody,
    events=(TokenEvent, DoneEvent, ErrorEvent),
    headers=REPEATABLE | RESUMABLE,
)
async def generate(request: AnyRequest, services: Wired) -> Response[bytes]:
    """Generate from a prompt, as Server-Sent Events."""
    principal = services.doorman.principal(request)
    body = await _read(request)
    if not body.prompt.strip():
        raise MeshError(ErrorCode.EMPTY_PROMPT, "prompt must not be empty")
    kept = bool(body.username) or body.chat_id is not None
    if kept:
        principal = await numbered.person(services, request, body.username, new=True)
    key = idempotency_key(request)
    after = read_after(request, key)
    digest = await body_digest(request) if key else ""
    asking = Asking(request, principal, body, key, digest, kept)
    left = _stay if key else services.streams.hang_up
    client = Client(request, services.settings.hold_headers)
    track = await _accepted(services, client, asking, left)
    parting = CUT if key else error_event(stopping().detail)  # who has a key comes back
    return services.streams.response(track, GenerateDialect(), after, bool(key), parting)


async def _read(request: AnyRequest) -> GenerateBody:
    """The body. An error here is a sentence and nothing else, so that names the field at fault."""
    try:
        return await read_body(request, GenerateBody)
    except MeshError as error:
        if not error.param or error.param in error.detail:
            raise
        detail = f"{error.param}: {error.detail}"
        raise MeshError(error.code, detail, param=error.param) from error


def _stay(track: Track) -> None:
    """Whoever has a key may come back for the answer, so that leaving changes nothing."""


async def _accepted(
    services: Services, client: Client, asking: Asking, left: Callable[[Track], None]
) -> Track:
    """The request once it has begun, or headers have to be sent. Raises MeshError: refusals.

    left: called if the client leaves meanwhile.
    """
    track = await services.streams.accept(client, _accept(services, client, asking), left)
    if not await services.streams.first_change(track, client):
        left(track)
        raise stopping()
    refused(track)
    return track


async def _accept(services: Services, client: Client, asking: Asking) -> Track:
    """Queue it, or find what its idempotency key has begun already."""
    principal, key = asking.principal, asking.key
    if key:
        known = await services.requests.again(services.rid(principal, key), asking.digest)
        if known is not None:
            return known
    asked, place = await _ask(services, asking)
    if place is None:
        client.check()
        return await services.requests.submit(asked, body=asking.digest)
    async with taken_back(services, place.turn, said=True):
        client.check()
        track = await services.requests.submit(asked, place.turn, asking.digest)
    supersede(services, place.unfinished, track)
    return track


async def _ask(services: Services, asking: Asking) -> tuple[Request, Place | None]:
    """What to ask, and its place in a chat, if it is kept in one."""
    principal, body, key = asking.principal, asking.body, asking.key
    model = await _model(services, principal, body.model, key)
    trace = request_id(asking.request)
    asked = services.new_request(
        principal,
        model,
        (Message(role="user", content=body.prompt),),
        _sampling(body.params),
        body.params.max_tokens,
        key=key,
        trace=trace,
        fit="truncate" if asking.kept else "refuse",
    )
    if not asking.kept:
        return asked, None
    await services.limiter.check(asked, chat=True)  # before a chat is begun for it
    place = await numbered.place(services, principal, model, body.prompt, body.chat_id)
    return replace(asked, messages=place.messages), place


async def _model(services: Services, principal: Principal, name: str | None, key: str) -> str:
    try:
        return await services.model(principal, name, key)
    except MeshError as error:
        if error.code is not ErrorCode.MODEL_NOT_FOUND:
            raise
        served = [f"`{name}`" for name, card in services.models.cards().items() if card]
        loaded = f"only {', '.join(served)} is loaded" if served else "none is loaded"
        raise MeshError(
            ErrorCode.MODEL_NOT_FOUND,
            f"requested model `{name and name[:SHOWN]}` is unavailable, {loaded}",
        ) from error


def _sampling(params: GenerateParams) -> Sampling:
    return Sampling(
        temperature=params.temperature,
        top_k=params.top_k,
        top_p=params.top_p,
        seed=params.seed,
        stop=tuple(params.stop),
    )
