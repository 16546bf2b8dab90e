"""What happens while an answer is written, as typed events; and how they look on the wire.

A reader of an answer sees any number of Pending, Token and Reconnecting, then exactly one
Finished or Failed. `Event` is the closed union of them, made for `match`.
"""

import msgspec
from msgspec import Struct

from mesh_client.errors import BadReply, GenerationFailed
from mesh_client.objects import Message
from mesh_client.sse import ServerEvent


class Pending(Struct, frozen=True, tag="pending", tag_field="event_type"):
    """The answer waits in the queue; 0 requests before it: it is the next one."""

    queue_position: int
    queue_size: int


class Token(Struct, frozen=True, tag="token", tag_field="event_type"):
    """A piece of text. Pieces are numbered from 0 and come in order, each exactly once."""

    text: str
    index: int


class Finished(Struct, frozen=True, tag="finished", tag_field="event_type"):
    """The answer has ended: whole, or stopped because somebody asked (`state` tells).

    text: all of it; tokens: how many, by the engine's count where it is known; message: None for
    an answer outside of a chat.
    """

    text: str
    tokens: int
    state: str = "complete"
    message: Message | None = None


class Failed(Struct, frozen=True, tag="failed", tag_field="event_type"):
    """There will be no more. `sentence` says why; `text` is what there was."""

    code: str
    sentence: str
    text: str
    message: Message | None = None


class Reconnecting(Struct, frozen=True, tag="reconnecting", tag_field="event_type"):
    """The stream was lost; it is taken up again, where it was, after `delay` seconds."""

    attempt: int
    delay: float
    reason: str


Event = Pending | Token | Finished | Failed | Reconnecting
End = Finished | Failed


def message_of(end: Event | None) -> Message:
    """The message that an answer's last event brought; raises GenerationFailed for a failed one."""
    match end:
        case Finished(message=Message() as message):
            return message
        case Failed():
            raise GenerationFailed(end.sentence, code=end.code, text=end.text)
        case _:
            raise BadReply("The answer ended without its message.")


class WireEvent(Struct, frozen=True, kw_only=True):
    """The JSON of one event on a chat's stream: the union of all kinds, told by event_type."""

    event_type: str
    queue_position: int = 0
    queue_size: int = 0
    text: str = ""
    error: str = ""
    code: str = ""
    message: Message | None = None


class GenerateEvent(Struct, frozen=True, kw_only=True):
    """The JSON of one event of `/generate`: a token, the end, or an error."""

    token: str | None = None
    index: int = 0
    done: bool = False
    total_tokens: int = 0
    error: str | None = None
    code: str = ""


_wire_events = msgspec.json.Decoder(WireEvent)
_generate_events = msgspec.json.Decoder(GenerateEvent)


def decode_wire(event: ServerEvent) -> WireEvent:
    """Read an event of a chat's stream; raises BadReply when it is none."""
    try:
        return _wire_events.decode(event.data)
    except msgspec.DecodeError as error:
        raise BadReply(f"The stream holds what is not an event of it: {error}.") from error


def decode_generate(event: ServerEvent) -> GenerateEvent:
    """Read an event of `/generate`; raises BadReply when it is none."""
    try:
        return _generate_events.decode(event.data)
    except msgspec.DecodeError as error:
        raise BadReply(f"The stream holds what is not an event of it: {error}.") from error
