"""One line for each thing that happens in the log, for `mesh events`. Pure.

Tells what happened, never what was said: users' words are in the log, but not in here. Only
`tokens`, where they were asked for, quote the answer.
"""

import time

import msgspec
from msgspec import Struct

from mesh.bus.entries import read_event, read_frame
from mesh.bus.stored import Stored
from mesh.cli.screen import count, duration
from mesh.protocol import subjects
from mesh.protocol.codec import decode_tool_event
from mesh.protocol.events import (
    Cancel,
    Cancelled,
    Claim,
    Deleted,
    Done,
    End,
    Failed,
    FleetEvent,
    LogEvent,
    Queued,
    WorkerLost,
    WorkerStarted,
    WorkerStopped,
)
from mesh.protocol.subjects import RunSubject
from mesh.protocol.tool_story import WRITER
from mesh.protocol.tools import ActionDone, ActionsNeeded, KeyLed, RunBegun, RunOver, ToolEvent
from mesh.protocol.worker_info import WorkerInfo

STYLES = {
    "queued": "cyan",
    "claim": "blue",
    "done": "green",
    "failed": "red",
    "cancel": "magenta",
    "cancelled": "magenta",
    "started": "green",
    "stopped": "yellow",
    "lost": "red",
    "tokens": "dim",
}
"""The colour of each event on a terminal."""

WHOLE, BEGINNING = 32, 8
"""Characters of a request's id, and as many as will do to tell it from others."""


class Line(Struct, frozen=True, kw_only=True):
    """One event. seq: of the log; at: Unix time by the broker's clock; by: who wrote it.

    rid is None for what concerns a worker itself; worker: whose doing or whose fate it is.
    """

    seq: int
    at: float
    event: str
    rid: str | None
    worker: str | None
    by: str
    detail: str

    def parts(self, short: bool = False) -> tuple[str, str, str, str]:
        """For people: the local time, whom it concerns, the event, and what there is to say.

        short: of a request's id its beginning will do.
        """
        clock = time.strftime("%H:%M:%S", time.localtime(self.at))
        said = f"{self.worker}: {self.detail}" if self.rid and self.worker else self.detail
        width = BEGINNING if short else WHOLE
        subject = self.rid[:width] if self.rid else self.worker or ""
        return (
            f"{clock}.{int(self.at % 1 * 1000):03}",
            f"{subject:<{width}}",
            f"{self.event:<9}",
            "".join(c for c in said if c.isprintable()),
        )


def lines(stored: Stored) -> list[Line]:
    """What a message of the log tells: one line, one for each entry of a frame, or none."""
    where = subjects.parse_run(stored.subject)
    if where.kind == "tok":
        return _entries(stored, where)
    if where.reply == subjects.TOOLS:
        return [_tool(stored, where)]
    event = read_event(stored)
    return [] if event is None else [_event(stored, where, event)]


def _tool(stored: Stored, where: RunSubject) -> Line:
    """Of a run that calls tools: which, and what became of it."""
    event: ToolEvent | None
    try:
        event = decode_tool_event(stored.data)
    except msgspec.DecodeError:
        event = None
    match event:
        case RunBegun(run=run):
            detail = f"{run.model} for {run.tenant}, {count(len(run.tools), 'tool')}"
        case ActionsNeeded(calls=calls):
            detail = ", ".join(call.name for call in calls)
        case ActionDone(failed=failed, by=by):
            detail = f"{'failed' if failed else 'done'}, by a {by}"
        case RunOver(state=state, detail=said):
            detail = f"{state}: {said}" if said else state
        case KeyLed(thread=thread):
            detail = f"a key led to a run on the thread {thread}"
        case None:
            detail = "cannot be read"
    return Line(
        seq=stored.seq,
        at=stored.at,
        event="unknown" if event is None else str(event.__struct_config__.tag),
        rid=where.rid,
        worker=None,
        by=where.writer.user,
        detail=detail,
    )


def _entries(stored: Stored, where: RunSubject) -> list[Line]:
    frame = read_frame(stored)
    return [
        Line(
            seq=stored.seq,
            at=stored.at,
            event="tokens",
            rid=entry.rid,
            worker=where.writer.user,
            by=where.writer.user,
            detail=f"{entry.index}: {''.join(entry.texts)!r}",
        )
        for entry in (frame.entries if frame is not None else ())
    ]


def _event(stored: Stored, where: RunSubject, event: LogEvent) -> Line:
    fleet = isinstance(event, FleetEvent)
    return Line(
        seq=stored.seq,
        at=stored.at,
        event=str(event.__struct_config__.tag).removeprefix("worker_"),
        rid=None if fleet else where.rid,
        worker=_worker(where, event),
        by=where.writer.user,
        detail=_detail(event),
    )


def _worker(where: RunSubject, event: LogEvent) -> str | None:
    match event:
        case WorkerStarted(info=info):
            return info.name
        case WorkerStopped(name=name) | WorkerLost(name=name):
            return name
        case Claim() | Done() | Failed() | Cancelled() if where.writer.user != WRITER:
            return where.writer.user
        case _:
            return None


def _detail(event: LogEvent) -> str:
    match event:
        case Queued(request=request):
            return (
                f"{request.model} for {request.tenant}, {count(len(request.messages), 'message')}"
            )
        case Claim(n=n, model=model):
            return f"{model}, attempt {n}"
        case Cancel(by=by):
            return f"asked for{f' by {by}' if by else ''}"
        case Done(finish=finish):
            return f"{finish}, {_told(event)}"
        case Failed(code=code, detail=detail):
            return f"{code}: {detail or code.sentence} {_told(event)}"
        case Cancelled():
            return _told(event)
        case Deleted():
            return "is to be found no more"
        case WorkerStarted(info=info):
            return _offer(info)
        case WorkerStopped(reason=reason):
            return reason
        case WorkerLost():
            return "fell silent without a goodbye"


def _told(end: End) -> str:
    """Tokens and times of an answer, as far as they are known."""
    tokens, timings = count(end.usage.completion_tokens, "token"), end.timings
    if timings.first_token is None:
        return tokens
    return (
        f"{tokens} in {duration(timings.generate)}, queued {duration(timings.queue)}, first token "
        f"after {duration(timings.first_token)}"
    )


def _offer(info: WorkerInfo) -> str:
    models = ", ".join(f"{card.name} ({card.engine})" for card in info.models)
    return f"{models}, {count(info.slots, 'slot')}, on {info.host or 'an unnamed host'}"
