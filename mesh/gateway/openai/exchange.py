"""One HTTP request for completions and the answers it reads: its own, or those its key led to.

Without an `Idempotency-Key` hanging up cancels. With one it does not: the same body under the
same key is the same answer, running or finished, and `Last-Event-ID` reads on behind that event.
"""

from litestar import Response
from msgspec.structs import replace

from mesh.bus.follow import Track
from mesh.gateway.anew import refused
from mesh.gateway.client import Client
from mesh.gateway.errors import AnyRequest, answer, request_id
from mesh.gateway.headers import idempotency_key, read_after
from mesh.gateway.keys import check_whole, nth
from mesh.gateway.openai.asked import Asked, bad
from mesh.gateway.openai.completion import Book, Chunks, completion, error_event, failure
from mesh.gateway.openai.repeating import note_of, noted_whole, whole_digest
from mesh.gateway.services import Services
from mesh.gateway.together import together
from mesh.gateway.tokens import Principal
from mesh.protocol.abilities import thoughts_of
from mesh.protocol.errors import MeshError
from mesh.protocol.events import Done
from mesh.protocol.request import Request

Choice = tuple[Request, Track]
"""A choice as it was sent, and the track of what answers it."""


class Exchange:
    """The choices of one answer, accepted."""

    def __init__(
        self,
        services: Services,
        request: AnyRequest,
        asked: Asked,
        key: str,
        choices: list[Choice],
    ) -> None:
        self._services = services
        self._request = request
        self._asked = asked
        self._key = key
        self._sent = choices[0][0]
        self._tracks = [track for _, track in choices]

    async def stream(self, client: Client, after: int) -> Response[bytes]:
        """The answers as events, behind piece `after`; a refusal in time is a status."""
        services = self._services
        for track in self._tracks:
            if not await services.streams.first_change(track, client):
                return self._left()
        for track in self._tracks:
            run = track.run
            if not run.texts and run.end is not None and not isinstance(run.end, Done):
                return self._failed(track)
        book = self._book()
        parts = [
            (track, Chunks(book, at, opened=after >= 0)) for at, track in enumerate(self._tracks)
        ]
        parting = error_event(failure(None))
        return services.streams.together(parts, after, bool(self._key), parting)

    async def whole(self, client: Client) -> Response[bytes]:
        """The answers as one object."""
        ends = []
        for track in self._tracks:
            if not await self._services.streams.ended(track, client):
                return self._left()
            end = track.run.end
            if not isinstance(end, Done):
                return self._failed(track)
            ends.append(end)
        body = completion(self._book(), [track.run for track in self._tracks], ends)
        return Response(body, status_code=200, media_type="application/json")

    def _book(self) -> Book:
        """Headed by the request that is answered: of two under one key, the first."""
        run = self._tracks[0].run
        first = self._sent if run.queued is None else run.queued.request
        return Book(self._asked, first, self._services.models.cards().get(first.model), run)

    def _failed(self, track: Track) -> Response[bytes]:
        """A failure of what was accepted: the same request would only fail, or run, twice."""
        self.hang_up()
        response = answer(self._request, failure(track.run.end, self._asked.told_in))
        if not refused(track.run.end):
            response.headers["x-should-retry"] = "false"
        return response

    def _left(self) -> Response[bytes]:
        """The client has left, or the gateway has to; the one who left will not read this."""
        self.hang_up()
        return answer(self._request, failure(None))

    def hang_up(self) -> None:
        """Nobody reads this any more; one with a key may still be asked for again."""
        if not self._key:
            for track in self._tracks:
                self._services.streams.hang_up(track)


async def exchange(
    services: Services, request: AnyRequest, principal: Principal, asked: Asked
) -> Response[bytes]:
    """Accept what is asked for, and answer it. Raises MeshError."""
    key = idempotency_key(request)
    after = read_after(request, key) if asked.stream else -1
    if after >= 0 and len(asked.prompts) * asked.n > 1:
        raise bad("Last-Event-ID", "A stream of several answers has no events to read on behind.")
    client = Client(request, services.settings.hold_headers)

    async def accept() -> Exchange:
        first = await _first(services, principal, asked, key, request)
        client.check()
        whole = await whole_digest(request) if key else ""
        choices = await _submit(services, principal, asked, key, first, whole)
        return Exchange(services, request, asked, key, choices)

    accepted = await services.streams.accept(client, accept(), Exchange.hang_up)
    return await (accepted.stream(client, after) if asked.stream else accepted.whole(client))


async def _first(
    services: Services, principal: Principal, asked: Asked, key: str, request: AnyRequest
) -> Request:
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
    made = replace(made, raw=asked.raw, tools=asked.tools, grammar=asked.grammar)
    services.check_able(made)
    return made


async def _submit(
    services: Services, principal: Principal, asked: Asked, key: str, first: Request, whole: str
) -> list[Choice]:
    """Queue all choices, or none: those before one that is refused are withdrawn.

    whole: digest of all that was sent, where there is a key.
    """
    body = asked.digest() if key else ""
    made, *others = asked.choices(first)
    requests = [made]
    for at, other in enumerate(others, 1):
        rid = services.rid(principal, nth(key, at))
        requests.append(replace(other, rid=rid))
    many = "n" if asked.n > 1 else "prompt"
    thoughts = thoughts_of(services.models.cards().get(first.model))
    accepted: list[Choice] = []
    async with together(services, requests, body, param=many):
        try:
            for made in requests:
                track = await services.requests.submit(
                    made, body=body, note=note_of(whole), thoughts=thoughts
                )
                check_whole(noted_whole(track.run.queued), whole)
                accepted.append((replace(made, rid=track.rid), track))
        except MeshError:
            await services.requests.withdraw([track for _, track in accepted])
            raise
    return accepted
