"""An entry of a frame while pieces are added to it, and how many bytes of JSON it will take."""

from msgspec.json import encode as encode_json

from mesh.protocol.frames import Odds

CHARACTER, TOKEN_ID = 6, 12
"""Bytes of JSON that a character may take, and a token's id."""

_AROUND, _ODDS = 8, 32
"""The same of what stands around a piece or a list, and of a probability."""

_NAMED = 128
"""The same of what says whose entry it is."""


class OpenEntry:
    """An entry that still grows. ids is None once a piece came without them."""

    __slots__ = ("ids", "index", "odds", "texts")

    def __init__(self, index: int) -> None:
        self.index = index
        self.texts: list[str] = []
        self.ids: list[tuple[int, ...]] | None = []
        self.odds: list[Odds] = []

    def fits(self, room: int) -> tuple[int, int]:
        """How many of its pieces, from the first on, fit so many bytes of a frame, and how many
        bytes they take at most."""
        most = self._at_most()
        if most <= room:
            return len(self.texts), most
        left = room - _NAMED
        for k, text in enumerate(self.texts):  # seldom: then they are measured
            left -= len(encode_json(text)) + _AROUND
            if self.ids is not None:
                left -= TOKEN_ID * len(self.ids[k]) + _AROUND
            if self.odds:
                left -= len(encode_json(self.odds[k])) + _AROUND
            if left < 0:
                return k, room
        return len(self.texts), room - left

    def _at_most(self) -> int:
        """Bytes that it cannot exceed in a frame."""
        size = _NAMED + CHARACTER * sum(map(len, self.texts)) + _AROUND * len(self.texts)
        if self.ids is not None:
            size += TOKEN_ID * sum(map(len, self.ids)) + _AROUND * len(self.ids)
        return size + sum(map(at_most, self.odds))

    def cut(self, keep: int) -> "OpenEntry":
        """Keep the first pieces only; an entry of the others."""
        rest = OpenEntry(self.index + keep)
        self.texts, rest.texts = self.texts[:keep], self.texts[keep:]
        self.odds, rest.odds = self.odds[:keep], self.odds[keep:]
        if self.ids is None:
            rest.ids = None
        else:
            self.ids, rest.ids = self.ids[:keep], self.ids[keep:]
        return rest


def room(text: str, ids: tuple[int, ...] | None) -> int:
    """Bytes of JSON that a piece's text and its ids cannot exceed together."""
    return CHARACTER * len(text) + (TOKEN_ID * len(ids) if ids else 0)


def at_most(odds: Odds) -> int:
    """Bytes of JSON that odds cannot exceed."""
    texts = sum(len(text) for text, _ in odds.top)
    return CHARACTER * texts + (_ODDS + _AROUND) * (len(odds.top) + 1)
