"""Bytes to messages and back. Decoders are made once: making one costs more than using it.

Every decoding raises msgspec.DecodeError (of which ValidationError is a kind) when the bytes are
not the message that was expected.
"""

from collections.abc import Callable
from functools import cache
from typing import Any, TypeVar

import msgspec
from msgspec.json import Decoder

from mesh.protocol.embeddings import Embed, EmbedReply
from mesh.protocol.enrolment import Enrolment, EnrolmentReply
from mesh.protocol.events import LogEvent
from mesh.protocol.frames import Frame
from mesh.protocol.letters import AskAgainReply, Letter
from mesh.protocol.queries import Query, Reply
from mesh.protocol.questions import (
    Encode,
    EncodeReply,
    HelloReply,
    Order,
    OrderReply,
    ResumeReply,
)
from mesh.protocol.tools import ToolEvent, ToolReply

T = TypeVar("T", bound=msgspec.Struct)

_encoder = msgspec.json.Encoder()


def _reader(kind: Any) -> Callable[[bytes], Any]:
    """Reads messages of a kind, or of a union of kinds."""
    read = Decoder(kind).decode

    def decode(data: bytes) -> Any:
        try:
            return read(data)
        except RecursionError as error:
            raise msgspec.DecodeError("JSON is nested too deeply") from error
        except UnicodeDecodeError as error:
            raise msgspec.DecodeError(f"JSON is not UTF-8: {error}") from error

    return decode


decode_event: Callable[[bytes], LogEvent] = _reader(LogEvent)
decode_tool_event: Callable[[bytes], ToolEvent] = _reader(ToolEvent)
decode_tool_reply: Callable[[bytes], ToolReply] = _reader(ToolReply)
decode_frame: Callable[[bytes], Frame] = _reader(Frame)
decode_order: Callable[[bytes], Order] = _reader(Order)
decode_order_reply: Callable[[bytes], OrderReply] = _reader(OrderReply)
decode_hello_reply: Callable[[bytes], HelloReply] = _reader(HelloReply)
decode_resume_reply: Callable[[bytes], ResumeReply] = _reader(ResumeReply)
decode_letter: Callable[[bytes], Letter] = _reader(Letter)
decode_ask_again_reply: Callable[[bytes], AskAgainReply] = _reader(AskAgainReply)
decode_text_question: Callable[[bytes], Encode | Embed] = _reader(Encode | Embed)
decode_encode_reply: Callable[[bytes], EncodeReply] = _reader(EncodeReply)
decode_embed_reply: Callable[[bytes], EmbedReply] = _reader(EmbedReply)
decode_enrolment: Callable[[bytes], Enrolment] = _reader(Enrolment)
decode_enrolment_reply: Callable[[bytes], EnrolmentReply] = _reader(EnrolmentReply)
decode_query: Callable[[bytes], Query] = _reader(Query)
decode_reply: Callable[[bytes], Reply] = _reader(Reply)


def encode(message: msgspec.Struct) -> bytes:
    """A message as JSON bytes, its tag first."""
    return _encoder.encode(message)


_reader_of = cache(_reader)


def decode(data: bytes, kind: type[T]) -> T:
    """Read a message of the one given kind."""
    message: T = _reader_of(kind)(data)
    return message
