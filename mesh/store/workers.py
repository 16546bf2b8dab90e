"""What the log tells of workers: who is there, and what happened to each. Pure, like `apply`.

Name and incarnation are those of the event's subject, which the broker vouches for; only a loss
is reported by somebody else.
"""

from mesh.protocol.events import Cancelled, Done, End, Failed
from mesh.protocol.hardware import described
from mesh.protocol.subjects import Writer
from mesh.protocol.worker_info import WorkerInfo
from mesh.store.models import Run, Worker
from mesh.store.records import Record, claim_key
from mesh.store.rows import Rows


def started(rows: Rows, record: Record, info: WorkerInfo) -> None:
    """A worker process is ready to serve."""
    name, inc = record.writer
    models = ", ".join(card.name for card in info.models)
    machine = f" ({described(info.machine)})" if info.machine is not None else ""
    detail = f"{models} on {info.hardware}{machine}"
    _note(rows, record, "started", record.rid, name, detail, None)
    worker = rows.workers.get(name)
    if worker is None:
        worker = Worker(name=name, first_seen=record.at, last_seen=record.at)
        rows.add(worker)
    if worker.last_seen <= record.at:
        worker.inc, worker.state, worker.last_seen, worker.info = inc, "up", record.at, info


def left(rows: Rows, record: Record, kind: str, who: Writer, detail: str = "") -> None:
    """A worker process stopped or was lost.

    Several gateways may report one loss, also that of a worker which has said goodbye.
    """
    if {(kind, record.rid), ("stopped", record.rid)} & rows.worker_events:
        return
    _note(rows, record, kind, record.rid, who.user, detail, None)
    worker = rows.workers.get(who.user)
    if worker is None:
        worker = Worker(name=who.user, inc=who.inc, first_seen=record.at)
        rows.add(worker)
    if worker.inc == who.inc:
        worker.state, worker.last_seen = kind, record.at


def claimed(rows: Rows, record: Record, run: Run) -> None:
    """A worker took a request, for the first time or over from another."""
    key, detail = claim_key(run.rid, run.attempts), f"claim {run.attempts}"
    _note(rows, record, "claimed", key, record.writer.user, detail, run)


def ended(rows: Rows, record: Record, run: Run, end: End) -> None:
    """A request ended; whoever claimed it last gets the credit, or the blame.

    The first token has no event of its own: the end tells how long after the claim it came.
    """
    if run.worker is None:
        return
    first = end.timings.first_token
    if first is not None and run.claimed_at is not None:
        at, detail = run.claimed_at + first, f"after {first:.3f} s"
        _note(rows, record, "first_token", run.rid, run.worker, detail, run, at)
    kind, detail = _outcome(end)
    _note(rows, record, kind, run.rid, run.worker, detail, run)


def _outcome(end: End) -> tuple[str, str]:
    match end:
        case Done(finish=finish):
            return "finished", finish
        case Cancelled():
            return "finished", "cancelled"
        case Failed(code=code, detail=detail):
            return "failed", f"{code.value}: {detail or code.sentence}"


def _note(
    rows: Rows,
    record: Record,
    kind: str,
    key: str,
    worker: str,
    detail: str,
    run: Run | None,
    at: float = 0.0,
) -> None:
    """Add a worker event, unless it is there; `at` where it is not the time of the record."""
    rows.note(
        kind,
        key,
        seq=record.seq,
        at=at or record.at,
        worker=worker,
        rid=run.rid if run else None,
        detail=detail,
    )
