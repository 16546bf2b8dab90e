"""How large the numbers of a message may be. What is beyond is refused as it is read, so that
nobody behind can be brought down by one: neither by what it is added to, nor where it is kept.

What only measures, as tokens and seconds do, is not worth an answer: instead of refusing its end,
the nearest number is taken that can be meant.
"""

from math import isfinite
from typing import Annotated

from msgspec import Meta

EXACT = 2**53
"""Up to here every whole number is one of JSON and of IEEE 754 as well."""

Number = Annotated[int, Meta(ge=0, lt=EXACT)]
"""A sequence of a log, the number of a claim or of a piece, or a count of bytes."""

LEAP = 2**24
"""By so much more than the claim before a claim may be numbered: else one could leave no number for
those after it. Each is the next one, as far as its writer could read those before."""

Small = Annotated[int, Meta(ge=0, lt=2**31)]
"""A count that a database keeps in 32 bits."""

Moment = Annotated[float, Meta(ge=0, le=2.5e11)]
"""A Unix time, before the year 9900."""

Finite = Annotated[float, Meta(ge=-1e15, le=1e15)]
"""What somebody reckoned, in seconds or tokens a second."""

MOST_TOKENS = 10**9
"""Of one answer. A sum over nine thousand million of such answers still fits 64 bits."""

MOST_SECONDS = 1e9
"""That something took: thirty years."""


def tokens(count: int) -> int:
    """The nearest count of tokens that one answer can have used."""
    return min(max(count, 0), MOST_TOKENS)


def seconds(duration: float) -> float:
    """The nearest duration that something can have taken; a clock that was set back may make it a
    negative one. What is no number is none at all."""
    return min(max(duration, 0.0), MOST_SECONDS) if isfinite(duration) else 0.0
