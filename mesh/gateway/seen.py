"""How far chats and users have been told of the log, so that they never read less. Pure.

The store applies the log by itself, a moment after the gateway has heard it. What is asked of the
store for a chat, or for all chats of a user, names the last sequence that was told of that chat or
that user, and the store waits for it.
"""

from mesh.protocol.messages import Turn

MOST = 20_000
"""Chats and users remembered; of those silent for longer, the store has long heard all."""


class Seen:
    """The last sequence of the log that was told of each chat and user, by this gateway."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._last: dict[str, int] = {}

    def note(self, turn: Turn, seq: int) -> None:
        """Somebody is being told what stands in the log at this sequence, of this chat."""
        for id in (turn.user_id, turn.chat_id):
            self.heard(id, seq)

    def heard(self, id: str, seq: int) -> None:
        """Somebody is being told what stands in the log at this sequence, of what has this id."""
        self._last[id] = max(seq, self._last.pop(id, 0))
        while len(self._last) > self._most:
            del self._last[next(iter(self._last))]

    def last(self, id: str) -> int:
        """The `min_seq` of a query about this chat or user; 0: nothing to wait for."""
        return self._last.get(id, 0)
