"""What was asked before, in one file for all sittings of a user.

A disk that is full or read-only costs the memory of a question, and never the question.
"""

from collections.abc import Callable, Iterable
from pathlib import Path

from prompt_toolkit.history import FileHistory

LONGEST = 100_000
"""Characters of the longest line that is kept."""


class ForgivingHistory(FileHistory):
    """A file that may fail. trouble: why nothing is kept any more, in words; None: it is."""

    def __init__(self, path: Path, kept: Callable[[str], str]) -> None:
        self.trouble: str | None = None
        self._path = path
        self._kept = kept
        super().__init__(str(path))

    def load_history_strings(self) -> Iterable[str]:
        try:
            return super().load_history_strings()
        except OSError as error:
            self.trouble = self._words(error)
            return []

    def store_string(self, string: str) -> None:
        """Keep a line; what was pasted into it is kept with it."""
        whole = self._kept(string)
        if len(whole) > LONGEST:
            return
        try:
            super().store_string(whole)
        except OSError as error:
            self.trouble = self._words(error)

    def _words(self, error: OSError) -> str:
        return f"{self._path} cannot be used ({error.strerror})"


def open_history(path: Path, kept: Callable[[str], str]) -> ForgivingHistory:
    """The history in a file that only its owner can read; kept: what of a line is written."""
    history = ForgivingHistory(path, kept)
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.touch(mode=0o600)
    except OSError as error:
        history.trouble = f"{path} cannot be used ({error.strerror})"
    return history
