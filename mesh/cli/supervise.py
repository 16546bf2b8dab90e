"""Keeps child processes running: starts them, starts them again with growing pauses, stops them.

Knows nothing of the mesh; `mesh.cli.up` says what to run and in which order to stop.
"""

import asyncio
import os
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass

from mesh.cli.at_work import BUSY, VARIABLE
from mesh.cli.leash import Leash
from mesh.cli.main import CONFIGURATION, DRAINED
from mesh.protocol.errors import ErrorCode, MeshError

Say = Callable[[str, str], None]
"""Where a child's lines go: its name, and the line without its end."""

LINE = 1 << 20
"""Bytes of the longest line that is passed on."""


@dataclass(frozen=True, kw_only=True)
class Program:
    """What to run. `hold` gives a descriptor for the child to inherit, at each start anew.

    grace: seconds from SIGTERM to SIGKILL; tells: it says over a pipe whether it has requests in
    hand (`at_work.py`).
    """

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    grace: float = 10.0
    hold: Callable[[], AbstractContextManager[int]] | None = None
    tells: bool = False


@dataclass
class Restarts:
    """How long to wait before a program that ended is started again. Pure; times in seconds.

    The pauses double from `first` to `longest`; who stayed for `settled` starts from new; who
    ended `most` times in a row without that is in a loop. Who ended with requests in hand had come
    as far as it is to come, and they may be to blame: it waits as well, but is in no loop.
    """

    first: float = 0.2
    longest: float = 5.0
    settled: float = 20.0
    most: int = 5
    in_a_row: int = 0
    in_vain: int = 0

    def ended(self, lived: float, at_work: bool = False) -> float | None:
        """The pause after an end, or None when it was one too many. at_work: with requests in
        hand."""
        self.in_a_row = 1 if lived >= self.settled else self.in_a_row + 1
        self.in_vain = 0 if at_work else min(self.in_a_row, self.in_vain + 1)
        if self.in_vain >= self.most:
            return None
        return float(min(self.longest, self.first * 2 ** (self.in_a_row - 1)))


class Child:
    """One program under supervision."""

    def __init__(self, program: Program, leash: Leash, say: Say) -> None:
        self.program = program
        self.last_line = ""
        self._leash = leash
        self._say = say
        self._process: asyncio.subprocess.Process | None = None
        self.restarts = Restarts()
        self._stopping = asyncio.Event()
        self._renewing = False
        self._over = asyncio.Event()
        self._at_work = False

    async def run(self) -> None:
        """Run it until `stop`. Raises MeshError (internal) with the reason when it is in vain."""
        while not self._stopping.is_set():
            started = time.monotonic()
            status = await self._once()
            self._over.set()
            if self._stopping.is_set():
                return
            if self._renewing:
                self._renewing = False
                continue
            if status == DRAINED:
                self._say(self.program.name, "was drained, and stays away")
                return
            pause = self.restarts.ended(time.monotonic() - started, self._at_work)
            if pause is None or status == CONFIGURATION:
                raise MeshError(ErrorCode.INTERNAL, self._in_vain(status))
            self._say(self.program.name, f"{_ended(status)}; starting it again in {pause:g} s")
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), pause)

    async def stop(self) -> None:
        """Ask it to leave, wait for its grace, then kill it."""
        self._stopping.set()
        if self._process is not None:
            await self._leave(self._process)

    async def renew(self) -> None:
        """Have it leave as `stop` does, and start it again at once: it has done nothing wrong.

        Returns when its last line was passed on.
        """
        if self.pid and self._process is not None:
            self._renewing = True
            self._over.clear()
            await self._leave(self._process)
            await self._over.wait()

    def kill(self) -> None:
        """End it, and whatever it started, at once."""
        self._stopping.set()
        self._kill_group()

    @property
    def pid(self) -> int:
        """Of the process that runs now; 0 between two of them."""
        process = self._process
        return process.pid if process is not None and process.returncode is None else 0

    async def _once(self) -> int:
        """Start it and wait until it ended, with all that it started. Returns its status."""
        reader, output = await _pipe()
        hears, telling = await _pipe()
        try:
            self._process = process = await self._spawn(output, telling)
        finally:
            os.close(output)
            os.close(telling)
        if self._stopping.is_set():  # since before there was anything to stop
            self._kill_group()
        lines = asyncio.create_task(self._pass_on(reader))
        told = asyncio.create_task(self._hear(hears))
        status = await process.wait()
        self._kill_group()
        self._leash.ended(process.pid)
        await asyncio.gather(lines, told)
        return status

    async def _spawn(self, output: int, telling: int) -> asyncio.subprocess.Process:
        program, environment = self.program, dict(self.program.environment)
        with program.hold() if program.hold else nullcontext() as descriptor:
            inherited = [] if descriptor is None else [descriptor]
            if program.tells:
                inherited.append(telling)
                environment[VARIABLE] = str(telling)
            return await asyncio.create_subprocess_exec(
                *program.command,
                env=environment,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                pass_fds=inherited,
                start_new_session=True,
                preexec_fn=self._leash.tie(),
            )

    async def _leave(self, process: asyncio.subprocess.Process) -> None:
        with suppress(ProcessLookupError):
            process.terminate()
        try:
            async with asyncio.timeout(self.program.grace):
                await process.wait()
        except TimeoutError:
            self._say(self.program.name, f"did not leave in {self.program.grace:g} s; killing it")
        finally:
            if process is self._process:  # else another has taken its place already
                self._kill_group()

    def _kill_group(self) -> None:
        if self._process is not None:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)

    async def _pass_on(self, reader: asyncio.StreamReader) -> None:
        while True:
            try:
                line = await reader.readline()
            except ValueError:
                continue
            if not line:
                return
            text = line.decode(errors="replace").rstrip()
            self.last_line = text or self.last_line
            self._say(self.program.name, text)

    async def _hear(self, reader: asyncio.StreamReader) -> None:
        """Note whether it has requests in hand, up to its end."""
        self._at_work = False
        while said := await reader.read(LINE):
            self._at_work = said.endswith(BUSY)

    def _in_vain(self, status: int) -> str:
        said = self.last_line.removeprefix("mesh: ")
        if status == CONFIGURATION:
            return f"The {self.program.name} cannot run: {said or 'it does not say why.'}"
        words = f"The last that it said: {said}" if said else "It said nothing."
        return (
            f"The {self.program.name} ended {self.restarts.most} times in a row, at last "
            f"{_ended(status)}. {words}"
        )


async def _pipe() -> tuple[asyncio.StreamReader, int]:
    """A pipe: a reader of what comes out, and the descriptor to write into.

    Our own, because `Process.wait` waits for asyncio's pipes to close in some versions of Python,
    and a child's child may keep them open.
    """
    reading, writing = os.pipe()
    reader = asyncio.StreamReader(limit=LINE)
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(reading, "rb")
    )
    return reader, writing


def _ended(status: int) -> str:
    if status < 0:
        return f"killed by {signal.Signals(-status).name}"
    return f"ended with status {status}"
