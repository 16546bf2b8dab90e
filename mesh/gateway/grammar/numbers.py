"""Numbers between two bounds, digit by digit. Pure."""

from functools import lru_cache

from mesh.protocol.grammar import Alternative, Chars, Element

LARGEST = 10**15 - 1
"""The largest number without a bound of its own: every reader of JSON takes it exactly."""

DIGIT = Chars("09")


@lru_cache(maxsize=256)
def between(least: int | None, most: int | None) -> tuple[Alternative, ...]:
    """The alternatives whose texts are the integers from `least` to `most`; none if there are none.

    Without a bound they are those of at most 15 digits.
    """
    low = min(-LARGEST, LARGEST if most is None else most) if least is None else least
    high = max(LARGEST, low) if most is None else most
    found: list[Alternative] = []
    if low < 0:
        negative = _positive(max(1, -min(high, -1)), -low) if low <= -1 else []
        found += [("-", *alternative) for alternative in negative]
    if high >= 0:
        found += _positive(max(low, 0), high)
    return tuple(found)


def _positive(low: int, high: int) -> list[Alternative]:
    """Split by the number of digits."""
    found: list[Alternative] = []
    while low <= high:
        end = min(high, 10 ** len(str(low)) - 1)
        found += _as_long(str(low), str(end))
        low = end + 1
    return found


def _as_long(low: str, high: str) -> list[Alternative]:
    """The numbers between two of one length."""
    if not low:
        return [()]
    if low == "0" * len(low) and high == "9" * len(high):
        return [(DIGIT,) * len(low)]
    first, last = low[0], high[0]
    if first == last:
        return [(first, *rest) for rest in _as_long(low[1:], high[1:])]
    nines, noughts = "9" * (len(low) - 1), "0" * (len(low) - 1)
    found = _headed(first, _as_long(low[1:], nines))
    if int(last) - int(first) > 1:
        middle: Element = Chars(f"{int(first) + 1}{int(last) - 1}")
        found.append((middle, *[DIGIT] * (len(low) - 1)))
    return found + _headed(last, _as_long(noughts, high[1:]))


def _headed(digit: str, rests: list[Alternative]) -> list[Alternative]:
    return [(digit, *rest) for rest in rests]
