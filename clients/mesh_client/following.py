"""Where a reader stands in one answer: a pure state machine over the bytes of its streams.

It decides what to ask for next (from which piece on), turns bytes into typed events, drops what
comes twice and refuses what leaves a gap. The sockets are thin skins over it, one sync, one async.
"""

from collections.abc import Iterator

from mesh.protocol.errors import ErrorCode
from mesh_client import calls
from mesh_client.errors import BadReply
from mesh_client.events import (
    Event,
    Failed,
    Finished,
    Pending,
    Token,
    WireEvent,
    decode_generate,
    decode_wire,
)
from mesh_client.objects import Message
from mesh_client.sse import ServerEvent, SSEDecoder


class StreamBroken(Exception):
    """This connection cannot be read on; a new one from the same place can. The text says why."""


class Follower:
    """Reads one answer of a chat over as many connections as it takes.

    For each connection: `call()`, then `feed()` its chunks until `ended`, or `settle()` with the
    message when the gateway says 204 because the answer is finished already.
    """

    def __init__(self, chat_id: str, message_id: str) -> None:
        self.chat_id = chat_id
        self.message_id = message_id
        self.ended = False
        self._pieces: list[str] = []
        self._decoder = SSEDecoder()

    @property
    def text(self) -> str:
        """What was read so far."""
        return "".join(self._pieces)

    @property
    def tokens(self) -> int:
        """How many pieces were read so far; also the index of the next one."""
        return len(self._pieces)

    def call(self) -> calls.StreamCall:
        """The request that opens the next connection, after the last piece that was read."""
        self._decoder = SSEDecoder()
        return calls.events(self.chat_id, self.message_id, after=self.tokens - 1)

    def feed(self, chunk: bytes) -> Iterator[Event]:
        """The events that this chunk completes.

        Raises StreamBroken where pieces are missing, BadReply where it is not the protocol.
        """
        for event in self._decoder.feed(chunk):
            yield from self._apply(event)
            if self.ended:
                return

    def settle(self, message: Message) -> Iterator[Event]:
        """End with the stored message: first what is missing of its text, then the end.

        Raises StreamBroken when it is not finished, BadReply when it says another text.
        """
        if message.unfinished:
            raise StreamBroken("the gateway took the answer for finished, but it is not")
        yield from self._missing(message)
        self.ended = True
        yield self._end(message)

    def _apply(self, event: ServerEvent) -> Iterator[Event]:
        wire = decode_wire(event)
        match wire.event_type:
            case "pending":
                yield Pending(wire.queue_position, wire.queue_size)
            case "token":
                yield from self._token(event.id, wire.text)
            case "message" if wire.message is not None:
                yield from self.settle(wire.message)
            case "error":
                self.ended = True
                yield self._failed(wire)
            # Other kinds come with later versions and are no part of the answer's text.

    def _token(self, id: str, text: str) -> Iterator[Event]:
        if not id.isdecimal():
            raise BadReply(f"A token came without its index (id: {id!r}).")
        index = int(id)
        if index > self.tokens:
            raise StreamBroken(f"token {self.tokens} is missing before token {index}")
        if index == self.tokens:
            self._pieces.append(text)
            yield Token(text, index)

    def _missing(self, message: Message) -> Iterator[Event]:
        """The rest of a complete text; an unfinished one may be shorter than what was read."""
        read, content = self.text, message.content or ""
        if content.startswith(read):
            if rest := content[len(read) :]:
                yield Token(rest, self.tokens)
                self._pieces.append(rest)
        elif message.state == "complete":
            raise BadReply(f"The stored text of answer {message.id} is not the one that was read.")

    def _end(self, message: Message) -> Finished | Failed:
        if message.state in ("complete", "cancelled"):
            counted = message.usage.completion_tokens if message.usage else 0
            return Finished(self.text, counted or self.tokens, message.state, message)
        sentence = message.error or f"The answer ended as {message.state}."
        return Failed(_code(message), sentence, self.text, message)

    def _failed(self, wire: WireEvent) -> Failed:
        code = wire.code or _code(wire.message)
        return Failed(code, wire.error or "The answer failed.", self.text, wire.message)


def _code(message: Message | None) -> str:
    """Why an answer failed, also where the gateway gives no code of its own."""
    if message is None:
        return ErrorCode.ENGINE_FAILED
    timeout = message.state == "timeout"
    return message.error_code or (ErrorCode.DEADLINE_EXCEEDED if timeout else ErrorCode.WORKER_LOST)


class GenerateReader:
    """Reads the one stream of a `/generate` call, which ends with its connection."""

    def __init__(self) -> None:
        self.ended = False
        self._pieces: list[str] = []
        self._decoder = SSEDecoder()

    def feed(self, chunk: bytes) -> Iterator[Event]:
        """The events that this chunk completes; raises BadReply where it is not the protocol."""
        for event in self._decoder.feed(chunk):
            yield self._apply(event)
            if self.ended:
                return

    def cut(self, reason: str) -> Failed:
        """The end of a stream that stopped without one."""
        self.ended = True
        return Failed("unreachable", f"The stream was cut off: {reason}.", "".join(self._pieces))

    def _apply(self, event: ServerEvent) -> Event:
        wire = decode_generate(event)
        if wire.token is not None:
            self._pieces.append(wire.token)
            return Token(wire.token, wire.index)
        self.ended = True
        text = "".join(self._pieces)
        if wire.done:
            return Finished(text, wire.total_tokens)
        return Failed(
            wire.code or ErrorCode.ENGINE_FAILED, wire.error or "The answer failed.", text
        )
