"""How far the log tells of each chat and user, so that nobody reads less of them than it has. Pure.

The store applies the log by itself, a moment after it was written. What is asked of the store for a
chat, or for all chats of a user, names the last sequence that befell that chat or that user, and
the store waits for it (`latest.py`).
"""

from mesh.protocol.request import Turn

MOST = 20_000
"""Chats and users remembered; of those silent for longer, the store has long heard all."""


class Seen:
    """The last sequence of the log that is about each chat and user."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._last: dict[str, int] = {}

    def note(self, turn: Turn, seq: int) -> None:
        """At this sequence something is told of an answer of this chat."""
        for id in (turn.user_id, turn.chat_id):
            self.heard(id, seq)

    def heard(self, id: str, seq: int) -> None:
        """At this sequence something is told of what has this id."""
        self._last[id] = max(seq, self._last.pop(id, 0))
        while len(self._last) > self._most:
            del self._last[next(iter(self._last))]

    def last(self, id: str) -> int:
        """The last sequence that is about it; 0: none is known."""
        return self._last.get(id, 0)

    def clear(self) -> None:
        """Forget all: the log is another now."""
        self._last.clear()
