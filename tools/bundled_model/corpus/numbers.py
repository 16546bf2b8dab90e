"""Counting, adding, subtracting, comparing.

`held_out(a, b)` says which sums and differences are kept from training, so that the evaluation can
ask for some that were never seen.
"""

from __future__ import annotations

from random import Random

from .phrasing import ask, reply
from .turns import Turn
from .words import NAMES

LONGEST_COUNT = 31
LARGEST = 100

_NAMES = """zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen
sixteen seventeen eighteen nineteen twenty""".split()
_ASKED = {(6, 7), (5, 9), (3, 14), (8, 8), (5, 12), (6, 8), (7, 11), (4, 9), (9, 9), (9, 4), (9, 6), (7, 5)}

_COUNT = (
    "~count from {a} to {b}",
    "~count [up|] from {a} [up|] [to|until|till] {b}",
    "~count {a} to {b}",
    "~[list|write|name|say|give me|show me|tell me|print] [all|] [the|] numbers from {a} to {b}",
    "what are the numbers from {a} to {b}",
    "[numbers|counting|all numbers] from {a} to {b}",
    "[how do you|can you|do you know how to] count from {a} to {b}",
    "~start at {a} and count to {b}",
    "~start counting at {a} and stop at {b}",
    "[i want to|let me|let's] [hear|see] [you count|] from {a} to {b}",
    "from {a} to {b}, [please count|count|count them]",
    "count: {a} to {b}",
    "~count, [beginning|starting] [at|with] {a}, [ending|finishing] [at|with] {b}",
    "~write down [every number|the numbers], {a} [to|up to|through] {b}",
    "which numbers [come from|lie from|are there from] {a} to {b}",
    "{a} [to|until|...|up to] {b}",
    "{a} to {b}, [counting|one by one|in order|all of them]",
    "~begin at {a} and go on until {b}",
    "~count on from {a}, the last number is {b}",
    "~say {a} to {b}",
    "~enumerate {a} to {b}",
    "~count upwards from {a}; stop when you reach {b}",
    "~[name|recite] all [whole|] numbers between {a} and {b}",
    "i would like to see the numbers [from {a} to {b}|between {a} and {b}]",
)
_COUNT_ONE = (
    "~count to {b}",
    "~count [up to|until|till] {b}",
    "[how high can you count|can you count], [up to|to] {b} [for example|]",
    "~show me how you count to {b}",
    "[numbers|all numbers|the numbers] [up to|to] {b}",
    "the first {b} numbers",
    "1 to {b}",
    "one [to|until|till] {b}",
    "~count from one to {b}",
)
_DOWN = (
    "~count [down|backwards|back|in reverse] from {a} to {b}",
    "~count from {a} [down|backwards|back] to {b}",
    "~[list|say|write|give me] the numbers from {a} [down|backwards|back] to {b}",
    "backwards from {a} to {b}",
    "[countdown|a countdown] from {a} to {b}",
    "~start at {a} and count [down|backwards] to {b}",
    "{a} [down|back] to {b}",
    "~count from {a} to {b} in reverse order",
)
_DOWN_ONE = (
    "~count [down|backwards] from {a}",
    "[countdown|a countdown] from {a}",
    "~count down, [starting|beginning] [at|with|from] {a}",
    "~[give me|make] a countdown from {a}",
    "~[start|begin] at {a} and count [down|backwards]",
    "[reverse|backward] counting from {a}",
)
_STEPS = (
    "~count from {a} to {b} [by|in] {s}s",
    "~count [by|in] {s}s from {a} to {b}",
    "~count from {a} to {b} in steps of {n}",
    "~count by {s}s, from {a} to {b}",
    "every [second|other] number from {a} to {b}",
    "~list every {n}. number from {a} to {b}",
)
_NEIGHBOUR = (
    "[what|which] number [comes|is|goes] {side} {a}",
    "what comes {side} {a}",
    "the number [right|just|] {side} {a}",
)
_SUM = (
    "what is {a} [+|plus|and] {b}",
    "{a} + {b}",
    "{a}+{b}",
    "{a} + {b} =",
    "{a} + {b} = ?",
    "{a} plus {b}",
    "{a} plus {b} [makes what|equals|equals what]",
    "how much is {a} [+|plus|and] {b}",
    "~add {a} and {b}",
    "~add {b} to {a}",
    "[what does|how much does] {a} plus {b} [make|equal|give]",
    "what [is|'s] the sum of {a} and {b}",
    "the sum of {a} and {b}",
    "~[calculate|compute|work out|solve] {a} + {b}",
    "what do you get if you add {a} and {b}",
    "what [number|] is {a} more than {b}",
    "[maths|math]: {a} + {b}",
    "{a} and {b} [is|are|make] [how much|how many]",
    "i add {b} to {a}, what [is it|do i get|is the result]",
    "do you know [what|how much] {a} plus {b} makes",
    "what is the total of {a} and {b}",
    "if i add {a} and {b}, what is the answer",
)
_SUM_STORY = (
    "i have {a} {things}, and [you give me|i win|i buy|i find] {b} more. how many [{things}|] do i have [now|]",
    "{name} has {a} {things} and [gets|buys|finds] {b} more. how many {things} does {name} have",
    "there are {a} {things} [here|on the table] and {b} {things} [there|on the floor], how many are there [together|in all|]",
    "{a} {things} and {b} {things}, how many {things} is that",
    "i [bought|picked|saw] {a} {things} [yesterday|in the morning] and {b} {things} today. how many [altogether|in total|is that]",
)
_MINUS = (
    "what is {a} [-|minus] {b}",
    "{a} - {b}",
    "{a}-{b}",
    "{a} - {b} =",
    "{a} minus {b}",
    "how much is {a} [-|minus] {b}",
    "~subtract {b} from {a}",
    "~take {b} from {a}",
    "~[calculate|compute|work out] {a} - {b}",
    "{a} take away {b}",
    "what is {a} less {b}",
    "what is the difference between {a} and {b}",
    "what [remains|is left] [if|when] you take {b} from {a}",
    "what do you get if you subtract {b} from {a}",
)
_MINUS_STORY = (
    "i have {a} {things} and [lose|give away|eat|sell] {b}. how many [{things}|] [are left|do i have left|remain]",
    "{name} has {a} {things} and [loses|gives away|sells] {b} of them. how many {things} [are left|does {name} have]",
    "there were {a} {things}, {b} [are gone|went away|broke]. how many are left",
)
_COMPARE = (
    "[which|what] [number|] is {more}, {a} or {b}",
    "is {a} or {b} {more}",
    "what's {more}: {a} or {b}",
    "[which|what] is the {most} of {a} and {b}",
)
_COUNTED = "apples cookies books eggs balls coins pens flowers cats toys stones cars cups stars nuts".split()


def held_out(a: int, b: int) -> bool:
    """Whether the pair of numbers is kept from training (about one in nine, and those asked for)."""
    low, high = sorted((a, b))
    return (low, high) in _ASKED or (a, b) in _ASKED or (3 * low + 5 * high) % 9 == 4


def spoken(rng: Random, number: int) -> str:
    """The number as the user writes it: mostly digits, sometimes a word."""
    return _NAMES[number] if number <= 20 and rng.random() < 0.18 else str(number)


def listed(numbers: range) -> str:
    """The numbers as the model counts them."""
    return ", ".join(map(str, numbers))


def counting(rng: Random) -> list[Turn]:
    """Count up, down or in steps, sometimes back again."""
    top = 30 if rng.random() < 0.8 else LARGEST
    low = rng.choice((0, 1, 1, 1, rng.randint(0, top - 2), rng.randint(0, top - 2), rng.randint(0, top - 2)))
    high = min(low + rng.randint(2, LONGEST_COUNT - 1), top)
    kind = rng.random()
    a, b = spoken(rng, low), spoken(rng, high)
    up, down = listed(range(low, high + 1)), listed(range(high, low - 1, -1))
    if kind < 0.5:
        user = ask(rng, _COUNT_ONE if low == 1 and rng.random() < 0.6 else _COUNT, a=a, b=b)
        turns = [Turn(user, up)]
        if rng.random() < 0.12:
            turns.append(Turn(ask(rng, ("[now|and|and now] [backwards|back|in reverse|down again]",)), down))
        return turns
    if kind < 0.78:
        one = low in (0, 1) and rng.random() < 0.6
        stop = "" if not one else listed(range(high, 0, -1))
        return [Turn(ask(rng, _DOWN_ONE if one else _DOWN, a=b, b=a), stop or down)]
    if kind < 0.9:
        step = rng.choice((2, 2, 2, 5, 10)) if high <= 30 else rng.choice((5, 10))
        numbers = range(low, high + 1, step)
        slots = {"a": a, "b": b, "n": spoken(rng, step), "s": _NAMES[step]}
        return [Turn(ask(rng, _STEPS if step == 2 else _STEPS[:4], **slots), listed(numbers))]
    side, step = rng.choice((("after", 1), ("before", -1)))
    return [Turn(ask(rng, _NEIGHBOUR, side=side, a=b), f"The number {side} {high} is {high + step}.")]


def adding(rng: Random) -> list[Turn]:
    """One or two sums, most of them small, none of those held out."""
    turns = []
    while not turns or (rng.random() < 0.25 and len(turns) < 3):
        total = rng.randint(0, 20) if rng.random() < 0.6 else rng.randint(10, LARGEST)
        a = rng.randint(0, total)
        b = total - a
        if held_out(a, b):
            continue
        said = {"a": spoken(rng, a), "b": spoken(rng, b)}
        if rng.random() < 0.25:
            things = rng.choice(_COUNTED)
            user = ask(rng, _SUM_STORY, **said, things=things, name=rng.choice(NAMES))
            answer = f"{a} + {b} = {total}. That is {total} {things}."
        else:
            user, answer = ask(rng, _SUM, **said), f"{a} + {b} = {total}."
        turns.append(Turn(user, answer))
    return turns


def subtracting(rng: Random) -> list[Turn]:
    """One difference that is not negative and not held out."""
    while True:
        a = rng.randint(0, 20) if rng.random() < 0.7 else rng.randint(10, LARGEST)
        b = rng.randint(0, a)
        if not held_out(a, b):
            break
    said = {"a": spoken(rng, a), "b": spoken(rng, b)}
    if rng.random() < 0.25:
        things = rng.choice(_COUNTED)
        user = ask(rng, _MINUS_STORY, **said, things=things, name=rng.choice(NAMES))
        return [Turn(user, f"{a} - {b} = {a - b}. That leaves {a - b} {things}.")]
    return [Turn(ask(rng, _MINUS, **said), f"{a} - {b} = {a - b}.")]


def comparing(rng: Random) -> list[Turn]:
    """Which of two numbers is larger or smaller."""
    a, b = rng.sample(range(0, 31 if rng.random() < 0.7 else LARGEST), 2)
    larger = rng.random() < 0.6
    more, most = rng.choice((("bigger", "biggest"), ("larger", "largest"), ("greater", "greatest")))
    if not larger:
        more, most = rng.choice((("smaller", "smallest"), ("less", "smallest")))
    user = ask(rng, _COMPARE, a=spoken(rng, a), b=spoken(rng, b), more=more, most=most)
    best, rest = (max(a, b), min(a, b)) if larger else (min(a, b), max(a, b))
    return [Turn(user, reply(rng, "{x} is {word} than {y}.", x=best, y=rest, word="larger" if larger else "smaller"))]
