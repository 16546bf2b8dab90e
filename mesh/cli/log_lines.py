"""How a service's log lines look: for people, or as JSON for programs that collect them. Pure.

Of an address that stands in one nobody reads a name or a password."""

import logging
from datetime import UTC, datetime

import msgspec

from mesh.bus.trace import TRACE
from mesh.protocol.hidden import without_userinfo

PLAIN = "%(asctime)s %(levelname)-7s %(message)s"


class Plain(logging.Formatter):
    """A line for people. It begins with the HTTP request's id where it is about one."""

    def __init__(self) -> None:
        super().__init__(PLAIN, "%H:%M:%S")

    def formatMessage(self, record: logging.LogRecord) -> str:
        trace = TRACE.get()
        if trace and not record.message.startswith(trace):
            record.message = f"{trace} {record.message}"
        return super().formatMessage(record)

    def format(self, record: logging.LogRecord) -> str:
        return without_userinfo(super().format(record))


class Json(logging.Formatter):
    """One JSON object a line: `time` (RFC 3339, UTC), `level`, `service`, `pid`, `logger`,
    `message`, and where there is one `request_id` and `error`, the traceback.

    service: which of the mesh's services this is.
    """

    def __init__(self, service: str) -> None:
        super().__init__()
        self._service = service

    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC)
        line: dict[str, str | int] = {
            "time": at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "service": self._service,
            "pid": record.process or 0,
            "logger": record.name,
            "message": without_userinfo(record.getMessage()),
        }
        if trace := TRACE.get():
            line["request_id"] = trace
        if record.exc_info:
            line["error"] = without_userinfo(self.formatException(record.exc_info))
        return msgspec.json.encode(line).decode()
