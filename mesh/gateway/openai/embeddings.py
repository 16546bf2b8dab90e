"""`POST /v1/embeddings`: texts as vectors, by a model that makes them.

Not in the queue: an embedding is quickly made again. The log is told what it took, and no more.
Each text goes to one worker, and the texts of one body to all that serve the model, some at once:
of one user no more than `abreast` lets, however many bodies they send.
"""

import asyncio
from base64 import b64encode
from itertools import cycle
from struct import unpack
from typing import Annotated, Literal

from litestar import Response, post
from msgspec import Meta, Struct

from mesh.bus.connection import BusError
from mesh.gateway import beside
from mesh.gateway.body import as_json, decode_body
from mesh.gateway.errors import AnyRequest, request_id
from mesh.gateway.openai import parameters
from mesh.gateway.openai.asked import bad, unsupported
from mesh.gateway.services import Services, Wired
from mesh.protocol import subjects
from mesh.protocol.abilities import Ability
from mesh.protocol.codec import decode_embed_reply
from mesh.protocol.embeddings import Embed, Embedded
from mesh.protocol.errors import ErrorCode, MeshError
from mesh.protocol.request import Request
from mesh.protocol.subjects import Writer

PATIENCE = 60.0
"""Seconds that a worker may take for a text; another is asked then."""

Text = Annotated[str, Meta(min_length=1)]
Texts = Annotated[list[Text], Meta(min_length=1, max_length=2048)]


class EmbeddingsBody(Struct, kw_only=True):
    """What `POST /v1/embeddings` takes; `null` is the same as leaving a field out."""

    input: Text | Texts
    model: str | None = None
    encoding_format: Literal["float", "base64"] | None = None

    @property
    def texts(self) -> list[str]:
        return [self.input] if isinstance(self.input, str) else self.input


class Vector(Struct):
    """embedding: numbers, or the base64 of their little-endian 32-bit floats; its length is 1."""

    index: int
    embedding: list[float] | str
    object: Literal["embedding"] = "embedding"


class EmbeddingsUsage(Struct):
    prompt_tokens: int
    total_tokens: int


class EmbeddingList(Struct):
    """One vector for each text, in their order."""

    data: list[Vector]
    model: str
    usage: EmbeddingsUsage
    object: Literal["list"] = "list"


@post(
    "/v1/embeddings",
    status_code=200,
    body=EmbeddingsBody,
    reply=EmbeddingList,
    unrepeatable="The same texts have the same embeddings, however often they are sent.",
)
async def embeddings(request: AnyRequest, services: Wired) -> Response[bytes]:
    """Embeddings of texts, each a vector of length 1."""
    principal = services.doorman.principal(request)
    body = _read(await request.body())
    name = await services.model(principal, body.model, "")
    makers = _makers(services, name)
    asked = services.new_request(principal, name, (), trace=request_id(request))
    with services.abreast.of(principal.user_id) as places:
        asked = await services.limiter.admit(asked)
        heard: list[Embedded] = []
        try:
            made = await _embedded(services, places, makers, name, body.texts, heard)
        except MeshError:
            await _count(services, asked, heard)
            raise
        except BaseException:
            services.limiter.ended(asked.rid, _tokens(heard))
            raise
        tokens = _tokens(made)
        await beside.tell(services, asked, tokens)
    as_text = body.encoding_format == "base64"
    vectors = [Vector(at, _spelled(each.vector, as_text)) for at, each in enumerate(made)]
    told = EmbeddingList(vectors, name, EmbeddingsUsage(tokens, tokens))
    return as_json(told)


def _read(data: bytes) -> EmbeddingsBody:
    """Raises MeshError (bad_request, unsupported), naming the parameter at fault."""
    parameters.check(data, parameters.EMBEDDINGS)
    body = decode_body(data, EmbeddingsBody)
    for at, text in enumerate(body.texts):
        if not text.strip():
            where = "input" if isinstance(body.input, str) else f"input[{at}]"
            raise bad(where, "There is nothing in this text; leave it out.")
    return body


def _makers(services: Services, model: str) -> list[Writer]:
    """The workers that make embeddings of a model: of different engines or versions not all do.

    Raises MeshError (unsupported) if none of those who serve it does.
    """
    workers = services.models.workers(model)
    found = [
        Writer(worker.name, worker.inc)
        for worker in workers
        for card in worker.models
        if card.name == model and Ability.EMBED.value in card.abilities
    ]
    if workers and not found:
        raise unsupported("model", f"The model {model!r} makes no embeddings; ask another.")
    return found


async def _count(services: Services, asked: Request, heard: list[Embedded]) -> None:
    """Count what was made of a body that is refused after all; of nothing the log is not told."""
    if heard:
        await beside.tell(services, asked, _tokens(heard))
    else:
        services.limiter.ended(asked.rid, 0)


def _tokens(made: list[Embedded]) -> int:
    return sum(each.tokens for each in made)


async def _embedded(
    services: Services,
    places: asyncio.Semaphore,
    workers: list[Writer],
    model: str,
    texts: list[str],
    heard: list[Embedded],
) -> list[Embedded]:
    """Raises MeshError; what no worker was asked for by then is not made. heard: gets what was, and
    in the end also what workers were at just then. places: of the user, one for each text."""
    first = cycle(range(max(1, len(workers))))
    failures: list[MeshError] = []

    async def one(text: str, begin: int) -> Embedded | None:
        asked = Embed(text=text, model=model)
        async with places:
            if failures:
                return None
            try:
                made = await _ask(services, workers[begin:] + workers[:begin], asked)
            except MeshError as error:
                failures.append(error)
                return None
        heard.append(made)
        return made

    async with asyncio.TaskGroup() as group:
        asked = [group.create_task(one(text, next(first))) for text in texts]
    if failures:
        raise failures[0]
    return [made for task in asked if (made := task.result()) is not None]


async def _ask(services: Services, workers: list[Writer], asked: Embed) -> Embedded:
    """Ask one worker after the other. Raises MeshError (too_large, context_overflow, no_worker)."""
    if len(asked.text.encode()) * 2 > services.bus.max_payload:
        raise MeshError(ErrorCode.TOO_LARGE, param="input")
    for worker in workers:
        try:
            address = subjects.encode(worker)
            reply = await services.bus.ask(address, asked, timeout=PATIENCE)
            answer = decode_embed_reply(reply.data)
        except (BusError, ValueError):
            continue
        if isinstance(answer, Embedded):
            return answer
        if answer.code is ErrorCode.CONTEXT_OVERFLOW:
            raise MeshError(answer.code, param="input")
    raise MeshError(ErrorCode.NO_WORKER, retry_after=services.settings.worker_wait)


def _spelled(vector: bytes, as_text: bool) -> list[float] | str:
    if as_text:
        return b64encode(vector).decode()
    return list(unpack(f"<{len(vector) // 4}f", vector))
