"""Workers that serve a model tell one another what they take, and so agree on whose turn it is.

Only the order of the turns rests on it: what is not heard of, because two took in the same moment
or a connection broke, puts a lane ahead by that one prompt.
"""

import logging
from collections.abc import Callable

from msgspec import DecodeError
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from mesh.bus.connection import Bus, Disconnected
from mesh.protocol import subjects
from mesh.protocol.codec import decode
from mesh.protocol.questions import Taken

log = logging.getLogger(__name__)


class Talk:
    """What one worker says of a model, and hears. `heard`: another took from a lane, for a tenant
    of this weight.

    A broker whose users were written by an earlier version lets nobody say this. Who does not hear
    itself falls silent, rather than being refused with each prompt, until it has connected anew.
    """

    def __init__(self, bus: Bus, model: str, heard: Callable[[str, float], None]) -> None:
        self._bus = bus
        self._model = model
        self._own = subjects.taken(bus.user, model)
        self._heard = heard
        self._untold: list[tuple[str, float]] = []
        self._tried = False
        self._allowed = False
        self._subscription: Subscription | None = None
        bus.on_doubt(self._connected)

    async def start(self) -> None:
        """Hear what is said."""
        subject = subjects.taken(model=self._model)
        self._subscription = await self._bus.listen(subject, self._receive)

    async def close(self) -> None:
        if self._subscription is not None and not self._bus.client.is_closed:
            await self._subscription.unsubscribe()

    def took(self, lane: str, weight: float) -> None:
        """Say this with the next `tell`."""
        self._untold.append((lane, weight))

    async def tell(self) -> None:
        """Say what was taken since the last time."""
        turns, self._untold = tuple(self._untold), []
        if not turns or (self._tried and not self._allowed):
            return
        self._tried = True
        try:
            await self._bus.publish(self._own, Taken(turns=turns))
        except Disconnected:
            pass  # others go by what they know

    def _connected(self) -> None:
        self._tried = self._allowed = False

    def _receive(self, msg: Msg) -> None:
        if msg.subject == self._own:
            self._allowed = True
            return
        try:
            turns = decode(msg.data, Taken).turns
        except DecodeError as error:
            log.warning("What was said on %s cannot be read: %s", msg.subject, error)
            return
        for lane, weight in turns:
            self._heard(lane, weight)
