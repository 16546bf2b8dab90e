"""The routes of responses: make one, read it, read on within it, stop it."""

from functools import partial
from typing import Annotated

import msgspec
from litestar import Response, get, post
from litestar.params import FromPath, FromQuery, QueryParameter
from msgspec.structs import replace

from mesh.bus.follow import Track
from mesh.gateway.anew import refused
from mesh.gateway.body import as_json
from mesh.gateway.client import Client
from mesh.gateway.errors import AnyRequest, OpenAIError, answer, request_id
from mesh.gateway.headers import REPEATABLE, idempotency_key
from mesh.gateway.keys import check_whole
from mesh.gateway.openai.asked import Asked, bad
from mesh.gateway.openai.completion import error_event, failure
from mesh.gateway.openai.repeating import noted_whole, whole_digest
from mesh.gateway.openai.responses import body as bodies
from mesh.gateway.openai.responses.body import ResponsesBody
from mesh.gateway.openai.responses.deleting import refuse_deleted
from mesh.gateway.openai.responses.finding import Found, find, noted, unknown
from mesh.gateway.openai.responses.outcomes import check_outcomes
from mesh.gateway.openai.responses.shapes import Note, ResponseEvent, ResponseObject
from mesh.gateway.openai.responses.story import PREFIX, Story, Telling, as_it_stands, last_number
from mesh.gateway.openai.speech import Speech, message
from mesh.gateway.queries import refuse_queries
from mesh.gateway.services import Services, Wired
from mesh.gateway.stopping import stop
from mesh.gateway.tokens import Principal
from mesh.protocol.abilities import Ability
from mesh.protocol.errors import ErrorCode, MeshError
from mesh.protocol.events import Done, Failed
from mesh.protocol.request import Message, Request


@post(
    "/v1/responses",
    status_code=200,
    body=ResponsesBody,
    reply=ResponseObject,
    events=(ResponseEvent, OpenAIError),
    headers=REPEATABLE,
)
async def create_response(request: AnyRequest, services: Wired) -> Response[bytes]:
    """Answer, as one object or as Server-Sent Events; in the background at once, without it."""
    principal = services.doorman.principal(request)
    data = await request.body()
    read = partial(bodies.read, data)
    body, asked, note = await services.aside.read(principal.user_id, data, read)
    key = idempotency_key(request)
    so_far: tuple[Message, ...] = ()
    if body.previous_response_id is not None:
        before = await _before(services, principal, body.previous_response_id)
        so_far = _conversation(before)
        asked, note = _following(before, so_far, asked, note)
    check_outcomes(body, so_far)

    client = Client(request, services.settings.hold_headers)

    async def accept() -> Made:
        made, kept = await _new(services, principal, asked, note, key, request)
        client.check()
        digest = asked.digest() if key or note.background else ""
        whole = await whole_digest(request) if key else ""
        text = msgspec.json.encode(replace(kept, whole=whole)).decode()
        track = await services.requests.submit(made, body=digest, note=text)
        if key:
            check_whole(noted_whole(track.run.queued), whole)
            await refuse_deleted(services, track.rid)
        made = replace(made, rid=track.rid)
        return Made(services, track, made, kept, bool(key) or note.background)

    made = await services.streams.accept(client, accept(), Made.left)
    if note.background and not asked.stream:
        return made.object()
    wait = services.streams.first_change if asked.stream else services.streams.ended
    if not await wait(made.track, client):
        made.left()
        return answer(request, failure(None))
    if not note.background and made.refused():
        return made.refusal(request)
    return made.events(-1) if asked.stream else made.object()


class Made:
    """A response and what answers it. keeps: whether it goes on when nobody reads it.

    request, note: as they were sent, until the log tells which ones count.
    """

    def __init__(
        self, services: Services, track: Track, request: Request, note: Note, keeps: bool
    ) -> None:
        self.track = track
        self._services = services
        self._sent = request, note
        self._keeps = keeps

    def left(self) -> None:
        """Nobody reads this any more."""
        if not self._keeps:
            self._services.streams.hang_up(self.track)

    def refused(self) -> bool:
        """Whether it failed before it said anything."""
        run = self.track.run
        return isinstance(run.end, Failed) and not run.texts

    def refusal(self, request: AnyRequest) -> Response[bytes]:
        """A failure of what was accepted: the same request would only fail, or run, twice."""
        response = answer(request, failure(self.track.run.end, "input"))
        if not refused(self.track.run.end):
            response.headers["x-should-retry"] = "false"
        return response

    def object(self) -> Response[bytes]:
        """The response as it stands."""
        return as_json(as_it_stands(*self._told(), self.track.run))

    def events(self, after: int) -> Response[bytes]:
        """Its events behind number `after`."""
        telling = Telling(Story(*self._told()), after)
        parting = error_event(failure(None))  # a bare end would pass for the answer's
        return self._services.streams.response(self.track, telling, -1, self._keeps, parting)

    def _told(self) -> tuple[Request, Note]:
        queued = self.track.run.queued
        note = noted(queued)
        return self._sent if queued is None or note is None else (queued.request, note)


@get("/v1/responses/{response_id:str}", reply=ResponseObject, events=(ResponseEvent, OpenAIError))
async def get_response(
    request: AnyRequest,
    services: Wired,
    response_id: FromPath[str],
    stream: FromQuery[bool] = False,
    starting_after: Annotated[int, QueryParameter(ge=-1)] = -1,
    include_obfuscation: FromQuery[bool] = False,
) -> Response[bytes]:
    """A response as it stands, or its events behind number `starting_after`, up to its end.

    include_obfuscation has no effect: known, that a wrong one is refused.
    """
    principal = services.doorman.principal(request)
    refuse_queries(request, "include")
    if starting_after >= 0 and not stream:
        raise bad("starting_after", "starting_after is for streams; set stream, or leave it out.")
    run, queued, note = await find(services, principal, response_id)
    if not stream:
        return as_json(as_it_stands(queued, note, run))
    track = await services.requests.logs.find(response_id.removeprefix(PREFIX))
    if track is None:
        raise unknown(response_id)
    if starting_after >= 0 and track.run.end is not None:
        last = last_number(queued, note, track.run)
        if starting_after > last:
            raise bad("starting_after", f"The last event of this response has the number {last}.")
    return Made(services, track, queued, note, keeps=True).events(starting_after)


@post("/v1/responses/{response_id:str}/cancel", status_code=200, reply=ResponseObject)
async def cancel_response(
    request: AnyRequest, services: Wired, response_id: FromPath[str]
) -> Response[bytes]:
    """Stop a response that runs in the background; one that has ended stays as it is."""
    principal = services.doorman.principal(request)
    run, queued, note = await find(services, principal, response_id)
    if not note.background:
        raise bad("response_id", "Only a response in the background can be cancelled; hang up.")
    rid = response_id.removeprefix(PREFIX)
    stopped = await stop(services, request, run, rid, by=principal.name)
    return as_json(as_it_stands(queued, note, stopped))


async def _new(
    services: Services,
    principal: Principal,
    asked: Asked,
    note: Note,
    key: str,
    request: AnyRequest,
) -> tuple[Request, Note]:
    """The request, and the note with what is known of the model's thoughts."""
    made = services.new_request(
        principal,
        await services.model(principal, asked.model, key),
        asked.prompts[0],
        asked.sampling,
        asked.max_tokens,
        fit="refuse",
        key=key,
        trace=request_id(request),
    )
    made = replace(made, tools=asked.tools, grammar=asked.grammar, store=note.store)
    services.check_able(made)
    card = services.models.cards().get(made.model)
    abilities = card.abilities if card is not None else ()
    free = asked.grammar is None or bool(asked.tools)
    thinking = free and Ability.REASON_AT_ONCE.value in abilities
    return made, replace(note, thinks=Ability.REASON.value in abilities, thinking=thinking)


async def _before(services: Services, principal: Principal, response_id: str) -> Found:
    try:
        found = await find(services, principal, response_id)
    except MeshError as error:
        if error.code is not ErrorCode.NOT_FOUND:
            raise
        raise bad("previous_response_id", f"There is no response {response_id!r} here.") from error
    if found[0].end is None:
        raise bad("previous_response_id", "That response has not come to its end.")
    if not isinstance(found[0].end, Done):
        raise bad("previous_response_id", "That response failed or was cancelled; name another.")
    return found


def _conversation(found: Found) -> tuple[Message, ...]:
    """What was said up to the end of a response, without its instructions."""
    run, before, kept = found
    answered = run.end.text if run.end is not None else ""
    speech = Speech(before.rid, bool(before.tools), kept.thinks, kept.thinking)
    return (*before.messages[bool(kept.instructions) :], message(answered, speech))


def _following(
    found: Found, so_far: tuple[Message, ...], asked: Asked, note: Note
) -> tuple[Asked, Note]:
    """The same with the conversation so far before what is asked now; instructions are only those
    of now."""
    kept = found[2]
    left_out, instructed = bool(kept.instructions), bool(note.instructions)
    now = asked.prompts[0]
    developers = [at - left_out + instructed for at in kept.developers]
    developers += [at + len(so_far) for at in note.developers]
    prompt = (*now[:instructed], *so_far, *now[instructed:])
    return replace(asked, prompts=(prompt,)), replace(note, developers=developers)
