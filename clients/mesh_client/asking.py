"""The flow of `mesh ask`: begin an answer, show it, and leave nothing running when it is left.

Whoever interrupts, times out or stops reading no longer wants the answer: it is cancelled on the
gateway, and the acknowledgement awaited, before the process ends.
"""

import asyncio
import os
import signal
import sys
from contextlib import suppress
from enum import IntEnum
from typing import NamedTuple

from mesh_client.async_client import AsyncAnswer, AsyncClient
from mesh_client.calls import AnswerOptions
from mesh_client.errors import (
    BadAddress,
    BadText,
    GenerationFailed,
    MeshClientError,
    NotSignedIn,
    Refused,
    Rejected,
    TimedOut,
    Unreachable,
)
from mesh_client.events import Failed
from mesh_client.rendering import Rendering, complain

GRACE = 5.0
"""Seconds that leaving may take: to hear which answer was begun, and that it was cancelled."""


class Status(IntEnum):
    """The exit statuses."""

    OK = 0
    FAILED = 1
    USAGE = 2
    UNREACHABLE = 3
    REFUSED = 4
    TIMED_OUT = 5
    INTERRUPTED = 130
    BROKEN_PIPE = 141


class Asked(NamedTuple):
    """What is asked for; timeout in seconds, None: as long as it takes."""

    prompt: str
    options: AnswerOptions
    timeout: float | None


def status_of(error: MeshClientError) -> Status:
    """The exit status that an error leads to."""
    match error:
        case BadAddress() | BadText():
            return Status.USAGE
        case Unreachable():
            return Status.UNREACHABLE
        case Refused():
            return Status.REFUSED
        case Rejected():
            return Status.USAGE if error.status < 500 else Status.FAILED
        case TimedOut() | GenerationFailed(code="deadline_exceeded"):
            return Status.TIMED_OUT
        case _:
            return Status.FAILED


async def run(client: AsyncClient, asked: Asked, shown: Rendering, password: str = "") -> Status:
    """Ask and show, with a password after signing in; returns the exit status.

    Raises NotSignedIn, of which nothing is shown yet. A second interrupt raises KeyboardInterrupt.
    """
    async with client:
        asking = Asking(client, asked, shown)
        reading = asyncio.create_task(asking.read(password))
        try:
            return await asking.watch(reading)
        except NotSignedIn:
            raise
        except BrokenPipeError:
            await asking.leave(quietly=True)
            _silence_stdout()
            return Status.BROKEN_PIPE
        except OSError as error:  # what comes of the network is a MeshClientError
            complain(f"The answer cannot be written: {error.strerror}.")
            await asking.leave()
            _silence_stdout()
            return Status.FAILED
        except MeshClientError as error:
            shown.error(error)
            return status_of(error)


class Asking:
    """One question on its way. `answer` is known once the gateway has begun it."""

    def __init__(self, client: AsyncClient, asked: Asked, shown: Rendering) -> None:
        self._client = client
        self._asked = asked
        self._shown = shown
        self._answer: asyncio.Future[AsyncAnswer] = asyncio.get_running_loop().create_future()

    async def read(self, password: str = "") -> Status:
        """Begin the answer and show it to its end."""
        if password:
            await self._client.login(self._client.username, password)
        chat = await self._client.new_chat()
        try:
            answer = await chat.ask(self._asked.prompt, **self._asked.options)
        except Rejected as error:
            with suppress(MeshClientError):
                await chat.delete()  # an empty one is nothing to go on with
            raise await self._explained(error) from error
        self._answer.set_result(answer)
        self._shown.begun(chat.id, answer.id)
        async for event in answer:
            self._shown.event(event)
            if isinstance(event, Failed):
                return status_of(GenerationFailed(event.sentence, code=event.code))
        return Status.OK

    async def _explained(self, error: Rejected) -> Rejected:
        """A refusal; where there is no such model, with the names of those that there are."""
        if error.code != "model_not_found":
            return error
        with suppress(MeshClientError):
            known = ", ".join(model.id for model in await self._client.models())
            name = self._asked.options.get("model")
            asked = repr(name) if name else "that answers where none is chosen"
            sentence = f"There is no model {asked}; there are: {known or 'none yet'}."
            return Rejected(
                sentence, status=error.status, code=error.code, request_id=error.request_id
            )
        return error

    async def watch(self, reading: asyncio.Task[Status]) -> Status:
        """Wait for the end, an interruption or the time, and see to it that all has stopped."""
        with Interruption() as interruption:
            waiting = asyncio.create_task(interruption.wait())
            await asyncio.wait(
                {reading, waiting},
                timeout=self._asked.timeout,
                return_when=asyncio.FIRST_COMPLETED,
            )
            waiting.cancel()
            if reading.done():
                return reading.result()
            await self._stop(reading)
            if interruption.happened:
                return Status.INTERRUPTED
        raise TimedOut(
            f"The answer was not there after {self._asked.timeout:g} s; it is cancelled."
        )

    async def leave(self, *, quietly: bool = False) -> None:
        """Cancel the answer once it is begun, and say what was acknowledged."""
        try:
            async with asyncio.timeout(GRACE):
                answer = await asyncio.shield(self._answer)
                stop = await answer.cancel()
            if not quietly:
                complain(f"{stop}.")
        except TimeoutError:
            complain("The gateway did not say in time that the answer has stopped; it may go on.")
        except MeshClientError as error:
            complain(f"The answer may go on: {error.sentence}")

    async def _stop(self, reading: asyncio.Task[Status]) -> None:
        """Cancel; what was written until then is still shown."""
        leaving = asyncio.create_task(self.leave())
        await asyncio.wait({leaving, reading}, return_when=asyncio.FIRST_COMPLETED)
        if reading.done() and not self._answer.done():
            leaving.cancel()  # it failed before there was anything to cancel
        await asyncio.wait({leaving})
        await asyncio.wait({reading}, timeout=1.0)
        reading.cancel()
        await asyncio.gather(leaving, reading, return_exceptions=True)


class Interruption:
    """SIGINT and SIGTERM as something to wait for. The second one ends the process as usual."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    @property
    def happened(self) -> bool:
        return self._event.is_set()

    async def wait(self) -> None:
        await self._event.wait()

    def __enter__(self) -> "Interruption":
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, self._interrupt)
        return self

    def __exit__(self, *_: object) -> None:
        self._let_go()

    def _interrupt(self) -> None:
        self._event.set()
        self._let_go()

    def _let_go(self) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().remove_signal_handler(number)


def _silence_stdout() -> None:
    """Let the interpreter's last flush go nowhere instead of complaining about the broken pipe."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
