"""`POST /tokenize`: how many tokens a text has, by the tokenizer of a model that is served.

Beside the queue, and told to the log as a request that took none: so limits hold for it.
"""

import asyncio

from litestar import post
from msgspec import Struct

from mesh.bus.connection import BusError
from mesh.gateway import beside
from mesh.gateway.body import read_body
from mesh.gateway.errors import AnyRequest, request_id
from mesh.gateway.services import Services, Wired
from mesh.protocol import subjects
from mesh.protocol.abilities import Ability, unable
from mesh.protocol.codec import decode_encode_reply
from mesh.protocol.errors import ErrorCode, MeshError
from mesh.protocol.questions import Encode, Encoded
from mesh.protocol.subjects import Writer

PATIENCE = 5.0
"""Seconds that a worker may take; another is asked then."""


class TokenizeBody(Struct, forbid_unknown_fields=True):
    """A text as it stands: no chat template around it."""

    prompt: str
    model: str | None = None


class Tokenized(Struct):
    """count: of the ids in `tokens`; max_model_len: the model's context, in tokens."""

    count: int
    max_model_len: int
    tokens: list[int]


@post(
    "/tokenize",
    status_code=200,
    body=TokenizeBody,
    unrepeatable="The same text has the same tokens, however often it is sent.",
)
async def tokenize(request: AnyRequest, services: Wired) -> Tokenized:
    """The tokens of a text."""
    principal = services.doorman.principal(request)
    body = await read_body(request, TokenizeBody)
    name = await services.model(principal, body.model, "")
    card = services.models.cards().get(name)
    if card is None or Ability.ENCODE.value not in card.abilities:
        raise unable("prompt", name)
    asked = services.new_request(principal, name, (), trace=request_id(request))
    with services.abreast.of(principal.user_id) as places:
        asked = await services.limiter.admit(asked)
        try:
            ids = await _encoded(services, places, name, body.prompt)
        except BaseException:
            services.limiter.ended(asked.rid, 0)
            raise
        await beside.tell(services, asked, 0)
    return Tokenized(len(ids), card.context_length, list(ids))


async def count_tokens(services: Services, user: str, model: str, text: str) -> int:
    """How many tokens a text has; a fourth of its characters where the model cannot tell. Counts
    for no limit. Raises MeshError (too_large, no_worker, share_full).
    """
    card = services.models.cards().get(model)
    if card is None or Ability.ENCODE.value not in card.abilities:
        return len(text) // 4
    with services.abreast.of(user) as places:
        return len(await _encoded(services, places, model, text))


async def _encoded(
    services: Services, places: asyncio.Semaphore, model: str, text: str
) -> tuple[int, ...]:
    """Ask one worker after the other. Raises MeshError (too_large, no_worker)."""
    question = Encode(text=text)
    if len(text.encode()) * 2 > services.bus.max_payload:
        raise MeshError(ErrorCode.TOO_LARGE, param="prompt")
    async with places:
        for worker in services.models.workers(model):
            address = subjects.encode(Writer(worker.name, worker.inc))
            try:
                reply = await services.bus.ask(address, question, timeout=PATIENCE)
                found = decode_encode_reply(reply.data)
            except (BusError, ValueError):
                continue
            if isinstance(found, Encoded):
                return found.ids
            if found.code is ErrorCode.TOO_LARGE:  # its ids are more than the broker takes
                raise MeshError(ErrorCode.TOO_LARGE, param="prompt")
    raise MeshError(ErrorCode.NO_WORKER, retry_after=services.settings.worker_wait)
