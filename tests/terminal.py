"""A terminal without a window: a program in a real pty, and what the eye would see of it."""

import fcntl
import os
import pty
import struct
import subprocess
import termios
import threading
import time
from collections.abc import Callable, Mapping, Sequence

import pyte


class _Screen(pyte.HistoryScreen):  # type: ignore[misc]
    """A screen that answers when the program asks where the cursor is."""

    def __init__(self, columns: int, rows: int, reply: Callable[[bytes], object]) -> None:
        super().__init__(columns, rows, history=5000, ratio=1.0)
        self._reply = reply

    def write_process_input(self, data: str) -> None:
        self._reply(data.encode())


class Terminal:
    """Start a program, type, look. `close` ends it."""

    def __init__(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        columns: int = 80,
        rows: int = 24,
    ) -> None:
        self._master, slave = pty.openpty()
        self._screen = _Screen(columns, rows, lambda data: os.write(self._master, data))
        self._stream = pyte.ByteStream(self._screen)
        self._changed = threading.Condition()
        self._set_size(columns, rows)
        self.process = subprocess.Popen(
            command,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env={"TERM": "xterm-256color", **environment},
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )
        os.close(slave)
        self._pump = threading.Thread(target=self._read, daemon=True)
        self._pump.start()

    def type(self, keys: str) -> None:
        """Press keys, given as the bytes they send."""
        os.write(self._master, keys.encode())

    def resize(self, columns: int, rows: int) -> None:
        """As dragging the window's corner does. Only larger: pyte forgets what it cuts off."""
        with self._changed:
            self._screen.resize(rows, columns)
        self._set_size(columns, rows)

    def lines(self) -> list[str]:
        """Everything that was ever scrolled out, and the screen, top to bottom."""
        with self._changed:
            gone = [
                "".join(_cells(line, self._screen.columns)) for line in self._screen.history.top
            ]
            return [line.rstrip() for line in [*gone, *self._screen.display]]

    def screen(self) -> list[list[pyte.screens.Char]]:
        """The rows that are seen now, cell by cell, with their colours."""
        with self._changed:
            columns = range(self._screen.columns)
            rows = [self._screen.buffer[row] for row in range(self._screen.lines)]
            return [[row[column] for column in columns] for row in rows]

    def cursor(self) -> tuple[int, int] | None:
        """Row and column of the cursor, None while it is hidden."""
        with self._changed:
            at = self._screen.cursor
            return None if at.hidden else (at.y, at.x)

    def text(self) -> str:
        """The lines as one text, without the empty ones at the end."""
        return "\n".join(self.lines()).rstrip()

    def wait(self, seen: Callable[[str], bool], timeout: float = 60.0) -> str:
        """Look until it is seen."""
        until = time.monotonic() + timeout
        while not seen(text := self.text()):
            left = until - time.monotonic()
            assert left > 0, f"not seen in {timeout} s:\n{text}"
            with self._changed:
                self._changed.wait(min(left, 0.2))
        return text

    def wait_for(self, *words: str, timeout: float = 60.0) -> str:
        """Look until all of the words are there."""
        return self.wait(lambda text: all(word in text for word in words), timeout)

    def exit_status(self, timeout: float = 60.0) -> int:
        """Wait for the end, and for the last of what was written."""
        status = self.process.wait(timeout)
        self._pump.join(timeout)
        return status

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self._pump.join(30)
        os.close(self._master)

    def _set_size(self, columns: int, rows: int) -> None:
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def _read(self) -> None:
        while True:
            try:
                data = os.read(self._master, 65536)
            except OSError:  # the other side is closed
                data = b""
            if not data:
                return
            with self._changed:
                self._stream.feed(data)
                self._changed.notify_all()


def _cells(line: Mapping[int, pyte.screens.Char], columns: int) -> list[str]:
    return [line[column].data for column in range(columns)]
