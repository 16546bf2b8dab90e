"""`POST /v1/chat/completions`: the mesh for whoever speaks OpenAI's API.

Without an `Idempotency-Key` hanging up cancels. With one it does not: the same body under the
same key is the same answer, running or finished, and `Last-Event-ID` reads on behind that event.
"""

from litestar import Response, post

from mesh.bus.follow import Track
from mesh.gateway.client import Client
from mesh.gateway.errors import AnyRequest, answer, request_id
from mesh.gateway.headers import REPEATABLE, RESUMABLE, idempotency_key, read_after
from mesh.gateway.openai import asked as asking
from mesh.gateway.openai.asked import Asked, ChatCompletionBody
from mesh.gateway.openai.completion import (
    Chunks,
    Completion,
    Head,
    completion,
    error_event,
    failure,
)
from mesh.gateway.services import Services, Wired
from mesh.gateway.tokens import Principal
from mesh.protocol.messages import Done, Request


class Exchange:
    """One HTTP request and the answer it reads: its own, or one that its key led to."""

    def __init__(
        self,
        services: Services,
        request: AnyRequest,
        asked: Asked,
        key: str,
        sent: Request,
        track: Track,
    ) -> None:
        self._services = services
        self._request = request
        self._asked = asked
        self._key = key
        self._sent = sent
        self._track = track

    async def stream(self, client: Client, after: int) -> Response[bytes]:
        """The answer as events, behind piece `after`; a refusal in time is a status."""
        track, services = self._track, self._services
        if not await services.streams.first_change(track, client):
            return self._left()
        if not track.run.texts and track.run.end is not None and not self._done():
            return self._failed()
        asked = self._accepted()
        chunks = Chunks(
            asked, self._fingerprint(asked.model), self._asked.include_usage, opened=after >= 0
        )
        parting = error_event(failure(None))
        return services.streams.response(track, chunks, after, self.hang_up, parting)

    async def whole(self, client: Client) -> Response[bytes]:
        """The answer as one object."""
        track = self._track
        if not await self._services.streams.ended(track, client):
            return self._left()
        end = track.run.end
        if not isinstance(end, Done):
            return self._failed()
        asked = self._accepted()
        body = completion(asked, self._fingerprint(asked.model), track.run, end)
        return Response(body, status_code=200, media_type="application/json")

    def _accepted(self) -> Request:
        """The request that is answered: of two under one key, the first."""
        queued = self._track.run.queued
        return self._sent if queued is None else queued.request

    def _done(self) -> bool:
        return isinstance(self._track.run.end, Done)

    def _failed(self) -> Response[bytes]:
        """A failure of what was accepted: the same request would only fail, or run, twice."""
        response = answer(self._request, failure(self._track.run.end))
        response.headers["x-should-retry"] = "false"
        return response

    def _left(self) -> Response[bytes]:
        """The client has left, or the gateway has to; the one who left will not read this."""
        self.hang_up()
        return answer(self._request, failure(None))

    def hang_up(self) -> None:
        """Nobody reads this any more; one with a key may still be asked for again."""
        if not self._key:
            self._services.streams.hang_up(self._track)

    def _fingerprint(self, model: str) -> str | None:
        card = self._services.models.cards().get(model)
        return card.fingerprint if card is not None else None


@post(
    "/v1/chat/completions",
    status_code=200,
    body=ChatCompletionBody,
    reply=Completion,
    events=(Head,),
    headers=REPEATABLE | RESUMABLE,
)
async def chat_completions(request: AnyRequest, services: Wired) -> Response[bytes]:
    """Answer a conversation, as one object or as Server-Sent Events."""
    principal = services.doorman.principal(request)
    asked = asking.read(await request.body())
    key = idempotency_key(request)
    after = read_after(request, key) if asked.stream else -1
    async with Client(request, services.settings.hold_headers) as client:

        async def accept() -> Exchange:
            sent = await _new(services, principal, asked, key, request)
            client.check()
            track = await services.requests.submit(sent, body=asked.digest() if key else "")
            return Exchange(services, request, asked, key, sent, track)

        exchange = await services.streams.accept(client, accept(), Exchange.hang_up)
        return await (exchange.stream(client, after) if asked.stream else exchange.whole(client))


async def _new(
    services: Services, principal: Principal, asked: Asked, key: str, request: AnyRequest
) -> Request:
    return services.new_request(
        principal,
        await services.model(principal, asked.model, key),
        asked.messages,
        asked.sampling,
        asked.max_tokens,
        fit="refuse",
        key=key,
        trace=request_id(request),
    )
