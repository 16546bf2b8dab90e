"""`GET …/messages/{id}/events`: an answer as it is written, for any number of readers.

`pending` every second until something comes, `token` for each piece with its index as the event's
id, and last `message` or `error`. The events come from the log, so the store is not needed; with
`Last-Event-ID` they go on behind that piece, at any gateway. Leaving stops nothing.
"""

import msgspec
from litestar import Response, get
from litestar.params import FromPath
from msgspec import Struct

from mesh.gateway import from_log
from mesh.gateway.answering import look, stored_answer
from mesh.gateway.errors import AnyRequest
from mesh.gateway.event_stream import EventStream
from mesh.gateway.headers import RESUMABLE, last_event_id
from mesh.gateway.messages import MESSAGE
from mesh.gateway.services import Services, Wired
from mesh.gateway.tokens import Principal
from mesh.gateway.views import MessageRead, message_read
from mesh.protocol.chats import ChatMessage
from mesh.protocol.errors import ErrorCode, MeshError
from mesh.protocol.events import Failed
from mesh.protocol.request import Request, Turn
from mesh.protocol.run import Run

OPEN = ("pending", "in_progress")


class ChatEvent(Struct, frozen=True, kw_only=True, tag_field="event_type"):
    """The base of the events of an answer."""


class PendingEvent(ChatEvent, frozen=True, kw_only=True, tag="pending"):
    """Nothing has come yet. queue_position: how many are before this one; queue_size: in all."""

    queue_position: int
    queue_size: int


class PieceEvent(ChatEvent, frozen=True, kw_only=True, tag="token"):
    """A piece of the text. The event's id is its index, from 0."""

    text: str


class MessageEvent(ChatEvent, frozen=True, kw_only=True, tag="message"):
    """The last event of an answer that is complete, or was cancelled."""

    message: MessageRead


class FailureEvent(ChatEvent, frozen=True, kw_only=True, tag="error"):
    """The last event of an answer that failed. `error` is a sentence."""

    error: str
    code: ErrorCode
    message: MessageRead


_encode = msgspec.json.Encoder().encode


class ChatDialect:
    """The events of one answer. stored: what the store says of it, where it was asked."""

    def __init__(self, services: Services, turn: Turn, stored: ChatMessage | None = None) -> None:
        self._services = services
        self._turn = turn
        self._stored = stored

    def tokens(self, run: Run, index: int, upto: int) -> bytes:
        return b"".join(
            b'id: %d\ndata: {"event_type":"token","text":%b}\n\n' % (at, _encode(text))
            for at, text in enumerate(run.pieces(index, upto), index)
        )

    def end(self, run: Run) -> bytes:
        message = self._message(run)
        match run.end:
            case Failed(code=code, detail=detail):
                event: ChatEvent = FailureEvent(
                    error=detail or code.sentence, code=code, message=message
                )
            case _:
                event = MessageEvent(message=message)
        return _event(event)

    def tick(self, run: Run) -> bytes:
        if run.texts or run.end is not None or run.queued is None:
            return b""
        position, size = self._place(run, run.queued.request)
        return _event(PendingEvent(queue_position=position, queue_size=size))

    def _place(self, run: Run, request: Request) -> tuple[int, int]:
        waiting = self._services.waiting
        if run.n:  # claimed, and about to say something
            return 0, waiting.size(request.model)
        return waiting.place(request.rid, request.model)

    def _message(self, run: Run) -> MessageRead:
        cards = self._services.models.cards()
        if self._stored is not None:
            return message_read(self._stored, cards)
        return message_read(from_log.answer(run, self._turn), cards)


def _event(event: ChatEvent) -> bytes:
    return b"data: %b\n\n" % _encode(event)


@get(
    MESSAGE + "/events",
    events=(PendingEvent, PieceEvent, MessageEvent, FailureEvent),
    headers=RESUMABLE,
    also={204: "The answer has ended, and nothing of it is missing."},
)
async def message_events(
    request: AnyRequest, services: Wired, chat_id: FromPath[str], message_id: FromPath[str]
) -> Response[None] | EventStream:
    """Follow an answer as Server-Sent Events.

    204 when it has ended, unless `Last-Event-ID` shows that the reader lacks some of it and it is
    still in the log: then the rest is told, and the end.
    """
    user = services.doorman.signed_in(request)
    after = last_event_id(request)
    found = await look(services, user, chat_id, message_id)
    if found is None:
        return await _by_store(services, user, chat_id, message_id)
    message = None
    if found.run.end is not None:
        message = await _kept(services, user, chat_id, message_id)
        if after is None:
            return _nothing()
    track = await services.requests.logs.find(message_id)
    if track is None:
        return _nothing()
    last = -1 if after is None else after
    with services.requests.logs.reading(track):
        if track.run.end is not None and after is not None and len(track.run.texts) <= after + 1:
            return _nothing()
    dialect = ChatDialect(services, found.turn, message)
    return services.streams.response(track, dialect, last, keeps=True)


async def _by_store(
    services: Services, user: Principal, chat_id: str, message_id: str
) -> Response[None]:
    """For what the log does not have: an old answer, a person's message, or nothing at all."""
    message = await stored_answer(services, user, chat_id, message_id)
    if message.state in OPEN:
        raise MeshError(
            ErrorCode.STORE_UNAVAILABLE,
            "The log has this answer no more, and the store does not know its end yet.",
            retry_after=2.0,
        )
    return _nothing()


async def _kept(
    services: Services, user: Principal, chat_id: str, message_id: str
) -> ChatMessage | None:
    """An ended answer as the store has it, with votes and reports; None while it is away.

    Raises MeshError (not_found) when its chat was deleted.
    """
    try:
        return await stored_answer(services, user, chat_id, message_id)
    except MeshError as error:
        if error.code is ErrorCode.STORE_UNAVAILABLE:
            return None
        raise


def _nothing() -> Response[None]:
    return Response(None, status_code=204)
