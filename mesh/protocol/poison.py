"""When a request is taken for the cause of the deaths of those who worked on it. Pure."""

from collections.abc import Sequence
from itertools import takewhile
from typing import NamedTuple

from mesh.protocol.questions import Loss


class Bounds(NamedTuple):
    """How many holders of a request may be lost. in_a_row: at the same place, with no piece written
    between them; in_all: wherever each of them had come to."""

    in_a_row: int
    in_all: int


def blamed(in_a_row: int, in_all: int, bounds: Bounds) -> int:
    """How many lost holders a request is blamed for, so that it reaches no further engine; 0: it
    may go on. in_a_row: at the last one's place; in_all: wherever they were."""
    if in_all >= bounds.in_all:
        return in_all
    return in_a_row if in_a_row >= bounds.in_a_row else 0


def at_last_place(losses: Sequence[Loss]) -> int:
    """How many were lost in a row, up to the last one, with no piece written between them."""
    return sum(1 for _ in takewhile(lambda loss: loss.place == losses[-1].place, reversed(losses)))
