"""Begins, finds and stops the answers of chats: what the routes of messages have in common.

An answer's message id is its request's id, so the log can be looked up by it: a running answer is
read and stopped while the store is away.
"""

import asyncio
import logging
import re
from collections.abc import Iterable, Sequence
from secrets import randbits
from typing import NamedTuple

from msgspec.structs import replace

from mesh.bus.follow import Track
from mesh.gateway.body import named_as_sent
from mesh.gateway.errors import AnyRequest, broker_away, request_id
from mesh.gateway.headers import body_digest, idempotency_key
from mesh.gateway.instructions import system_message
from mesh.gateway.options import AnswerOptions
from mesh.gateway.requests import Tried
from mesh.gateway.services import Services
from mesh.gateway.taking_back import taken_back
from mesh.gateway.tokens import Principal
from mesh.protocol.chats import ChatMessage, GetMessage, Plan, PlanAnswer
from mesh.protocol.errors import ErrorCode, MeshError
from mesh.protocol.request import Request, Sampling, Turn
from mesh.protocol.run import Run

log = logging.getLogger(__name__)

HEARING = 10.0
"""Seconds that an event may take from the log to us, reconnecting included."""

_RID = re.compile("[0-9a-f]{32}")


async def begin(
    services: Services,
    request: AnyRequest,
    user: Principal,
    options: AnswerOptions,
    question: PlanAnswer,
) -> Track:
    """Begin an answer to a question, once per idempotency key, and follow it.

    A new question ends the answers that this chat is still writing to earlier ones. Raises
    MeshError as `Models.choose`, `Requests.submit` and the store do.
    """
    options.check(services.settings.max_message_chars)
    key = idempotency_key(request)
    body = await body_digest(request) if key else ""
    tried = await _tried(services, user, key, body)
    if tried.track is not None:
        return tried.track
    question = await _once(services, user, question, tried.refused)
    try:
        model, plan = await plan_answer(services, user, options.model_config_name, question)
    except MeshError:  # perhaps because the same was sent twice at once, and the other was first
        tried = await _tried(services, user, key, body)
        if tried.track is None:
            raise
        return tried.track
    asked = request_of(services, request, user, options, model, plan, key)
    turn = turn_of(plan, options)
    async with taken_back(services, turn, said=question.user_message is not None):
        track = await services.requests.submit(asked, turn, body)
    await heard(track)
    supersede(services, plan.unfinished, track)
    return track


async def _tried(services: Services, user: Principal, key: str, body: str) -> Tried:
    """What an idempotency key has begun already."""
    if not key:
        return Tried("", None, None)
    return await services.requests.tried(services.rid(user, key), body)


async def _once(
    services: Services, user: Principal, question: PlanAnswer, refused: Track | None
) -> PlanAnswer:
    """A question that was refused, but stands in its chat still, is answered and not said twice."""
    turn = refused.run.queued.turn if refused is not None and refused.run.queued else None
    if refused is None or turn is None or question.user_message is None:
        return question
    try:
        await stored(services, user, question.chat_id, turn.user_message.id)
    except MeshError as error:
        if error.code is not ErrorCode.NOT_FOUND:
            raise
        return question  # it was taken back
    return PlanAnswer(
        user_id=question.user_id,
        chat_id=question.chat_id,
        parent_id=turn.user_message.id,
    )


async def plan_answer(
    services: Services, user: Principal, model: str | None, question: PlanAnswer
) -> tuple[str, Plan]:
    """The model that will answer, and the place and conversation of the answers to a question."""
    with named_as_sent(model="model_config_name"):
        name = await services.models.choose(model)
    await services.requests.queue.check_room(name, user.user_id, user.priority, question.answers)
    latest = await services.latest.of(question.chat_id)
    return name, await services.store.ask(replace(question, min_seq=latest))


async def heard(track: Track) -> None:
    """Wait until a request's first event, which was stored just now, has come back to us."""
    try:
        async with asyncio.timeout(HEARING):
            await track.until(lambda run: run.queued is not None)
    except TimeoutError:
        raise broker_away() from None


def request_of(
    services: Services,
    request: AnyRequest,
    user: Principal,
    options: AnswerOptions,
    model: str,
    plan: Plan,
    key: str,
) -> Request:
    parameters = options.sampling_parameters
    sampling = Sampling(
        temperature=parameters.temperature,
        top_k=parameters.top_k,
        top_p=parameters.top_p,
        typical_p=parameters.typical_p,
        repetition_penalty=parameters.repetition_penalty,
        seed=randbits(31),  # so that another worker can go on with it
    )
    system = system_message(
        options.system_prompt or "",
        options.user_profile or "",
        options.user_response_instructions or "",
    )
    return services.new_request(
        user,
        model,
        (system, *plan.messages) if system else plan.messages,
        sampling,
        parameters.max_new_tokens,
        fit="truncate",
        key=key,
        trace=request_id(request),
    )


def turn_of(plan: Plan, options: AnswerOptions) -> Turn:
    return replace(
        plan.turn,
        system_prompt=options.system_prompt or "",
        user_profile=options.user_profile or "",
        response_instructions=options.user_response_instructions or "",
    )


class Found(NamedTuple):
    """An answer that the log has: how it stands, and its place in its chat."""

    run: Run
    turn: Turn


async def look(services: Services, user: Principal, chat_id: str, message_id: str) -> Found | None:
    """How an answer of this user stands by the log; None where the log does not have it.

    Raises MeshError: not_found where the log has it, but not as this user's, in this chat.
    """
    if not _RID.fullmatch(message_id):
        return None
    run = await services.requests.logs.look(message_id)
    if run is None:
        return None
    turn = run.queued.turn if run.queued else None
    if turn is None or turn.user_id != user.user_id or turn.chat_id != chat_id:
        raise MeshError(ErrorCode.NOT_FOUND, "There is no such message.")
    return Found(run, turn)


async def stored(services: Services, user: Principal, chat_id: str, message_id: str) -> ChatMessage:
    """A message as the store has it, no older than what was heard of its chat."""
    query = GetMessage(
        user_id=user.user_id,
        chat_id=chat_id,
        message_id=message_id,
        min_seq=await services.latest.of(chat_id),
    )
    return await services.store.ask(query)


async def stored_answer(
    services: Services, user: Principal, chat_id: str, message_id: str
) -> ChatMessage:
    """As `stored`. Raises MeshError (bad_request) for what a person wrote."""
    message = await stored(services, user, chat_id, message_id)
    if message.role != "assistant":
        detail = "A person wrote this message; give the id of an answer."
        raise MeshError(ErrorCode.BAD_REQUEST, detail, param="message_id")
    return message


def supersede(services: Services, unfinished: Iterable[str], *begun: Track) -> None:
    """Cancel what a chat was still writing to questions that came before this one.

    Of a question that is sent twice under one key the slower copy is planned late: it finds its own
    answer among the unfinished, and even those to questions that were asked since. What counts is
    the order in which they stand in the log.
    """
    own = {track.rid for track in begun}
    for rid in unfinished:
        if rid not in own:
            services.requests.background(_cancel(services, rid, "next question", begun))


def cancel_all(services: Services, rids: Iterable[str], by: str) -> None:
    """Cancel answers in the background."""
    for rid in rids:
        services.requests.background(_cancel(services, rid, by))


async def _cancel(services: Services, rid: str, by: str, later: Sequence[Track] = ()) -> None:
    """Cancel an answer, unless one of `later` was asked for before it."""
    track = await services.requests.logs.find(rid)
    if track is None:
        log.debug("%s has gone from the log before it could be cancelled", rid)
        return
    for each in later:
        await heard(each)
    if all(track.run.queued_at < each.run.queued_at for each in later):
        with services.requests.logs.reading(track):
            await services.requests.endings.cancel(track, by)
