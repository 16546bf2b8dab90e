"""How far each chat's readers have been told of the log, so that they never read less. Pure.

The store applies the log by itself, a moment after the gateway has heard it. What is asked of the
store for a chat names the last sequence that was told of that chat, and the store waits for it.
"""

CHATS = 10_000
"""Chats remembered; of one that was silent for longer, the store has long heard all."""


class Seen:
    """The last sequence of the log that was told of each chat, by this gateway."""

    def __init__(self, chats: int = CHATS) -> None:
        self._chats = chats
        self._last: dict[str, int] = {}

    def note(self, chat: str, seq: int) -> None:
        """Somebody is being told what stands in the log at this sequence."""
        self._last[chat] = max(seq, self._last.pop(chat, 0))
        if len(self._last) > self._chats:
            del self._last[next(iter(self._last))]

    def last(self, chat: str) -> int:
        """The `min_seq` of a query about this chat; 0: nothing to wait for."""
        return self._last.get(chat, 0)
