"""Divides a piece that is too large for one message of the broker. Pure.

Engines give a token at a time, as a rule; but one may give all it has at once.
"""

from mesh.bus.open_entry import CHARACTER, at_most, room
from mesh.protocol.errors import ErrorCode, MeshError
from mesh.protocol.frames import Odds
from mesh.worker.gate import Piece

TOO_LIKELY = (
    "The likeliest tokens of one step are larger together than a message of the broker can be "
    "(max_payload): ask for fewer of them."
)

_CERTAIN = Odds(0.0)
"""Of a part that has others behind it: multiplied, the odds of all parts are those of the piece."""


def parts(piece: Piece, most: int) -> list[Piece]:
    """The piece as it is, or as parts of which neither text nor ids take more than `most` bytes.

    Of parts the ids are not known: they belong to all of them together, and whoever took over in
    between would go on from ids that say more than the text. Raises MeshError (too_large) where it
    is the odds that take more.
    """
    text, ids, odds = piece
    if odds is not None and at_most(odds) > most:
        raise MeshError(ErrorCode.TOO_LARGE, TOO_LIKELY, param="top_logprobs")
    if room(text, ids) <= most:
        return [piece]
    size = most // CHARACTER
    texts = [text[at : at + size] for at in range(0, len(text), size)] or [text]
    before = None if odds is None else _CERTAIN
    return [*(Piece(part, None, before) for part in texts[:-1]), Piece(texts[-1], None, odds)]
