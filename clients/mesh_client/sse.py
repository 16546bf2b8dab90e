"""Server-Sent Events from bytes: a pure decoder that knows neither HTTP nor JSON.

The rules are those of the HTML standard, section 9.2.6 "Interpreting an event stream": lines end
in LF, CR or CRLF; a blank line dispatches; a line that starts with a colon is a comment; an event
that the end of the stream cuts off is dropped, which is what makes a resumption by id exact.
"""

from msgspec import Struct

from mesh_client.errors import BadReply

MAX_EVENT_BYTES = 64 << 20
"""Of one undispatched event; a stream that never ends an event must not eat the memory."""


class ServerEvent(Struct, frozen=True):
    """One dispatched event. `id` is the last one seen on the stream, "" before the first."""

    data: str
    event: str = "message"
    id: str = ""


class SSEDecoder:
    """Feed it chunks cut anywhere; it gives back the events they complete."""

    def __init__(self) -> None:
        self._partial: list[bytes] = []
        self._held = 0
        self._after_cr = False
        self._first_line = True
        self._data: list[str] = []
        self._event = ""
        self._id = ""

    def feed(self, chunk: bytes) -> list[ServerEvent]:
        """The events completed by this chunk. Raises BadReply on an event without an end."""
        found = (self._line(line) for line in self._lines(chunk))
        return [event for event in found if event is not None]

    def _lines(self, chunk: bytes) -> list[bytes]:
        if self._after_cr and chunk.startswith(b"\n"):
            chunk = chunk[1:]
            self._after_cr = False
        if not chunk:
            return []
        self._after_cr = chunk.endswith(b"\r")
        if b"\n" not in chunk and b"\r" not in chunk:
            self._hold(chunk)
            return []
        # Of bytes, splitlines knows the three line ends of the standard and no other.
        lines = b"".join([*self._partial, chunk]).splitlines(keepends=True)
        self._partial = []
        if not lines[-1].endswith((b"\n", b"\r")):
            self._partial.append(lines.pop())
        return [line.rstrip(b"\r\n") for line in lines]

    def _hold(self, chunk: bytes) -> None:
        self._partial.append(chunk)
        self._grow(len(chunk))

    def _grow(self, size: int) -> None:
        self._held += size
        if self._held > MAX_EVENT_BYTES:
            raise BadReply(f"The stream holds an event of more than {MAX_EVENT_BYTES} bytes.")

    def _line(self, raw: bytes) -> ServerEvent | None:
        line = raw.decode("utf-8", "replace")
        if self._first_line:
            self._first_line = False
            line = line.removeprefix("\ufeff")
        if not line:
            return self._dispatch()
        name, _, value = line.partition(":")
        self._field(name, value.removeprefix(" "))
        return None

    def _field(self, name: str, value: str) -> None:
        """Take one field; the empty name of a comment and unknown names fall through."""
        match name:
            case "data":
                self._grow(len(value))
                self._data.append(value)
            case "event":
                self._event = value
            case "id" if "\0" not in value:
                self._id = value

    def _dispatch(self) -> ServerEvent | None:
        data, event = self._data, self._event or "message"
        self._data, self._event, self._held = [], "", 0
        return ServerEvent("\n".join(data), event, self._id) if data else None
