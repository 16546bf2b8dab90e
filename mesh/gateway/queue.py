"""Puts prompts before the workers, and says when there is no room for more.

What is put there is decided elsewhere; the queue itself may refuse at any time, and it decides.
"""

import asyncio
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from mesh.bus.api import STORE_FAILED, UNDER_WAY, ApiError
from mesh.bus.connection import BusError
from mesh.bus.follow import Track
from mesh.bus.jetstream import JetStream
from mesh.gateway.budget import LogBudget
from mesh.gateway.crowd import Crowd
from mesh.gateway.lanes import Lanes
from mesh.gateway.limits.refusing import check_ever
from mesh.protocol import subjects
from mesh.protocol.codec import encode
from mesh.protocol.errors import ErrorCode, MeshError
from mesh.protocol.request import Prompt, Request
from mesh.protocol.subjects import Priority

log = logging.getLogger(__name__)

RETRY = 0.2
"""Seconds between two tries to put a prompt where no broker answers, or none can yet."""


class Queue:
    """The queue of prompts, as one gateway fills it. `budget`: of the log that comes before it."""

    def __init__(
        self, js: JetStream, crowd: Crowd, lanes: Lanes, clock: Callable[[], float]
    ) -> None:
        self.lanes = lanes
        self.budget = LogBudget(js)
        self._js = js
        self._crowd = crowd
        self._clock = clock

    def check(self, model: str, more: int = 1, param: str | None = None) -> None:
        """Raise MeshError (queue_full) if the mesh does not take `more` prompts for a model, and
        bad_request, which names `param`, if it never takes so many."""
        self.budget.check()
        self._crowd.check(model, more, param)

    @contextmanager
    def coming(self, request: Request) -> Iterator[None]:
        """Let a request in, and count it while it is being queued. Raises as `check`."""
        self.budget.check()
        with self._crowd.coming(request.rid, request.model):
            yield

    async def check_room(
        self, model: str, tenant: str, priority: Priority, more: int = 1, param: str = "n"
    ) -> None:
        """Raise MeshError (queue_full, share_full) if the queue would refuse `more` prompts now,
        and bad_request, which names `param`, if it always would.

        For routes that must not leave a refused request in somebody's chat. It is the queue that
        decides in the end: of two who are told that there is room for one, one may be refused.
        """
        self.check(model, more, param)
        everywhere, here = self.lanes.places(model, tenant, priority)
        queue = await self._js.stream_info(subjects.REQ_STREAM, everywhere)
        mine, limits = sum(queue.state.subjects.get(place, 0) for place in here), queue.config
        if 0 <= limits.max_msgs_per_subject < mine + more:
            what = "of your requests may be queued or running with a model at once"
            check_ever(limits.max_msgs_per_subject, more, what, param)
            raise self._crowd.refusal(ErrorCode.SHARE_FULL, model, tenant)
        if 0 <= limits.max_msgs < queue.state.messages + more:
            check_ever(limits.max_msgs, more, "requests may be queued or running at once", param)
            raise self._crowd.refusal(ErrorCode.QUEUE_FULL, model, tenant)

    def refusal(self, code: ErrorCode, request: Request) -> MeshError:
        """What to tell of a request that the queue has refused."""
        return self._crowd.refusal(code, request.model, request.tenant)

    def pause(self, model: str) -> float:
        """Seconds after which to ask again for what no worker took in time."""
        return self._crowd.pause(model)

    async def put(
        self, request: Request, queued: int, track: Track | None, again: str = ""
    ) -> ErrorCode | None:
        """Put a request before the workers that was queued in the log at sequence `queued`.

        Twice does no harm: one claim wins. The track is told where it lies, for whoever ends it
        before it is claimed. `again`: a new word, for the broker takes a repetition only as what
        it had forgotten.
        Returns why the queue refuses it, or None. Only who puts it there for the first time may
        end it for that: else it may lie in this full queue already. Where it does not, the sweeper
        tries again as long as it has time. Raises MeshError (broker_unavailable).
        """
        data = encode(Prompt(queued=queued, request=request))
        subject = self.lanes.subject(request)
        repetition = {"Nats-Msg-Id": f"{request.rid}.{queued}{again}"}
        while True:
            try:
                item = await self._js.append(subject, data, repetition)
                if track is not None:
                    track.item = item
                return None
            except BusError as error:
                if isinstance(error, ApiError) and error.code not in UNDER_WAY:
                    return _which(error)
                log.debug("%s is not in the queue yet: %s", request.rid, error)
                if self._clock() > request.deadline:
                    raise MeshError(ErrorCode.BROKER_UNAVAILABLE) from error
                await asyncio.sleep(RETRY)


def _which(error: ApiError) -> ErrorCode:
    """Which limit of the queue refused a prompt: the tenant's, or everybody's."""
    if error.code != STORE_FAILED:
        log.error("The queue refused a prompt: %s", error)
    per_subject = "per subject" in error.description
    return ErrorCode.SHARE_FULL if per_subject else ErrorCode.QUEUE_FULL
