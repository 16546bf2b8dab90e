"""Answers the workers' questions: how does this request stand, and what is there before my claim?

Workers have no right to read the log. The prefix is given to the holder of the latest claim only,
and always read from the log itself: a take-over must begin where every reader will say it began.
"""

import time
from collections.abc import Callable, Iterable

from msgspec.structs import replace

from mesh.bus.asking import NEVER
from mesh.bus.entries import read_event
from mesh.bus.history import last_event, story
from mesh.bus.jetstream import JetStream
from mesh.bus.replay import Replays
from mesh.protocol import subjects
from mesh.protocol.codec import decode
from mesh.protocol.events import WorkerStopped
from mesh.protocol.poison import at_last_place
from mesh.protocol.questions import Resume, RunStatus
from mesh.protocol.run import Run
from mesh.protocol.subjects import Writer
from mesh.protocol.worker_info import WorkerInfo

IN_ORDER = ("drained", "stopped")
"""Why a worker leaves whose engine is well."""


class Resumer:
    """Reads logs for workers. workers: those who are there for a model; parted: when a process was
    heard to part, by `time.monotonic`."""

    def __init__(
        self,
        js: JetStream,
        workers: Callable[[str], Iterable[WorkerInfo]] = lambda model: (),
        parted: Callable[[Writer], float] = lambda writer: NEVER,
    ) -> None:
        self._js = js
        self._workers = workers
        self._parted = parted
        self._replays = Replays(js)

    async def answer(self, subject: str, data: bytes) -> RunStatus:
        """Handle `resume.<user>.<rid>`: the user is who asks, by the broker's word."""
        user, rid = subject.split(".")[-2:]
        question = decode(data, Resume)
        run = await story(self._js, rid)
        if run is None:
            return RunStatus(last=0)
        if not question.prefix or run.pen is None or run.pen[1].user != user:
            goodbye = await self._goodbye(run.pen[1]) if run.pen else None
            status = _status(run, goodbye=goodbye, aside=self._aside(run, user))
            parted = NEVER if run.pen is None else self._parted(run.pen[1])
            return replace(status, parted=_ago(parted))
        whole = await self._whole(rid, run)
        return RunStatus(last=0) if whole is None else _status(whole, prefix=True)

    async def _goodbye(self, claimant: Writer) -> WorkerStopped | None:
        """What the claimant's process has said when it left; None: nothing yet."""
        last = await last_event(self._js, subjects.process(claimant), subjects.FLEET)
        said = None if last is None else read_event(last)
        return said if isinstance(said, WorkerStopped) else None

    def _aside(self, run: Run, user: str) -> bool:
        """Whether who asks has had it, and a worker is there for it that has not; under whatever
        starts of their processes: of two that began anew, neither is to wait for the other."""
        had = {claimant.user for claimant in run.claimants}
        if run.queued is None or user not in had:
            return False
        return any(info.name not in had for info in self._workers(run.queued.request.model))

    async def _whole(self, rid: str, story: Run) -> Run | None:
        """The request with its pieces; None where the log has forgotten its beginning.

        Up to the claim of who asks: what others have written since counts for nothing.
        """
        if story.queued is None:
            return None
        return await self._replays.run(rid, story.queued, story.queued_at, story.last)


def _status(
    run: Run, prefix: bool = False, goodbye: WorkerStopped | None = None, aside: bool = False
) -> RunStatus:
    end = run.end
    ids = None if run.ids is None else tuple(tuple(piece) for piece in run.ids)
    return RunStatus(
        last=run.last,
        n=run.n,
        claimant="" if run.pen is None else str(run.pen[1]),
        item=run.claim.item if run.claim else 0,
        claim_uid=run.claim.uid if run.claim else "",
        cancel=run.cancel,
        end="" if end is None else type(end).__name__.lower(),
        end_uid="" if end is None else end.uid,
        texts=tuple(run.texts) if prefix else (),
        ids=ids if prefix else (),
        fingerprints=tuple(run.fingerprints),
        left=goodbye is not None,
        lost=at_last_place(run.losses) if prefix else 0,
        lost_in_all=len(run.losses) if prefix else 0,
        losses=tuple(run.losses) if prefix else (),
        in_order=goodbye is not None and goodbye.reason in IN_ORDER,
        failures=_failures(run),
        aside=aside,
    )


def _ago(moment: float) -> float | None:
    """How many seconds ago something was, by `time.monotonic`; None: never."""
    return None if moment == NEVER else time.monotonic() - moment


def _failures(run: Run) -> int | None:
    """How many claims before the latest ended by their engine's failure; where those who made them
    do not say, all of them count."""
    if run.claim is None:
        return None
    return run.claim.n - 1 if run.claim.failures is None else run.claim.failures
