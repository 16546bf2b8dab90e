"""How `mesh ask` shows an answer: as text, as one JSON object, or as a JSON line per event."""

import sys
from typing import Protocol

import msgspec
from msgspec import Struct

from mesh_client.errors import MeshClientError
from mesh_client.events import End, Event, Failed, Finished, Pending, Reconnecting, Token
from mesh_client.objects import Timings, Usage
from mesh_client.terminal import printable


class Rendering(Protocol):
    """Told everything in order; writes what belongs on stdout there, and all else on stderr.

    Writing raises BrokenPipeError when nobody reads any more.
    """

    def begun(self, chat_id: str, message_id: str) -> None: ...

    def event(self, event: Event) -> None: ...

    def error(self, error: MeshClientError) -> None: ...


class Problem(Struct, frozen=True):
    """An error as JSON."""

    code: str
    sentence: str
    request_id: str | None = None
    retry_after: float | None = None


class Record(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The one object of `--json`. Without `error` the answer is whole or was stopped."""

    chat_id: str = ""
    message_id: str = ""
    text: str = ""
    state: str = ""
    tokens: int = 0
    worker: str | None = None
    usage: Usage | None = None
    timings: Timings | None = None
    truncated: int = 0
    error: Problem | None = None


class ErrorLine(Struct, frozen=True, tag="error", tag_field="event_type"):
    """The last line of `--jsonl` when something went wrong outside of the answer."""

    error: Problem


class Begun(Struct, frozen=True, tag="begun", tag_field="event_type"):
    """The first line of `--jsonl`: where the answer is kept."""

    chat_id: str
    message_id: str


def rendering(form: str | None) -> Rendering:
    """The rendering for an option: None for text, `json`, `jsonl`."""
    match form:
        case "json":
            return AsObject()
        case "jsonl":
            return AsLines()
        case _:
            return AsText()


class AsText:
    """The text as it comes. On a terminal it is kept from commanding it; in a pipe it is as is."""

    def __init__(self) -> None:
        self._plain = not sys.stdout.isatty()
        self._position = -1
        self._open_line = False

    def begun(self, chat_id: str, message_id: str) -> None:
        """Nothing to show yet."""

    def event(self, event: Event) -> None:
        match event:
            case Token(text) if text:
                self._open_line = not text.endswith("\n")
                write(text if self._plain else printable(text))
            case Pending() | Reconnecting():
                self._wait(event)
            case Finished() | Failed():
                self._close_line()
                if event.message and event.message.beyond_context:
                    complain(event.message.beyond_context)
                if isinstance(event, Failed):
                    complain(event.sentence)

    def error(self, error: MeshClientError) -> None:
        self._close_line()
        complain(error.sentence)

    def _wait(self, event: Pending | Reconnecting) -> None:
        if isinstance(event, Reconnecting):
            if event.attempt == 1:
                complain(f"Lost the gateway ({event.reason}); looking for it again.")
        elif event.queue_position not in (0, self._position) and sys.stderr.isatty():
            self._position = event.queue_position
            complain(f"Queued; {event.queue_position} before this one.")

    def _close_line(self) -> None:
        if self._open_line:
            write("\n")
            self._open_line = False


class AsLines:
    """Every event as it comes, one JSON object a line."""

    def begun(self, chat_id: str, message_id: str) -> None:
        write_json(Begun(chat_id, message_id))

    def event(self, event: Event) -> None:
        write_json(event)
        if isinstance(event, Failed):
            complain(event.sentence)

    def error(self, error: MeshClientError) -> None:
        write_json(ErrorLine(_problem(error)))
        complain(error.sentence)


class AsObject:
    """One JSON object, when all is over."""

    def __init__(self) -> None:
        self._record = Record()
        self._written = False

    def begun(self, chat_id: str, message_id: str) -> None:
        self._record = Record(chat_id=chat_id, message_id=message_id)

    def event(self, event: Event) -> None:
        if isinstance(event, Finished | Failed):
            self._write(self._ended(event))
            if isinstance(event, Failed):
                complain(event.sentence)

    def error(self, error: MeshClientError) -> None:
        self._write(msgspec.structs.replace(self._record, error=_problem(error)))
        complain(error.sentence)

    def _write(self, record: Record) -> None:
        """Once: an answer that was stopped for being late ends twice."""
        if not self._written:
            write_json(record)
        self._written = True

    def _ended(self, end: End) -> Record:
        message = end.message
        failed = isinstance(end, Failed)
        return msgspec.structs.replace(
            self._record,
            text=end.text,
            state=message.state if message else "failed" if failed else "complete",
            tokens=end.tokens if isinstance(end, Finished) else 0,
            worker=message.worker if message else None,
            usage=message.usage if message else None,
            timings=message.timings if message else None,
            truncated=message.truncated if message else 0,
            error=Problem(end.code, end.sentence) if isinstance(end, Failed) else None,
        )


def write(text: str) -> None:
    """Put text on stdout at once."""
    sys.stdout.write(text)
    sys.stdout.flush()


def write_json(value: Struct) -> None:
    """Put one line of JSON on stdout at once."""
    write(msgspec.json.encode(value).decode() + "\n")


def complain(sentence: str) -> None:
    """Say something that is not the answer."""
    print(f"mesh: {printable(sentence)}", file=sys.stderr, flush=True)


def _problem(error: MeshClientError) -> Problem:
    return Problem(error.code, error.sentence, error.request_id, error.retry_after)
