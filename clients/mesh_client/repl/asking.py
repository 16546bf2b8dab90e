"""One question on its way through the REPL: sent, however long the gateway is away, and shown.

A question is never lost: as long as it was not accepted it can be taken back to the input line.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress

from mesh_client.async_client import AsyncAnswer
from mesh_client.errors import MeshClientError, Unreachable
from mesh_client.events import Failed, Finished, Token
from mesh_client.objects import Stop
from mesh_client.repl.toolbar import Status
from mesh_client.repl.view import AnswerView

AGAIN = 1.0
"""Seconds until a question is offered again to a gateway that is away."""

LOOK = 3.0
"""Seconds between two looks at who is writing."""

PARTING = 3.0
"""Seconds that leaving may take, to hear whether the question was accepted."""


class Asking:
    """Begins an answer, follows it in a view, and stops it when asked.

    `begin` sends the question, or only finds the running answer where `asked` is not set.
    Afterwards `answer` is None where nobody had accepted it; `stopped` is the acknowledged stop;
    `end` is how the answer ended.
    """

    def __init__(
        self, begin: Callable[[], Awaitable[AsyncAnswer]], status: Status, *, asked: bool = True
    ) -> None:
        self._begin = begin
        self._asked = asked
        self._status = status
        self._stop = asyncio.Event()
        self._heard = asyncio.Event()
        self.answer: AsyncAnswer | None = None
        self.stopped: Stop | None = None
        self.end: Finished | Failed | None = None

    def stop(self) -> None:
        """Stop the answer, or take the question back if it was not accepted yet."""
        self._status.stopping = True
        self._stop.set()

    async def heard(self) -> None:
        """Wait, but not for long, until the gateway has taken the question, or is known to be away:
        a question that was sent is not left behind on its way."""
        with suppress(TimeoutError):
            async with asyncio.timeout(PARTING):
                await self._heard.wait()

    async def run(self, view: AnswerView) -> None:
        """Ask and show, to the end. Raises MeshClientError when the gateway refuses."""
        self._status.begin(time.monotonic() if self._asked else None)
        try:
            self.answer = await self._accepted(view)
            self._heard.set()
            if self.answer is not None:
                await self._follow(self.answer, view)
        finally:
            self._heard.set()
            self._status.end()

    async def _follow(self, answer: AsyncAnswer, view: AnswerView) -> None:
        stopping = asyncio.create_task(self._stop_when_asked(answer, view))
        learning: asyncio.Task[None] | None = None
        try:
            async for event in answer:
                self._status.event(event, time.monotonic())
                if isinstance(event, Token):
                    view.text(event.text)
                    learning = learning or asyncio.create_task(self._learn_worker(answer))
                elif isinstance(event, Finished | Failed):
                    self.end = event
                view.changed()
            if self._stop.is_set():
                await stopping
        finally:
            tasks = [stopping, *([learning] if learning else [])]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _accepted(self, view: AnswerView) -> AsyncAnswer | None:
        """Send until it is accepted; None: taken back while the gateway was away."""
        while not self._stop.is_set():
            try:
                return await self._begin()
            except Unreachable:
                self._heard.set()
                self._status.online = False
                self._status.activity = "waiting for the gateway; Ctrl-C takes the question back"
                view.changed()
            try:
                await asyncio.wait_for(self._stop.wait(), AGAIN)
            except TimeoutError:
                continue
        return None

    async def _stop_when_asked(self, answer: AsyncAnswer, view: AnswerView) -> None:
        await self._stop.wait()
        view.changed()
        while self.stopped is None:
            try:
                self.stopped = await answer.cancel()
            except Unreachable:
                await asyncio.sleep(AGAIN)

    async def _learn_worker(self, answer: AsyncAnswer) -> None:
        """Who is writing, again and again: it may be taken over. The stream tells it at the end."""
        while True:
            with suppress(MeshClientError):
                message = await answer.message()
                self._status.worker = message.worker or self._status.worker
            await asyncio.sleep(LOOK)
