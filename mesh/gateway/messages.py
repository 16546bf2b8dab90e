"""The messages of a chat: ask, answer, read, stop, vote, report. Their events: `events.py`."""

import time
from secrets import token_hex
from typing import Annotated, Any

from litestar import Response, get, post
from litestar.params import FromPath
from msgspec import Meta, Struct

from mesh.bus.follow import Track
from mesh.gateway import from_log, keys
from mesh.gateway.answering import begin, look, stored, stored_answer
from mesh.gateway.body import read_body
from mesh.gateway.errors import AnyRequest, answer
from mesh.gateway.headers import REPEATABLE, idempotency_key
from mesh.gateway.options import NewAnswer, NewExchange, NewQuestion, check_content
from mesh.gateway.services import Services, Wired
from mesh.gateway.stopping import Cancellation, cancellation, stop
from mesh.gateway.views import MessageRead, message_read
from mesh.protocol.chats import AddReport, AddUserMessage, PlanAnswer, ReportType
from mesh.protocol.chats import Vote as CastVote
from mesh.protocol.errors import ErrorCode, MeshError
from mesh.protocol.request import UserMessage

CHAT = "/chats/{chat_id:str}"
MESSAGE = CHAT + "/messages/{message_id:str}"


class Exchange(Struct, frozen=True):
    """A user's message, and the answer to it that was begun."""

    prompter_message: MessageRead
    assistant_message: MessageRead


class NewVote(Struct, forbid_unknown_fields=True):
    """The last vote counts; 0 takes it back."""

    score: Annotated[int, Meta(ge=-1, le=1)]


class NewReport(Struct, forbid_unknown_fields=True):
    """What is wrong with a message."""

    report_type: ReportType
    reason: Annotated[str, Meta(max_length=4_000)] = ""


def unprocessable(request: AnyRequest, error: MeshError) -> Response[bytes]:
    """Unknown models and wrong sampling parameters are 422 on the routes that begin answers."""
    response = answer(request, error)
    at_fault = (error.param or "").startswith("sampling_parameters")
    if error.code is ErrorCode.MODEL_NOT_FOUND or at_fault:
        response.status_code = 422
    return response


UNPROCESSABLE: Any = {MeshError: unprocessable}


@post(
    CHAT + "/prompter_message",
    status_code=200,
    body=NewQuestion,
    headers=REPEATABLE,
    leads_to=keys.KINDS,  # which say nothing of it: its key is its own
)
async def prompter_message(
    request: AnyRequest, services: Wired, chat_id: FromPath[str]
) -> MessageRead:
    """Add a user's message, under an answer or as the first one, without asking for an answer."""
    user = services.doorman.signed_in(request)
    key = idempotency_key(request)
    body = await read_body(request, NewQuestion)
    check_content(body.content, services.settings.max_message_chars)
    message = await services.store.ask(
        AddUserMessage(
            user_id=user.user_id,
            chat_id=chat_id,
            parent_id=body.parent_id,
            content=body.content,
            min_seq=await services.latest.of(chat_id),
            id=services.rid(user, keys.message(key)) if key else "",
        )
    )
    return message_read(message, {})


@post(
    CHAT + "/assistant_message",
    status_code=200,
    body=NewAnswer,
    headers=REPEATABLE,
    exception_handlers=UNPROCESSABLE,
)
async def assistant_message(
    request: AnyRequest, services: Wired, chat_id: FromPath[str]
) -> MessageRead:
    """Begin an answer to a user's message. Another answer to the same message is its sibling."""
    user = services.doorman.signed_in(request)
    body = await read_body(request, NewAnswer)
    question = PlanAnswer(
        user_id=user.user_id,
        chat_id=chat_id,
        parent_id=body.parent_id,
    )
    track = await services.streams.begin(begin(services, request, user, body, question))
    return _exchange(services, track).assistant_message


@post(
    CHAT + "/messages",
    status_code=200,
    body=NewExchange,
    headers=REPEATABLE,
    exception_handlers=UNPROCESSABLE,
)
async def exchange(request: AnyRequest, services: Wired, chat_id: FromPath[str]) -> Exchange:
    """Add a user's message and begin its answer in one step: both are kept, or neither is."""
    user = services.doorman.signed_in(request)
    body = await read_body(request, NewExchange)
    check_content(body.content, services.settings.max_message_chars)
    said = UserMessage(
        id=token_hex(16), content=body.content, parent_id=body.parent_id, created=time.time()
    )
    question = PlanAnswer(
        user_id=user.user_id,
        chat_id=chat_id,
        user_message=said,
        beside=body.beside,
    )
    track = await services.streams.begin(begin(services, request, user, body, question))
    return _exchange(services, track)


@get(MESSAGE)
async def get_message(
    request: AnyRequest, services: Wired, chat_id: FromPath[str], message_id: FromPath[str]
) -> MessageRead:
    """One message. The content of an answer is null until it has ended."""
    user = services.doorman.signed_in(request)
    message = await stored(services, user, chat_id, message_id)
    return message_read(message, services.models.cards())


@post(MESSAGE + "/cancel", status_code=200)
async def cancel(
    request: AnyRequest, services: Wired, chat_id: FromPath[str], message_id: FromPath[str]
) -> Cancellation:
    """Stop an answer; says how it ended, once that stands in the log."""
    user = services.doorman.signed_in(request)
    found = await look(services, user, chat_id, message_id)
    if found is None:
        message = await stored_answer(services, user, chat_id, message_id)
        tokens = message.usage.completion_tokens if message.usage else 0
        return Cancellation(message.state == "cancelled", message.state, tokens)
    run = await stop(services, request, found.run, message_id, user.user_id)
    return cancellation(run)


@post(MESSAGE + "/votes", status_code=200, body=NewVote)
async def vote(
    request: AnyRequest, services: Wired, chat_id: FromPath[str], message_id: FromPath[str]
) -> None:
    """Score an answer."""
    user = services.doorman.signed_in(request)
    body = await read_body(request, NewVote)
    query = CastVote(user_id=user.user_id, chat_id=chat_id, message_id=message_id, score=body.score)
    await services.store.ask(query)


@post(MESSAGE + "/reports", status_code=200, body=NewReport)
async def report(
    request: AnyRequest, services: Wired, chat_id: FromPath[str], message_id: FromPath[str]
) -> None:
    """Say what is wrong with a message."""
    user = services.doorman.signed_in(request)
    body = await read_body(request, NewReport)
    query = AddReport(
        user_id=user.user_id,
        chat_id=chat_id,
        message_id=message_id,
        report_type=body.report_type,
        reason=body.reason,
    )
    await services.store.ask(query)


def _exchange(services: Services, track: Track) -> Exchange:
    """A request of a chat, as its two messages, whoever asked for it first."""
    queued = track.run.queued
    if queued is None or queued.turn is None:
        raise keys.led_elsewhere()
    cards = services.models.cards()
    return Exchange(
        message_read(from_log.question(queued.turn), cards),
        message_read(from_log.answer(track.run, queued.turn), cards),
    )
