"""The routes of questions: `POST /v1/ask`, and what a client has used.

Nothing is kept between two questions: the client sends the history along. Hanging up cancels, and
what was generated up to then is charged.
"""

from datetime import date
from typing import Annotated

from litestar import Response, get, post
from litestar.params import QueryParameter

from mesh.bus.follow import Track
from mesh.gateway.ask import body as bodies
from mesh.gateway.ask.body import AskBody, Question
from mesh.gateway.ask.shapes import Answer, Chunk, ClientInfo
from mesh.gateway.ask.writing import AskDialect, error_event, whole
from mesh.gateway.client import Client
from mesh.gateway.errors import AnyRequest, AskError, request_id, stopping
from mesh.gateway.openai.completion import failure
from mesh.gateway.openai.tokenize import count_tokens
from mesh.gateway.services import Services, Wired
from mesh.gateway.stream import refused
from mesh.gateway.tokens import Principal
from mesh.protocol.errors import ErrorCode, MeshError
from mesh.protocol.messages import Done, Request

NO_TOKENS = "Insufficient token (client)!"


@post("/v1/ask", status_code=200, body=AskBody, reply=Answer, events=(Chunk, AskError))
async def ask(request: AnyRequest, services: Wired) -> Response[bytes]:
    """Answer a question, as one object or as Server-Sent Events."""
    principal = services.doorman.principal(request)
    question = bodies.read(await request.body(), services.settings.ask_history)
    async with Client(request, services.settings.hold_headers) as client:

        async def accept() -> "Asked":
            made = await _request(services, principal, question, request_id(request))
            client.check()
            track = await services.requests.submit(made, charge=question.charge)
            return Asked(services, made, track, question)

        asked = await services.streams.accept(client, accept(), Asked.hang_up)
        return await (asked.stream(client) if question.stream else asked.whole(client))


@get("/v1/client/info")
async def client_info(
    request: AnyRequest,
    services: Wired,
    client_id: Annotated[str, QueryParameter(name="client_id")] = "",
) -> ClientInfo:
    """How many tokens a client of `POST /v1/ask` has used, and how many it may."""
    principal = services.doorman.principal(request)
    found = await services.quota.used(principal.user_id, client_id)
    if found is None:
        raise MeshError(ErrorCode.NOT_FOUND, "There is no such client.", param="client_id")
    return ClientInfo(client_id, found.tokens, services.quota.most)


class Asked:
    """A question that was accepted, and what answers it."""

    def __init__(
        self, services: Services, request: Request, track: Track, question: Question
    ) -> None:
        self._services = services
        self._request = request
        self._track = track
        self._client = question.charge.client

    async def stream(self, client: Client) -> Response[bytes]:
        """The answer as events; a failure before the first one is a status."""
        if not await self._services.streams.first_change(self._track, client):
            self.hang_up()
            raise stopping()
        refused(self._track)
        dialect = AskDialect(self._request, self.note_end)
        parting = error_event(stopping())
        return self._services.streams.response(self._track, dialect, -1, self.hang_up, parting)

    async def whole(self, client: Client) -> Response[bytes]:
        """The answer as one object."""
        if not await self._services.streams.ended(self._track, client):
            self.hang_up()
            raise stopping()
        self.note_end()
        run = self._track.run
        if not isinstance(run.end, Done):
            raise failure(run.end)
        return Response(whole(self._request, run, run.end), media_type="application/json")

    def hang_up(self) -> None:
        """Nobody reads this any more."""
        self._services.streams.hang_up(self._track)

    def note_end(self) -> None:
        """The client is being told of the end: its next question counts this one."""
        tenant, last = self._request.tenant, self._track.run.last
        self._services.quota.ended(tenant, self._client, last)


async def _request(
    services: Services, principal: Principal, question: Question, trace: str
) -> Request:
    """Raises MeshError: model_not_found, no_worker, quota_exhausted, broker_unavailable."""
    model = await services.model(principal, question.model, "")
    messages = question.messages(date.today())
    made = services.new_request(principal, model, messages, trace=trace)
    left = await services.quota.left(principal.user_id, question.charge.client)
    if left is not None:
        await _check_left(services, made, left)
    return made


async def _check_left(services: Services, request: Request, left: int) -> None:
    """Raise MeshError (quota_exhausted) unless twice the prompt is left: some for the answer.

    A text has no more tokens than bytes; only where that is not enough they are counted.
    """
    text = "\n".join(message.content for message in request.messages)
    if 2 * len(text.encode()) <= left:
        return
    if left <= 0 or 2 * await count_tokens(services, request.model, text) > left:
        raise MeshError(ErrorCode.QUOTA_EXHAUSTED, NO_TOKENS)
