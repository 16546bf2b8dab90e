"""Bars of progress on a terminal's stderr, in bytes; where nobody looks there are none."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn


class Bars:
    """One bar for each thing that takes a while, one below the other."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress

    def begin(self, what: str, total: int | None = None) -> "Bar":
        """A new bar. total: bytes, None where nobody can tell."""
        return Bar(self._progress, what, total)


class Bar:
    """How far one thing has come."""

    def __init__(self, progress: Progress, what: str, total: int | None) -> None:
        self._progress = progress
        self._task = progress.add_task(what, total=total)
        self.done = 0

    def advance(self, count: int) -> None:
        """So many bytes more."""
        self.done += count
        self._progress.advance(self._task, count)

    def reach(self, done: int, total: int) -> None:
        """So many bytes, of so many."""
        self.done = done
        self._progress.update(self._task, completed=done, total=total)

    def finish(self) -> None:
        """Whatever there was, it is done."""
        self._progress.update(self._task, completed=self.done, total=self.done)


@contextmanager
def bars() -> Iterator[Bars]:
    """Bars that are drawn while the block runs."""
    console = Console(stderr=True)
    progress = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(binary_units=True),
        TransferSpeedColumn(),
        console=console,
        disable=not console.is_terminal,
    )
    with progress:
        yield Bars(progress)
