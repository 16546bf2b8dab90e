"""From a key to its echo in `mesh chat`, while an answer streams and while none does.

    python -m benchmarks.repl

Starts its own mesh and the REPL in a real pty, asks for an endless answer of Markdown at 100
tokens a second, and types: letters that are in no answer, at a typist's pace. The time of a key
ends when the letter comes back. Exit status 1 if the slowest keys are slower than is to be.
"""

import fcntl
import os
import pty
import random
import select
import statistics
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from benchmarks import subjects
from benchmarks.report import Aim
from mesh.cli.load.table import aligned

RATE = 100
"""Tokens per second of the answer."""

BOUND = 20.0
"""Milliseconds that an echo may take."""

KEYS = 200

LETTERS = "äöüßéèñçøåþðœæ"
"""Typed, and in no answer and no toolbar."""

QUESTION = (
    "/repeat # A heading\n\nSome **bold** text with `code` that goes on and on, over the edge of "
    "the row and further.\n\n- one item of a list\n- another one\n\n```python\n"
    "def fib(n: int) -> int:\n    return n if n < 2 else fib(n - 1) + fib(n - 2)\n```\n\n"
)

PASTE, PASTED = "\x1b[200~", "\x1b[201~"


class Keys(NamedTuple):
    """Milliseconds from each key to its echo."""

    times: list[float]

    @property
    def median(self) -> float:
        return statistics.median(self.times)

    @property
    def p99(self) -> float:
        return statistics.quantiles(self.times, n=100)[98]

    def row(self, name: str) -> list[str]:
        """As a line of a table."""
        figures = (self.median, self.p99, max(self.times))
        return [name, *(f"{figure:.1f}" for figure in figures), str(len(self.times))]


class Typist:
    """A terminal that only listens: what the program writes is searched, not drawn."""

    def __init__(self, command: list[str], environment: dict[str, str]) -> None:
        self._master, slave = pty.openpty()
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 100, 0, 0))
        self._process = subprocess.Popen(
            command, stdin=slave, stdout=slave, stderr=slave, env=environment,
            start_new_session=True,
        )  # fmt: skip
        os.close(slave)
        self._seen = b""

    def type(self, keys: str) -> None:
        """Press keys; what was seen before them counts no more."""
        self._seen = b""
        os.write(self._master, keys.encode())

    def wait(self, words: str, seconds: float = 20.0) -> float:
        """Read until the words come; the time at which they were there."""
        until = time.monotonic() + seconds
        while words.encode() not in self._seen:
            left = until - time.monotonic()
            if left < 0 or not select.select([self._master], [], [], left)[0]:
                raise SystemExit(
                    f"{words!r} did not come in {seconds:g} s:\n{self._seen[-2000:]!r}"
                )
            data = os.read(self._master, 65_536)
            self._seen += data
            if b"\x1b[6n" in data:  # it asks where the cursor is
                os.write(self._master, b"\x1b[1;1R")
        return time.monotonic()

    def idle(self, seconds: float) -> None:
        """Let time pass, and read what comes."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            if select.select([self._master], [], [], left)[0]:
                os.read(self._master, 65_536)

    def close(self) -> None:
        """End the program."""
        self._process.kill()
        self._process.wait()
        os.close(self._master)


@contextmanager
def repl(folder: Path, url: str) -> Iterator[Typist]:
    """`mesh chat` at a gateway."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
    environment = kept | {
        "HOME": str(folder), "XDG_CONFIG_HOME": str(folder), "XDG_STATE_HOME": str(folder),
        "MESH_URL": url, "MESH_USER": "typist", "TERM": "xterm-256color", "PYTHONUTF8": "1",
    }  # fmt: skip
    typist = Typist([sys.executable, "-m", "mesh", "chat"], environment)
    try:
        typist.wait("connected")
        yield typist
    finally:
        typist.close()


def measure(typist: Typist, keys: int) -> Keys:
    """Type so many letters, a line of them at a time, and note when each came back."""
    times: list[float] = []
    chance = random.Random(1)
    for number in range(keys):
        letter = LETTERS[number % len(LETTERS)]
        begun = time.monotonic()
        typist.type(letter)
        times.append((typist.wait(letter) - begun) * 1000)
        typist.idle(chance.uniform(0.02, 0.12))
        if number % len(LETTERS) == len(LETTERS) - 1:
            typist.type("\x7f" * len(LETTERS))  # the line is rubbed out
            typist.idle(0.1)
    return Keys(times)


def run(folder: Path) -> list[Aim]:
    """Measure both, print them, and say what was to be reached."""
    echo = {"MESH_ENGINE": "echo", "MESH_ECHO_RATE": str(RATE), "MESH_REQUEST_TIMEOUT": "3600"}
    with subjects.mesh(folder, "repl", echo) as mesh:
        with repl(folder, mesh.url) as typist:
            typist.type("x\x7f")
            typist.idle(1.0)
            quiet = measure(typist, KEYS)
            typist.type("\x15/set max_tokens 100000\r")
            typist.idle(1.0)
            typist.type(f"{PASTE}/{QUESTION}{PASTED}\r")
            typist.wait("answering")
            typist.idle(3.0)
            streaming = measure(typist, KEYS)
    head = ["key to echo, ms", "median", "p99", "slowest", "keys"]
    rows = [quiet.row("nothing going on"), streaming.row(f"{RATE} tokens/s streaming")]
    print(f"\n{aligned([head, *rows])}")
    return [Aim(f"a key while {RATE} tokens/s stream, p99, ms", streaming.p99, BOUND, False)]


def main() -> int:
    """Run, and say whether what was to be reached was."""
    return subjects.standalone(run)


if __name__ == "__main__":
    sys.exit(main())
