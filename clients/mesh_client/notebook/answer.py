"""One answer of a notebook, and what one can do with it: wait, stop, look at it."""

import asyncio
from concurrent.futures import Future
from contextlib import suppress
from typing import TYPE_CHECKING

from mesh_client.async_client import AsyncAnswer
from mesh_client.errors import GenerationFailed, Unreachable
from mesh_client.events import Failed
from mesh_client.notebook.background import Background
from mesh_client.notebook.hearing import Hearing
from mesh_client.objects import Stop

if TYPE_CHECKING:
    import pandas as pd

    from mesh_client.notebook.plots import Plot

HEARD = 2.0
"""Seconds in which the end of an answer is heard whose stop was acknowledged; without a connection
it comes later, and nobody waits for that."""

AGAIN = 1.0
"""Seconds between two tries to stop an answer while the gateway is away."""


class Answer(Hearing):
    """Asked for, and perhaps still being written. `str(answer)` is its text so far."""

    def __init__(self, question: str, background: Background, model: str = "") -> None:
        super().__init__(question, model)
        self.shown_in = -1
        """The execution count of the cell that shows it."""
        self._background = background
        self._remote: AsyncAnswer | None = None
        self._reading: Future[None] | None = None
        self._stop_wanted = False

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return f"<Answer: {self.summary or self.phase}>"

    def _ipython_display_(self) -> None:
        from mesh_client.notebook.showing import show_again

        show_again(self)

    @property
    def id(self) -> str:
        """The id of its message; "" until the gateway has accepted it."""
        return self._remote.id if self._remote else ""

    @property
    def chat_id(self) -> str:
        return self._remote.chat.id if self._remote else ""

    def events_df(self) -> "pd.DataFrame":
        """What happened to it, and when."""
        from mesh_client.notebook.frames import heard

        return heard(self)

    def plot(self) -> "Plot":
        """Its time line: waiting, writing, pauses; and below, its tokens per second."""
        from mesh_client.notebook import plots

        return plots.one(self)

    # --- what one can do --------------------------------------------------------------------------

    def stop(self) -> Stop | None:
        """Stop it and wait until its worker has; None: it had not been begun."""
        return self._background.wait(self.stop_here())

    async def astop(self) -> Stop | None:
        """`stop` for event loops."""
        return await self._background.await_(self.stop_here())

    def stop_soon(self) -> None:
        """Stop it without waiting, also where the gateway has to be waited for."""
        self._background.start(self._stop_patiently())

    def wait(self) -> "Answer":
        """Wait for its end. Raises what it failed with; an interruption stops it first."""
        assert self._reading is not None
        try:
            self._reading.result()
        except KeyboardInterrupt:
            raise KeyboardInterrupt(str(self.stop() or "not begun")) from None
        return self._checked()

    async def await_(self) -> "Answer":
        """`wait` for event loops; who cancels it stops the answer."""
        assert self._reading is not None
        try:
            await asyncio.shield(asyncio.wrap_future(self._reading))
        except asyncio.CancelledError:
            self.stop_soon()
            raise
        return self._checked()

    def _checked(self) -> "Answer":
        if self.error is not None:
            raise self.error
        if isinstance(self.end, Failed):
            raise GenerationFailed(self.end.sentence, code=self.end.code, text=self.end.text)
        return self

    # --- on the client's loop ---------------------------------------------------------------------

    def read_by(self, reading: Future[None]) -> None:
        """Say who reads it."""
        self._reading = reading

    def accepted(self, remote: AsyncAnswer) -> None:
        """The gateway has begun it."""
        self._remote = remote
        self.phase = "waiting"
        self.note("accepted")
        self.news()

    async def stop_here(self) -> Stop | None:
        """`stop` on the client's loop."""
        self._stop_wanted = True
        seen = -1
        while self._remote is None and not self.ended:
            await self.changed(seen)
            seen = self.version
        if self._remote is None or self.stopped is not None:
            return self.stopped
        self.stopped = await self._remote.cancel()
        self.note("stopped", str(self.stopped))
        self.news()
        with suppress(TimeoutError):  # who has stopped it finds it ended
            async with asyncio.timeout(HEARD):
                await self.over()
        return self.stopped

    async def _stop_patiently(self) -> None:
        while not self.ended:
            try:
                await self.stop_here()
                return
            except Unreachable:
                await asyncio.sleep(AGAIN)

    @property
    def stop_wanted(self) -> bool:
        """Somebody asked to stop it before the gateway had begun it."""
        return self._stop_wanted
