"""Counting, adding, subtracting, comparing.

`held_out(a, b)` says which sums and differences are kept from training, so that the evaluation can
ask for some that were never seen.
"""

from __future__ import annotations

from random import Random

from .phrasing import ask, wordings
from .turns import Turn
from .words import NAMES

LONGEST_COUNT = 31
LARGEST = 100

_NAMES = """zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen
fifteen sixteen seventeen eighteen nineteen twenty""".split()
_ASKED = {(6, 7), (5, 9), (3, 14), (8, 8), (5, 12), (6, 8), (7, 11), (4, 9), (9, 9), (9, 4), (9, 6),
          (7, 5)}  # fmt: skip

_WORDINGS = wordings("numbers")
_COUNTED = """apples cookies books eggs balls coins pens flowers cats toys stones cars cups stars
nuts""".split()


def held_out(a: int, b: int) -> bool:
    """Whether the two numbers are kept from training: about one pair in nine, and those asked."""
    low, high = sorted((a, b))
    return (low, high) in _ASKED or (a, b) in _ASKED or (3 * low + 5 * high) % 9 == 4


def spoken(rng: Random, number: int) -> str:
    """The number as the user writes it: mostly digits, sometimes a word."""
    return _NAMES[number] if number <= 20 and rng.random() < 0.18 else str(number)


def _listed(numbers: range) -> str:
    """The numbers as the model counts them."""
    return ", ".join(map(str, numbers))


def counting(rng: Random) -> list[Turn]:
    """Count up, down or in steps, or name the number before or after one."""
    top = 30 if rng.random() < 0.9 else LARGEST
    anywhere = [rng.randint(0, top - 2) for _ in range(3)]
    low = rng.choice((0, 1, 1, *anywhere))
    length = rng.randint(1, 10 if rng.random() < 0.4 else LONGEST_COUNT - 1)
    high = min(low + length, top)
    kind = rng.random()
    said = {"a": spoken(rng, low), "b": spoken(rng, high)}
    if kind < 0.42:
        return _counting_up(rng, low, high, said)
    if kind < 0.84:
        one = low in (0, 1) and rng.random() < 0.6
        user = ask(rng, _WORDINGS["count down to one" if one else "count down"],
                   a=said["b"], b=said["a"])  # fmt: skip
        return [Turn(user, _listed(range(high, 0 if one else low - 1, -1)))]
    if kind < 0.92:
        return _counting_in_steps(rng, low, high, said)
    side, step = rng.choice((("after", 1), ("before", -1)))
    user = ask(rng, _WORDINGS["neighbour"], side=side, a=said["b"])
    return [Turn(user, f"The number {side} {high} is {high + step}.")]


def _counting_up(rng: Random, low: int, high: int, said: dict[str, str]) -> list[Turn]:
    """From `low` to `high`, and sometimes back when asked."""
    short = low == 1 and rng.random() < 0.6
    user = ask(rng, _WORDINGS["count from one" if short else "count"], **said)
    turns = [Turn(user, _listed(range(low, high + 1)))]
    if rng.random() < 0.12:
        user = ask(rng, _WORDINGS["now backwards"])
        turns.append(Turn(user, _listed(range(high, low - 1, -1))))
    return turns


def _counting_in_steps(rng: Random, low: int, high: int, said: dict[str, str]) -> list[Turn]:
    step = rng.choice((2, 2, 2, 5, 10)) if high <= 30 else rng.choice((5, 10))
    any_step = _WORDINGS["count in steps"][:4]
    user = ask(rng, _WORDINGS["count in steps"] if step == 2 else any_step,
               **said, n=spoken(rng, step), s=_NAMES[step])  # fmt: skip
    return [Turn(user, _listed(range(low, high + 1, step)))]


def adding(rng: Random) -> list[Turn]:
    """One or two sums, most of them small, none of those held out."""
    turns: list[Turn] = []
    while not turns or (rng.random() < 0.25 and len(turns) < 3):
        total = rng.randint(0, 20) if rng.random() < 0.8 else rng.randint(10, LARGEST)
        a = rng.randint(0, total)
        b = total - a
        if held_out(a, b):
            continue
        said = {"a": spoken(rng, a), "b": spoken(rng, b)}
        if rng.random() < 0.25:
            things = rng.choice(_COUNTED)
            user = ask(rng, _WORDINGS["sum story"], **said, things=things, name=rng.choice(NAMES))
            answer = f"{a} + {b} = {total}. That is {total} {things}."
        else:
            user, answer = ask(rng, _WORDINGS["sum"], **said), f"{a} + {b} = {total}."
        turns.append(Turn(user, answer))
    return turns


def subtracting(rng: Random) -> list[Turn]:
    """One difference that is not negative and not held out."""
    while True:
        a = rng.randint(0, 20) if rng.random() < 0.85 else rng.randint(10, LARGEST)
        b = rng.randint(0, a)
        if not held_out(a, b):
            break
    said = {"a": spoken(rng, a), "b": spoken(rng, b)}
    if rng.random() < 0.25:
        things = rng.choice(_COUNTED)
        user = ask(
            rng, _WORDINGS["difference story"], **said, things=things, name=rng.choice(NAMES)
        )
        return [Turn(user, f"{a} - {b} = {a - b}. That leaves {a - b} {things}.")]
    return [Turn(ask(rng, _WORDINGS["difference"], **said), f"{a} - {b} = {a - b}.")]


def comparing(rng: Random) -> list[Turn]:
    """Which of two numbers is larger or smaller."""
    a, b = rng.sample(range(0, 31 if rng.random() < 0.7 else LARGEST), 2)
    larger = rng.random() < 0.6
    more, most = rng.choice((("bigger", "biggest"), ("larger", "largest"), ("greater", "greatest")))
    if not larger:
        more, most = rng.choice((("smaller", "smallest"), ("less", "smallest")))
    user = ask(rng, _WORDINGS["compare"], a=spoken(rng, a), b=spoken(rng, b), more=more, most=most)
    low, high = sorted((a, b))
    return [
        Turn(user, f"{high} is larger than {low}." if larger else f"{low} is smaller than {high}.")
    ]
