"""How far the log has told of each chat, so that nobody reads less than they wrote. Pure.

The store applies the log by itself, a moment after the gateway has heard it. What is asked of the
store for a chat names the last sequence heard of that chat, and the store waits for it.
"""

from mesh.protocol.messages import Cancelled, Done, Failed, Queued, RunEvent

CHATS = 10_000
"""Chats remembered; of one that was silent for longer, the store has long heard all."""


class Seen:
    """The last sequence heard of each chat."""

    def __init__(self, chats: int = CHATS) -> None:
        self._chats = chats
        self._chat_of: dict[str, str] = {}
        self._last: dict[str, int] = {}

    def hear(self, rid: str, event: RunEvent, seq: int) -> None:
        """Take note of an event of any request."""
        if isinstance(event, Queued) and event.turn is not None:
            self._chat_of[rid] = event.turn.chat_id
        chat = self._chat_of.get(rid)
        if chat is not None:
            self.note(chat, seq)
        if isinstance(event, Done | Failed | Cancelled):
            self._chat_of.pop(rid, None)

    def note(self, chat: str, seq: int) -> None:
        """Take note of a sequence that belongs to a chat."""
        self._last[chat] = max(seq, self._last.pop(chat, 0))
        if len(self._last) > self._chats:
            del self._last[next(iter(self._last))]

    def last(self, chat: str) -> int:
        """The `min_seq` of a query about this chat; 0: nothing to wait for."""
        return self._last.get(chat, 0)
