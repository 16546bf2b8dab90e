"""Drafts: several answers to one message, begun in one call; and which of them is best."""

import asyncio
from collections.abc import Sequence
from typing import Annotated

from litestar import post
from litestar.params import FromPath
from msgspec import Meta, Struct

from mesh.bus.follow import Track
from mesh.gateway import from_log, keys
from mesh.gateway.answering import heard, plan_answer, request_of, supersede, turn_of
from mesh.gateway.body import read_body
from mesh.gateway.errors import AnyRequest
from mesh.gateway.headers import REPEATABLE, body_digest, idempotency_key
from mesh.gateway.messages import CHAT, MESSAGE, UNPROCESSABLE
from mesh.gateway.options import AnswerOptions
from mesh.gateway.services import Services, Wired
from mesh.gateway.taking_back import take_back
from mesh.gateway.together import together
from mesh.gateway.tokens import Principal
from mesh.gateway.views import MessageRead, message_read
from mesh.protocol.chats import Plan, PlanAnswer
from mesh.protocol.evaluations import EvaluateMessage
from mesh.protocol.request import Request

MOST = 8


class NewDrafts(AnswerOptions, kw_only=True, forbid_unknown_fields=True):
    """What `drafts` takes: the user's message to answer, how, and how often."""

    parent_id: str
    n: Annotated[int, Meta(ge=1, le=MOST)] = 3


class Drafts(Struct, frozen=True):
    """The answers that were begun: siblings, each with a seed of its own."""

    drafts: tuple[MessageRead, ...]


class NewEvaluation(Struct, forbid_unknown_fields=True):
    """The siblings that are worse than an answer; none: that is taken back."""

    inferior_message_ids: Annotated[tuple[str, ...], Meta(max_length=100)] = ()


@post(
    CHAT + "/drafts",
    status_code=200,
    body=NewDrafts,
    headers=REPEATABLE,
    leads_to=(keys.drafts,),
    exception_handlers=UNPROCESSABLE,
)
async def drafts(request: AnyRequest, services: Wired, chat_id: FromPath[str]) -> Drafts:
    """Begin several answers to a user's message at once: all of them, or none."""
    user = services.doorman.signed_in(request)
    body = await read_body(request, NewDrafts)
    body.check(services.settings.max_message_chars)
    question = PlanAnswer(
        user_id=user.user_id,
        chat_id=chat_id,
        parent_id=body.parent_id,
        answers=body.n,
    )
    tracks = await services.streams.begin(_begin(services, request, user, body, question))
    return _shown(services, tracks)


@post(MESSAGE + "/message_evals", status_code=200, body=NewEvaluation)
async def evaluate(
    request: AnyRequest, services: Wired, chat_id: FromPath[str], message_id: FromPath[str]
) -> None:
    """Say that an answer is better than some of its siblings."""
    user = services.doorman.signed_in(request)
    body = await read_body(request, NewEvaluation)
    await services.store.ask(
        EvaluateMessage(
            user_id=user.user_id,
            chat_id=chat_id,
            message_id=message_id,
            inferior_message_ids=body.inferior_message_ids,
        )
    )


async def _begin(
    services: Services, request: AnyRequest, user: Principal, body: NewDrafts, question: PlanAnswer
) -> list[Track]:
    """The drafts, followed; those that an idempotency key began are found again one by one.

    Raises MeshError as `answering.begin`.
    """
    key = idempotency_key(request)
    digest = await body_digest(request) if key else ""
    named = [keys.nth(key, number) for number in range(body.n)]
    known = [
        await services.requests.again(services.rid(user, each), digest) for each in named if key
    ]
    if known and all(known):
        return [track for track in known if track is not None]
    model, plan = await plan_answer(services, user, body.model_config_name, question)
    asked = [request_of(services, request, user, body, model, plan, each) for each in named]
    tracks = await _submit(services, asked, plan, body, digest)
    supersede(services, plan.unfinished, *tracks)
    return tracks


async def _submit(
    services: Services, asked: Sequence[Request], plan: Plan, body: NewDrafts, digest: str
) -> list[Track]:
    """Queue all of them; if one is refused, those that were accepted are withdrawn."""
    turn = turn_of(plan, body)
    async with together(services, asked, digest, chat=True):
        begun = await asyncio.gather(
            *(services.requests.submit(each, turn, digest) for each in asked),
            return_exceptions=True,
        )
        tracks = [track for track in begun if isinstance(track, Track)]
        failures = [failure for failure in begun if isinstance(failure, BaseException)]
        if failures:
            await services.requests.withdraw(tracks)
            await take_back(services, turn, said=False, withdrawn=tracks)
            raise failures[0]
    await asyncio.gather(*map(heard, tracks))
    return tracks


def _shown(services: Services, tracks: Sequence[Track]) -> Drafts:
    cards = services.models.cards()
    shown: list[MessageRead] = []
    for track in tracks:
        queued = track.run.queued
        if queued is None or queued.turn is None:
            raise keys.led_elsewhere()
        shown.append(message_read(from_log.answer(track.run, queued.turn), cards))
    return Drafts(tuple(shown))
