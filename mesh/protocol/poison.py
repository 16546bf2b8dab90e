"""When a request is taken for the cause of the deaths of those who worked on it. Pure."""

from typing import NamedTuple


class Bounds(NamedTuple):
    """How many holders of a request may be lost. in_a_row: at the same place, with no piece written
    between them; in_all: wherever each of them had come to."""

    in_a_row: int
    in_all: int


def blamed(in_a_row: int, in_all: int, bounds: Bounds) -> int:
    """How many lost holders a request is blamed for, so that it reaches no further engine; 0: it
    may go on. in_a_row, in_all: the losses, as `Run` counts them."""
    if in_all >= bounds.in_all:
        return in_all
    return in_a_row if in_a_row >= bounds.in_a_row else 0
