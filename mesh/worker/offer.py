"""What a worker offers to the mesh now: which model, in which state, and how that is changed.

Pulls prompts for the model it offers. An order to load another waits for the answers under way, or
hands them over, and never touches a request that waits in the queue: that is the model's, not the
worker's. What loads an engine is `mesh.worker.loader`.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from math import inf

from msgspec import Struct
from msgspec.structs import replace

from mesh.bus.lasting import Lasting
from mesh.bus.pull import Puller
from mesh.protocol.errors import ErrorCode, MeshError
from mesh.protocol.questions import Accepted, LoadModel, UnloadModel
from mesh.protocol.worker_info import ModelCard, WorkerState
from mesh.settings import WorkerSettings
from mesh.worker.desk import Desk, NotReady
from mesh.worker.engines import choose
from mesh.worker.engines.base import EngineBroken
from mesh.worker.loader import Loader

log = logging.getLogger(__name__)

HELD = 5.0
"""Seconds for which a request is held while its model is being loaded again; then it is for any
worker that has it, and comes back here if there is none."""

RETRY = 15.0
"""Seconds after which a model that would not load again is tried once more."""


class Change(Struct, frozen=True, kw_only=True):
    """What is to be done. settings: of the model to serve, None: nothing; grace: as in an order;
    again: it is tried once more after a while, because it was not ordered."""

    settings: WorkerSettings | None
    grace: float = 0.0
    again: bool = False


class Offer:
    """The model on offer. `target`: the one that is to take its place; `trouble`: why the last one
    would not load; `changes`: how many changes have been made, or could not be.

    started_with: the settings of the worker, to which an order refers; join: asks the gateways to
    let this worker serve the loader's model; tell: makes its presence known at once; lasting: has
    the pulling, and the loading of a model that had rested.
    """

    def __init__(
        self,
        loader: Loader,
        started_with: WorkerSettings,
        new_puller: Callable[[str], Puller],
        join: Callable[[], Awaitable[object]],
        tell: Callable[[], Awaitable[None]],
        lasting: Lasting,
    ) -> None:
        self.target = ""
        self.trouble = ""
        self.changes = 0
        self._loader = loader
        self._started_with = started_with
        self._new_puller = new_puller
        self._join = join
        self._tell = tell
        self._lasting = lasting
        self._offered = True
        self._pullers: dict[str, Puller] = {}
        self._pulling: asyncio.Task[None] | None = None
        self._changes: asyncio.Queue[Change] = asyncio.Queue()
        self._busy = False
        self._waking: asyncio.Task[None] | None = None
        self._waking_since = 0.0
        self._retry: asyncio.TimerHandle | None = None
        self._asked = time.monotonic()

    # --- what others want to know -----------------------------------------------------------------

    @property
    def state(self) -> WorkerState:
        if self.target or self._loader.loading:
            return "loading"
        if self._busy:
            return "unloading"
        if not self._offered:
            return "unloaded"
        return "serving" if self._loader.loaded else "resting"

    def cards(self) -> tuple[ModelCard, ...]:
        """What it takes requests for."""
        info = self._loader.info
        card = ModelCard(
            name=info.model,
            fingerprint=info.fingerprint,
            engine=info.engine,
            context_length=info.context_length,
            abilities=tuple(info.abilities),
            size=info.size,
            memory=info.memory if self._loader.loaded else 0,
        )
        return (card,) if self._offered else ()

    # --- orders -----------------------------------------------------------------------------------

    def order(self, order: LoadModel | UnloadModel) -> Accepted:
        """Take an order, if it can be carried out as far as one sees; it takes a while.

        Raises MeshError: conflict while another is under way, model_not_found, bad_request.
        """
        if self._busy:
            raise MeshError(
                ErrorCode.CONFLICT,
                f"This worker is loading {self.target or 'a model'} just now; try again when it "
                "has, `mesh models` shows it.",
            )
        wanted = self._wanted(order) if isinstance(order, LoadModel) else None
        if wanted is not None:
            choose.check(wanted)
        self._take(Change(settings=wanted, grace=order.grace))
        return Accepted(change=self.changes + 1)

    def _wanted(self, order: LoadModel) -> WorkerSettings:
        """The worker's own settings with another model; what was meant for its first one, it keeps
        for that one only."""
        own = self._started_with
        if order.model in ("", own.model) and not order.engine:
            return replace(own, model_name=order.name or own.model_name)
        return replace(
            own,
            model=order.model,
            engine=order.engine or ("echo" if own.engine == "echo" else "auto"),
            model_name=order.name,
            draft="",
            lora="",
        )

    def _take(self, change: Change) -> None:
        self._busy = True
        self._changes.put_nowait(change)

    # --- at work ----------------------------------------------------------------------------------

    async def run(self, desk: Desk) -> None:
        """Pull prompts, and change the model as ordered, until cancelled.

        An engine that does not end when it is to make room is stuck, and the worker has to leave.
        """
        try:
            self._pull()
            while True:
                change = await self._changes.get()
                try:
                    await self._carry_out(change, desk)
                except EngineBroken as error:
                    log.error("%s", error)
                    desk.stuck.set()
                finally:
                    self._busy, self.target = not self._changes.empty(), ""
                    self.changes += 1
                await self._tell()
        finally:
            await self._pull_no_more()

    def wake(self) -> None:
        """A slot became free."""
        for puller in self._pullers.values():
            puller.wake()

    async def ready(self, held: float = HELD) -> None:
        """Have the model loaded for a request in hand. Raises NotReady when that fails, or takes
        more than `held` seconds in all: it goes on then, for who comes next."""
        self._asked = time.monotonic()
        if not self._loader.loaded and self._offered:
            if self._waking is None or self._waking.done():
                self._waking_since = time.monotonic()
                self._waking = self._lasting.start(self._load_again())
            left = max(0.0, held - self._waking_for())
            await asyncio.wait({self._waking}, timeout=None if left == inf else left)
        if not self._loader.loaded:
            raise NotReady
        self._asked = time.monotonic()

    @property
    def slow_to_wake(self) -> bool:
        """Whether the model is being loaded again for so long that requests had better wait in the
        queue, where other workers find them."""
        return self._waking_for() >= HELD

    def _waking_for(self) -> float:
        """Seconds for which the model has been loaded again up to now; 0.0 while it is not."""
        if self._waking is None or self._waking.done():
            return 0.0
        return time.monotonic() - self._waking_since

    async def rest(self, desk: Desk, after: float) -> None:
        """Free the engine's memory whenever nothing was asked for `after` seconds, until cancelled;
        0: never. An engine that does not come back from that within the time for a first token is
        stuck."""
        limit = self._started_with.first_token_limit
        while after:
            await asyncio.sleep(min(1.0, after / 4, limit / 4))
            if self._waking_for() > limit:
                log.error("%s is not loaded again after %g s", self._loader.info.model, limit)
                return desk.stuck.set()
            if desk.running():
                self._asked = time.monotonic()
            idle = time.monotonic() - self._asked
            if idle >= after and self._loader.loaded and self._offered and not self._busy:
                log.info("%s rests: nobody has asked for %.0f s", self._loader.info.model, idle)
                try:
                    await self._loader.put_away()
                except EngineBroken as error:
                    log.error("%s", error)
                    return desk.stuck.set()
                await self._tell()

    async def _load_again(self) -> None:
        """If that fails, offer the model no more, and try again later."""
        log.info("Loading %s again: it is asked for", self._loader.info.model)
        try:
            await self._loader.ready()
            self.trouble = ""
            self._asked = time.monotonic()  # whoever had to go back into the queue comes now
            await self._tell()
        except MeshError as error:
            log.error("%s", error.detail)
            self._offered, self.trouble = False, error.detail
            self._take(Change(settings=None, again=True))

    async def _carry_out(self, change: Change, desk: Desk) -> None:
        wanted, previous = change.settings, self._loader.settings
        if self._retry is not None:
            self._retry.cancel()
        if wanted is not None:
            self.target = wanted.model_name or wanted.model or "the bundled model"
            await self._tell()
            try:
                await choose.fetch(wanted)  # a download may take long: go on with the old one
            except MeshError as error:
                log.error("%s", error.detail)
                self.trouble = error.detail
                return
        self._offered = False
        await self._tell()
        await self._pull_no_more()
        await desk.empty(change.grace)
        if wanted is None:
            await self._loader.put_away()
        elif not await self._replace(wanted, desk):
            change = await self._go_back(previous, desk, tried=wanted)
        if change.again:
            self._retry = asyncio.get_running_loop().call_later(RETRY, self._try_again, previous)

    async def _go_back(self, previous: WorkerSettings, desk: Desk, tried: WorkerSettings) -> Change:
        """Serve the one before, if that is another; what is to be done if that fails as well."""
        trouble = self.trouble
        back = tried is not previous and await self._replace(previous, desk)
        self.trouble = trouble
        return Change(settings=None, again=not back)

    async def _replace(self, wanted: WorkerSettings, desk: Desk) -> bool:
        """Load a model and offer it; whether that was possible."""
        try:
            await self._loader.change(wanted)
            desk.seat()
            await self._join()
        except MeshError as error:
            log.error("%s", error.detail)
            self.trouble = error.detail
            return False
        self.trouble = ""
        log.info("Serving %s", self._loader.info.model)
        self._asked = time.monotonic()
        self._offered = True
        self._pull()
        return True

    def _try_again(self, settings: WorkerSettings) -> None:
        if not self._busy:
            self._take(Change(settings=settings))

    def _pull(self) -> None:
        model = self._loader.info.model
        puller = self._pullers.get(model)
        if puller is None:
            puller = self._pullers[model] = self._new_puller(model)
        self._pulling = self._lasting.start(puller.run())

    async def _pull_no_more(self) -> None:
        """What was pulled and not taken yet is given out again by the broker."""
        pulling, self._pulling = self._pulling, None
        if pulling is not None:
            pulling.cancel()
            with suppress(asyncio.CancelledError):
                await pulling
