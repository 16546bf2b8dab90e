"""`POST /generate`: a prompt in, tokens out, and nothing kept. The simplest way to use the mesh.

The body is `{"prompt", "model"?, "params"? {"max_tokens", ...}}`; the events are
`{"token", "index"}`, then `{"done": true, "total_tokens"}` or `{"error"}`. Hanging up cancels,
unless the request has an `Idempotency-Key`: then the same body under the same key is the same
answer, and `Last-Event-ID` reads on behind that event.
"""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Annotated

import msgspec
from litestar import Response, post
from msgspec import Meta, Struct

from mesh.bus.follow import Track
from mesh.gateway.body import read_body
from mesh.gateway.client import Client
from mesh.gateway.errors import AnyRequest, ErrorEvent, error_event, request_id, stopping
from mesh.gateway.headers import (
    REPEATABLE,
    RESUMABLE,
    body_digest,
    idempotency_key,
    read_after,
)
from mesh.gateway.services import Services, Wired
from mesh.gateway.stream import refused
from mesh.gateway.tokens import Principal
from mesh.protocol.errors import ErrorCode, MeshError
from mesh.protocol.messages import Cancelled, Done, Failed, Message, Request, Sampling
from mesh.protocol.run import Run

MAX_TOKENS = 256


class GenerateParams(Struct):
    """How to generate. Values left out are the engine's own defaults."""

    max_tokens: Annotated[int, Meta(ge=1)] = MAX_TOKENS
    temperature: Annotated[float, Meta(ge=0, le=5)] | None = None
    top_k: Annotated[int, Meta(ge=0)] | None = None
    top_p: Annotated[float, Meta(ge=0, le=1)] | None = None
    seed: int | None = None
    stop: list[str] = []


class GenerateBody(Struct):
    """What `POST /generate` takes."""

    prompt: str = ""
    model: str | None = None
    params: GenerateParams = msgspec.field(default_factory=GenerateParams)


class TokenEvent(Struct):
    token: str
    index: int


class DoneEvent(Struct):
    done: bool
    total_tokens: int


_encode = msgspec.json.Encoder().encode


class GenerateDialect:
    """The events of `/generate`."""

    def tokens(self, texts: list[str], index: int) -> bytes:
        return b"".join(
            b'id: %d\ndata: {"token":%b,"index":%d}\n\n' % (at, _encode(text), at)
            for at, text in enumerate(texts, index)
        )

    def end(self, run: Run) -> bytes:
        match run.end:
            case Done():
                return b"data: %b\n\n" % _encode(DoneEvent(True, len(run.texts)))
            case Failed(detail=detail):
                return error_event(detail)
            case Cancelled() | None:
                return error_event("The answer was cancelled.")

    def tick(self, run: Run) -> bytes:
        return b""


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
    body = await read_body(request, GenerateBody)
    if not body.prompt.strip():
        raise MeshError(ErrorCode.EMPTY_PROMPT, "prompt must not be empty")
    key = idempotency_key(request)
    after = read_after(request, key)
    digest = await body_digest(request) if key else ""
    left = _stay if key else services.streams.hang_up
    ask = partial(_ask, services, principal, body, key, request)
    async with Client(request, services.settings.hold_headers) as client:
        track = await _accepted(services, client, ask, digest, left)
    parting = b"" if key else error_event(stopping().detail)  # who has a key comes back
    gone = partial(left, track)
    return services.streams.response(track, GenerateDialect(), after, gone, parting)


def _stay(track: Track) -> None:
    """Whoever has a key may come back for the answer, so that leaving changes nothing."""


async def _accepted(
    services: Services,
    client: Client,
    ask: Callable[[], Awaitable[Request]],
    digest: str,
    left: Callable[[Track], None],
) -> Track:
    """The request once it has begun, or headers have to be sent. Raises MeshError: refusals.

    digest: of the body, for a request with a key; left: called if the client leaves meanwhile.
    """

    async def accept() -> Track:
        asked = await ask()
        client.check()
        return await services.requests.submit(asked, body=digest)

    track = await services.streams.accept(client, accept(), left)
    if not await services.streams.first_change(track, client):
        left(track)
        raise stopping()
    refused(track)
    return track


async def _ask(
    services: Services, principal: Principal, body: GenerateBody, key: str, request: AnyRequest
) -> Request:
    params = body.params
    try:
        model = await services.model(principal, body.model, key)
    except MeshError as error:
        if error.code is not ErrorCode.MODEL_NOT_FOUND:
            raise
        served = [f"`{name}`" for name, card in services.models.cards().items() if card]
        loaded = f"only {', '.join(served)} is loaded" if served else "none is loaded"
        raise MeshError(
            ErrorCode.MODEL_NOT_FOUND, f"requested model `{body.model}` is unavailable, {loaded}"
        ) from error
    sampling = Sampling(
        temperature=params.temperature,
        top_k=params.top_k,
        top_p=params.top_p,
        seed=params.seed,
        stop=tuple(params.stop),
    )
    messages = (Message(role="user", content=body.prompt),)
    return services.new_request(
        principal, model, messages, sampling, params.max_tokens, key=key, trace=request_id(request)
    )
