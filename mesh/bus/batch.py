"""One batched read of a stream (ADR-31): many messages for one question.

Direct gets, which a replica may answer. What comes is heard by its sequences: a batch with a hole
in it ends before the hole.
"""

import asyncio
import itertools

import msgspec
from nats.aio.msg import Msg

from mesh.bus.connection import Bus, NoResponders, Silence, status
from mesh.bus.stored import Stored, direct

_batches = itertools.count(1)
"""A number for each batch that is read: what comes late of one must not be taken for another's."""

BATCH, BATCH_BYTES = 512, 2 << 20
"""Messages asked for at once in a batched read, and about how many bytes they may have together.

Left to itself the broker sends as much as it may hold back for a connection, then breaks that one
off for being slow; whoever is behind by so much would never catch up.
"""


async def read_batch(
    bus: Bus, stream: str, subject: str, start: int, patience: float
) -> tuple[list[Stored], bool]:
    """Messages under `subject` from sequence `start` on, and whether there are more.

    As far as they came without a hole. patience: seconds to wait for the first message, and from
    each to the next. Raises BusError.
    """
    batch = _Batch()
    inbox = f"{bus.inbox}.b.{next(_batches)}"
    subscription = await bus.listen(inbox, batch.receive)
    query = {"seq": start, "next_by_subj": subject, "batch": BATCH, "max_bytes": BATCH_BYTES}
    try:
        await bus.send(f"$JS.API.DIRECT.GET.{stream}", msgspec.json.encode(query), inbox)
        if not await batch.ended(patience):
            raise Silence(f"reading {stream} from {start} was not answered")
        return batch.got, batch.more.result()
    finally:
        batch.more.cancel()
        if not bus.client.is_closed:
            await subscription.unsubscribe()


class _Batch:
    """What has come of one. more: once it is over, whether there is more than that, or why not."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._heard = self._loop.time()
        self.got: list[Stored] = []
        self.more: asyncio.Future[bool] = self._loop.create_future()

    def receive(self, msg: Msg) -> None:
        if self.more.done():
            return
        self._heard = self._loop.time()
        if _follows(msg, self.got[-1].seq if self.got else 0):
            if status(msg):
                _end(msg, self.more)
            else:
                self.got.append(direct(msg))
        elif self.got:
            self.more.set_result(True)  # to be read on from there
        else:
            self.more.set_exception(Silence("the beginning of a batch was lost"))

    async def ended(self, patience: float) -> bool:
        """Wait until it is over; False where nothing has come for so many seconds."""
        while not self.more.done():
            left = self._heard + patience - self._loop.time()
            if left <= 0:
                return False
            await asyncio.wait({self.more}, timeout=left)
        return True


def _follows(msg: Msg, last: int) -> bool:
    """Whether nothing is missing before a message of a batch; last: sequence of the one before.

    What comes while the connection is away is lost, and what follows is not, if it is back soon.
    """
    before = (msg.headers or {}).get("Nats-Last-Sequence")
    return before is None or int(before) == last


def _end(msg: Msg, more: asyncio.Future[bool]) -> None:
    """Whether there is more, as the last message of a batch says, or why there was no answer.

    Nothing found is an end; a stream that does not serve just now is none.
    """
    match status(msg):
        case "204":
            more.set_result(int((msg.headers or {}).get("Nats-Num-Pending", "0")) > 0)
        case "404":
            more.set_result(False)
        case "503":
            more.set_exception(NoResponders("the stream does not answer just now"))
        case other:
            more.set_exception(Silence(f"a batch was ended with status {other}"))
