"""The text gate: lets an engine's steps through as pieces and stops at a stop string. Pure.

The answer is the text before the earliest position at which any stop string begins; nothing of a
stop string is ever let through, however the engine's tokens cut it. Tokens whose text may still
turn out to belong to a stop string are held back, whole: a piece always ends where a token ends,
so the ids of the pieces let through are exactly the ids of their text, and another worker can go
on from any of them with a new gate.

Only the last piece may break that rule: when a stop string begins inside a token, the text before
it is let through with no ids. Such a piece, text without an id, says to whoever takes the request
over that the answer has ended (`has_stopped`).
"""

from collections.abc import Sequence
from typing import NamedTuple

from mesh.protocol.frames import Odds

Ids = tuple[int, ...] | None


class Piece(NamedTuple):
    """Text that has become certain, and its token ids, or None where the engine tells none.

    odds: how likely its tokens were together, where the request asks for that.
    """

    text: str
    ids: Ids
    odds: Odds | None = None


def has_stopped(pieces: Sequence[Piece]) -> bool:
    """Whether the last of an answer's pieces so far shows that a stop string was met after it."""
    return bool(pieces) and pieces[-1].text != "" and pieces[-1].ids == ()


class Gate:
    """Feed it every step's text and ids in order, then `finish`; what it returns is the answer.

    `stopped` is true once a stop string was met: close the engine's iterator, feed no more.
    `clear`: what comes next goes through as it is, if it has text, and need not be fed.
    """

    def __init__(self, stop: Sequence[str] = ()) -> None:
        self._stop = tuple(filter(None, stop))
        self._held: list[Piece] = []
        self.stopped = False
        self.clear = not self._stop

    def feed(self, text: str, ids: Ids, odds: Odds | None = None) -> list[Piece]:
        """The pieces that are certain now that the engine said `text`: one per token, as a rule.

        A step without text (its character is incomplete) is held, and becomes one piece with the
        next that has some.
        """
        self._hold(text, ids, odds)
        if not text:
            return []
        held = "".join(piece.text for piece in self._held)
        found, opening = self._found(held), self._opening(held)
        if 0 <= found <= opening:
            return self._cut(found)
        return self._release(opening)

    def finish(self) -> list[Piece]:
        """What was held, now that the engine has ended. Ids without any text are left out."""
        if self.stopped:
            return []
        held = "".join(piece.text for piece in self._held)
        found = self._found(held)
        if found >= 0:
            return self._cut(found)
        return [piece for piece in self._release(len(held)) if piece.text]

    def _hold(self, text: str, ids: Ids, odds: Odds | None) -> None:
        if self._held and not self._held[-1].text:
            before = self._held.pop()
            ids = None if before.ids is None or ids is None else before.ids + ids
            odds = _together(before.odds, odds)
        self._held.append(Piece(text, ids, odds))
        self.clear = False

    def _found(self, held: str) -> int:
        """Where the earliest whole stop string begins, or -1."""
        return min((at for stop in self._stop if (at := held.find(stop)) >= 0), default=-1)

    def _opening(self, held: str) -> int:
        """Where the earliest beginning of a stop string stands open at the end, or the length."""
        return min((_open_at(held, stop) for stop in self._stop), default=len(held))

    def _release(self, limit: int) -> list[Piece]:
        """The held pieces that end at or before character `limit`."""
        count = end = 0
        for piece in self._held:
            end += len(piece.text)
            if end > limit:
                break
            count += 1
        released, self._held = self._held[:count], self._held[count:]
        self.clear = not (self._stop or self._held)
        return released

    def _cut(self, at: int) -> list[Piece]:
        """Stop before character `at`."""
        self.stopped = True
        pieces = self._release(at)
        begun = at - sum(len(piece.text) for piece in pieces)
        if begun:
            first = self._held[0]
            pieces.append(Piece(first.text[:begun], None if first.ids is None else (), first.odds))
        self._held = []
        return pieces


def _together(first: Odds | None, then: Odds | None) -> Odds | None:
    """How likely two tokens were, one after the other."""
    if first is None or then is None:
        return first or then
    return Odds(first.logprob + then.logprob, then.top)


def _open_at(held: str, stop: str) -> int:
    """Where the longest suffix of `held` begins that is a true prefix of `stop`."""
    for size in range(min(len(stop) - 1, len(held)), 0, -1):
        if held.endswith(stop[:size]):
            return len(held) - size
    return len(held)
