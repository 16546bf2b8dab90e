"""Who works on a request: claims the item in hand, or finds out that it is somebody else's.

An acknowledgement at the queue is no fence, so the log decides: the claim with the highest `n`.
A worker reads no log; it claims on the sequence that the item carries, and asks the gateways
only when that is refused or the item was handed out before.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from msgspec.structs import replace

from mesh.bus.appender import Fenced, append_to, new_uid
from mesh.bus.asking import ABSENT, AGAIN, NEVER, RETURNING, Says, ask
from mesh.bus.connection import Bus, BusError
from mesh.bus.jetstream import JetStream
from mesh.bus.pull import Item
from mesh.protocol import subjects
from mesh.protocol.codec import decode_resume_reply
from mesh.protocol.errors import ErrorCode
from mesh.protocol.events import Claim, RunEvent
from mesh.protocol.poison import Bounds, at_last_place, blamed
from mesh.protocol.questions import Loss, Refused, Resume, RunStatus
from mesh.protocol.request import Request
from mesh.protocol.subjects import Writer
from mesh.protocol.tool_story import WRITER
from mesh.worker.failures import left_for

log = logging.getLogger(__name__)

IMPATIENT, PATIENT = 1.0, 5.0
"""Seconds that the first gateway to be asked may take, and later ones: it may be frozen, and the
next who is asked is another; or the answer so far is long."""

RETRY = 0.2
"""Seconds between two tries to learn how a request stands."""

LEAST = 10.0
"""Seconds in which a gateway is asked for that, even where the request's own time is over."""

REMEMBERED = 1000
"""Requests that were given back and are known as such: who takes one over asks at once."""


MAY_PASS = frozenset(
    {
        ErrorCode.BROKER_UNAVAILABLE,
        ErrorCode.STORE_UNAVAILABLE,
        ErrorCode.GATEWAY_STOPPING,
        ErrorCode.INTERNAL,
    }
)
"""Why a gateway may refuse to say how a request stands, and another, or the same later, may not."""


@dataclass
class Held:
    """A claim that stands: the pen's number, the log's last sequence of this request.

    taken_over: somebody held it before, so there may be a prefix. cancel: asked for already;
    failures: so many of the claims before it ended because their engine had failed.
    """

    item: Item
    n: int
    last: int
    taken_over: bool = False
    cancel: bool = False
    failures: int = 0


class Past(NamedTuple):
    """What came of the claims before. lost: the last holder is gone without a word; failures: so
    many ended because their engine had failed."""

    lost: bool = False
    failures: int = 0


class Settled(Exception):
    """The item needs no work. ack: whether to acknowledge it, or to leave it to its holder."""

    def __init__(self, why: str, ack: bool) -> None:
        super().__init__(why)
        self.ack = ack


class Deferred(Exception):
    """The item is for others first, or for later: it goes back to the queue for `delay` seconds."""

    def __init__(self, delay: float) -> None:
        super().__init__("our engine has failed on it")
        self.delay = delay


class StatusUnknown(Exception):
    """No gateway has said how a request stands as long as it had time: it is left as it is."""


class StatusRefused(StatusUnknown):
    """A gateway has said that it cannot say it, and never will: why, in `refusal`."""

    def __init__(self, rid: str, refusal: Refused) -> None:
        super().__init__(f"no gateway can say how {rid} stands: {refusal.detail}")
        self.refusal = refusal


class Claims:
    """Claims and questions in the name of one worker process, with its model's fingerprint."""

    def __init__(
        self,
        bus: Bus,
        js: JetStream,
        writer: Writer,
        fingerprint: str,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._bus = bus
        self._js = js
        self._clock = clock
        self.fingerprint = fingerprint
        self.writer = writer
        self.on_event: Callable[[Request, RunEvent], None] = lambda request, event: None
        self._passed_on: dict[str, None] = {}
        self._failed_on: dict[str, float] = {}

    async def claim(self, item: Item) -> Held:
        """Claim an item whose request this process does not work on yet.

        Raises Settled when there is nothing to do, Deferred when it is not to be done here and now.
        """
        request = item.prompt.request
        n, last, uid, cancel, past = 1, item.prompt.queued, new_uid(), False, Past()
        first = item.deliveries == 1
        while True:
            if not first:
                status = await self._standing(request)
                if status.claim_uid == uid and not status.end:
                    return self._held(item, n, status.last, status.cancel, past)
                past = await self._check(item, status)
                self._defer(request, status, past.failures)
                n, last, cancel = status.n + 1, status.last, status.cancel
            first = False
            event = Claim(
                uid=uid,
                n=n,
                item=item.seq,
                ack_reply=item.ack_reply,
                model=request.model,
                fingerprint=self.fingerprint,
                lost=past.lost,
                failures=past.failures,
            )
            try:
                last = await self.append(item, event, last)
                return self._held(item, n, last, cancel, past)
            except Fenced:
                log.debug("The claim on %s was refused; asking how it stands", request.rid)

    async def append(self, item: Item, event: RunEvent, expected: int) -> int:
        """Append an event to the item's request, and tell `on_event`. Raises Fenced."""
        request = item.prompt.request
        seq = await append_to(self._js, request, self.writer, event, expected)
        self.on_event(request, event)
        return seq

    async def status(self, request: Request, prefix: bool = False) -> RunStatus:
        """How a request stands, from any gateway; waits for one as long as the request has time.

        Raises StatusUnknown; StatusRefused as soon as a gateway refuses for good.
        """
        try:
            async with asyncio.timeout(max(LEAST, request.deadline - self._clock())):
                return await self._ask(request.rid, prefix)
        except TimeoutError:
            raise StatusUnknown(f"no gateway says how {request.rid} stands") from None

    async def _standing(self, request: Request) -> RunStatus:
        """The same for a claim, which is not made then."""
        try:
            return await self.status(request)
        except StatusUnknown as why:
            raise Settled(str(why), ack=False) from None

    async def _ask(self, rid: str, prefix: bool) -> RunStatus:
        question, patience = Resume(rid=rid, prefix=prefix), IMPATIENT
        while True:
            asked = time.monotonic()
            try:
                answer = await self._bus.ask(
                    subjects.resume(self.writer.user, rid), question, timeout=patience
                )
                reply = decode_resume_reply(answer.data)
                if not isinstance(reply, Refused):
                    return _aged(reply, time.monotonic() - asked)
                if reply.code not in MAY_PASS:
                    raise StatusRefused(rid, reply)
                log.warning("No gateway could say how %s stands: %s", rid, reply.detail)
            except BusError as error:
                log.debug("Asking how %s stands: %s", rid, error)
                patience = min(2 * patience, PATIENT)
            await asyncio.sleep(RETRY)

    async def _check(self, item: Item, status: RunStatus) -> Past:
        """Raise Settled unless this worker should claim; else what came of the claims before."""
        if status.last == 0:
            raise Settled("the log has forgotten it", ack=True)
        if status.end:
            raise Settled(f"it is {status.end} already", ack=True)
        if status.n == 0:
            return Past()
        rid = item.prompt.request.rid
        if status.claimant == str(self.writer):
            return _past(status, Says.HANDED_OVER if self.has_passed_on(rid) else Says.NOT_MINE)
        claimant = Writer.named(status.claimant)
        if claimant.user == WRITER:  # a gateway was about to end it, and has not: no worker's fault
            return _past(status, Says.HANDED_OVER)
        # Ask before stealing.
        parted = NEVER if status.parted is None else time.monotonic() - status.parted
        says = await ask(self._bus, claimant, rid, parted=lambda: parted)
        if says is Says.WORKING:
            same = status.item == item.seq
            raise Settled(f"{status.claimant} works on it", ack=not same)
        return _past(status, says)

    def _defer(self, request: Request, status: RunStatus, failures: int) -> None:
        """Raise Deferred for what others should have first. What only has to be ended, may be."""
        failed_at = self._failed_on.get(request.rid)
        since = None if failed_at is None else time.monotonic() - failed_at
        delay = left_for(failures, since, status.aside)
        if delay and not status.cancel and self._clock() < request.deadline:
            raise Deferred(delay)

    async def blamed(
        self, losses: Sequence[Loss], bounds: Bounds, stopped: Callable[[], bool]
    ) -> int:
        """For how many losses in a row a request is to blame; as the pure `blamed` has it, but who
        was cut off or stood still, and is back, has not died of it. That takes a moment, unless it
        is `stopped`."""
        until = time.monotonic() + RETURNING
        while True:
            losses = await self._still_lost(losses)
            count = blamed(at_last_place(losses), len(losses), bounds)
            if not count or stopped() or time.monotonic() > until:
                return count
            await asyncio.sleep(AGAIN)

    async def _still_lost(self, losses: Sequence[Loss]) -> list[Loss]:
        """The losses of those that do not answer now either."""
        holders = list({loss.holder for loss in losses})
        said = await asyncio.gather(*(ask(self._bus, Writer.named(name), "") for name in holders))
        lost = {name for name, says in zip(holders, said, strict=True) if says in ABSENT}
        return [loss for loss in losses if loss.holder in lost]

    def _held(self, item: Item, n: int, last: int, cancel: bool, past: Past) -> Held:
        rid = item.prompt.request.rid
        self._passed_on.pop(rid, None)
        log.debug("%s is claimed with n = %d", rid, n)
        return Held(item, n, last, n > 1, cancel, past.failures)

    # --- what was given back ----------------------------------------------------------------------

    def pass_on(self, rid: str) -> None:
        """A claim of ours is left to others, and not because of the engine."""
        self._passed_on[rid] = None
        if len(self._passed_on) > REMEMBERED:
            del self._passed_on[next(iter(self._passed_on))]

    def failed_on(self, rid: str) -> None:
        """A claim of ours is left to others, or for later, because of the engine."""
        self._failed_on.pop(rid, None)
        self._failed_on[rid] = time.monotonic()
        if len(self._failed_on) > REMEMBERED:
            del self._failed_on[next(iter(self._failed_on))]

    def has_passed_on(self, rid: str) -> bool:
        """Whether our latest claim on a request ended so."""
        return rid in self._passed_on


def _aged(status: RunStatus, seconds: float) -> RunStatus:
    """A status that was so long on its way at most: what it says was so long ago is longer ago."""
    return status if status.parted is None else replace(status, parted=status.parted + seconds)


def _past(status: RunStatus, says: Says) -> Past:
    """What came of the claims before, by the word of the gateway and of the last holder.

    That the engine of a claim was well has to be known, else it counts as failed; so do all claims
    of whose engines an older gateway says nothing.
    """
    before = status.n - 1 if status.failures is None else status.failures
    if says is Says.HANDED_OVER:
        return Past(failures=before)
    if says is Says.NOT_MINE:
        return Past(failures=before + 1)
    failed = status.left and not status.in_order
    return Past(lost=not status.left, failures=before + failed)
