"""Answers the workers' questions: how does this request stand, and what is there before my claim?

Workers have no right to read the log. The prefix is given to the holder of the latest claim only,
and always read from the log itself: a take-over must begin where every reader will say it began.
"""

from mesh.bus.jetstream import JetStream
from mesh.bus.replay import Replayer, anchor, apply, last_event
from mesh.protocol import subjects
from mesh.protocol.codec import decode
from mesh.protocol.messages import Resume, RunStatus
from mesh.protocol.run import Run


class Resumer:
    """Reads logs for workers."""

    def __init__(self, js: JetStream) -> None:
        self._js = js
        self._replayers: dict[str, Replayer] = {}

    async def answer(self, subject: str, data: bytes) -> RunStatus:
        """Handle `resume.<user>.<rid>`: the user is who asks, by the broker's word."""
        user, rid = subject.split(".")[-2:]
        question = decode(data, Resume)
        last = await last_event(self._js, rid)
        if last is None:
            return RunStatus(last=0)
        run = await self._events(rid, last.seq)
        if not question.prefix or run.pen is None or run.pen[1].user != user:
            return _status(run)
        return _status(await self._whole(rid, last.seq, last.subject), prefix=True)

    async def _events(self, rid: str, upto: int) -> Run:
        run = Run()
        events = self._js.read(subjects.RUN_STREAM, subjects.events_of(rid), 1, upto)
        async for batch in events:
            for stored in batch:
                apply({rid: run}, stored)
        return run

    async def _whole(self, rid: str, upto: int, subject: str) -> Run:
        reply = subjects.parse_run(subject).reply
        found = await anchor(self._js, rid, upto)
        replayer = self._replayers.setdefault(reply, Replayer(self._js, reply))
        return await replayer.run(rid, found[0].seq if found is not None else 1)


def _status(run: Run, prefix: bool = False) -> RunStatus:
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
    )
