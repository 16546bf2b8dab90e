"""Bytes to messages and back. Decoders are made once: making one costs more than using it.

Every decoding raises msgspec.DecodeError (of which ValidationError is a kind) when the bytes are
not the message that was expected.
"""

from functools import cache
from typing import Any, TypeVar

import msgspec
from msgspec.json import Decoder

from mesh.protocol.messages import (
    AskAgainReply,
    Frame,
    HelloReply,
    Letter,
    LogEvent,
    Order,
    OrderReply,
    ResumeReply,
)
from mesh.protocol.queries import Query, Reply

T = TypeVar("T", bound=msgspec.Struct)

_encoder = msgspec.json.Encoder()
_events: Decoder[LogEvent] = Decoder(LogEvent)
_frames = Decoder(Frame)
_orders: Decoder[Order] = Decoder(Order)
_order_replies: Decoder[OrderReply] = Decoder(OrderReply)
_hello_replies: Decoder[HelloReply] = Decoder(HelloReply)
_resume_replies: Decoder[ResumeReply] = Decoder(ResumeReply)
_letters: Decoder[Letter] = Decoder(Letter)
_ask_again_replies: Decoder[AskAgainReply] = Decoder(AskAgainReply)
_queries: Decoder[Query] = Decoder(Query)
_replies: Decoder[Reply] = Decoder(Reply)

decode_event = _events.decode
decode_frame = _frames.decode
decode_order = _orders.decode
decode_order_reply = _order_replies.decode
decode_hello_reply = _hello_replies.decode
decode_resume_reply = _resume_replies.decode
decode_letter = _letters.decode
decode_ask_again_reply = _ask_again_replies.decode
decode_query = _queries.decode
decode_reply = _replies.decode


def encode(message: msgspec.Struct) -> bytes:
    """A message as JSON bytes, its tag first."""
    return _encoder.encode(message)


@cache
def _decoder(kind: Any) -> Decoder[Any]:
    return Decoder(kind)


def decode(data: bytes, kind: type[T]) -> T:
    """Read a message of the one given kind."""
    message: T = _decoder(kind).decode(data)
    return message
