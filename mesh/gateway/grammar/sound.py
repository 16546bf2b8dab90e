"""Whether a grammar can be run, in bounded time and memory, by whoever keeps to it. Pure."""

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from typing import TypeVar

from mesh.protocol.grammar import Alternative, Grammar, Rule

V = TypeVar("V", int, float, bool)

MOST_READINGS = 2000
"""Ways to read what was said so far that are followed side by side, at most: each has to be asked
for every token."""
LONGEST = 1_000_000
"""Characters of a shortest text at most: no answer is as long."""


def faults(grammar: Grammar, alike: Mapping[int, int]) -> Iterator[str]:
    """Why nobody could be held to a grammar, in sentences; nothing if it is sound.

    alike: of some rules, how many of their alternatives may be read at once and go on within.
    """
    length = max(_lengths(grammar))
    if length == float("inf") or _begins_with_itself(grammar):
        yield "The schema refers to itself so that no value could be valid."
    elif length > LONGEST:
        yield f"The shortest value has {length:,} characters, more than any answer; ask for less."
    elif max(_readings(grammar, alike)) > MOST_READINGS:
        yield (
            f"There are more than {MOST_READINGS} ways to read one beginning of a value. Give"
            " fewer alternatives, and let each object of an anyOf begin with a required property"
            " whose const tells it from the others."
        )


def _solve(grammar: Grammar, start: V, value: Callable[[int, list[V]], V]) -> list[V]:
    """Values of all rules, of which `value` makes each out of those of the others.

    From `start` on a value only ever goes one way; work is done where something has changed.
    """
    values = [start] * len(grammar.rules)
    users: list[list[int]] = [[] for _ in grammar.rules]
    for number, rule in enumerate(grammar.rules):
        for used in _used(rule):
            users[used].append(number)
    waiting, queued = deque(range(len(values))), [True] * len(values)
    while waiting:
        number = waiting.popleft()
        queued[number] = False
        new = value(number, values)
        if new != values[number]:
            values[number] = new
            for user in users[number]:
                if not queued[user]:
                    queued[user] = True
                    waiting.append(user)
    return values


def _used(rule: Rule) -> set[int]:
    return {element for alternative in rule for element in alternative if isinstance(element, int)}


def _lengths(grammar: Grammar) -> list[float]:
    """Characters of a shortest text of each rule; infinite where there is none."""

    def length(alternative: Alternative, known: list[float]) -> float:
        return sum(
            known[e] if isinstance(e, int) else len(e) if isinstance(e, str) else 1
            for e in alternative
        )

    return _solve(
        grammar,
        float("inf"),
        lambda number, known: min(
            (length(alternative, known) for alternative in grammar.rules[number]),
            default=float("inf"),
        ),
    )


def _nullable(grammar: Grammar) -> list[bool]:
    """Whether one text of each rule is empty."""
    return _solve(
        grammar,
        False,
        lambda number, known: any(
            all(known[e] if isinstance(e, int) else e == "" for e in alternative)
            for alternative in grammar.rules[number]
        ),
    )


def _readings(grammar: Grammar, alike: Mapping[int, int]) -> list[int]:
    """The most readings that may be alive within each rule; what is beyond the limit is cut."""
    nullable = _nullable(grammar)

    def begun(alternative: Alternative, known: list[int]) -> int:
        count = 0
        for element in alternative:
            if not isinstance(element, int):
                return count + 1
            count += known[element]
            if not nullable[element]:
                return count
        return count + 1

    def openings(number: int, known: list[int]) -> int:
        count = sum(begun(alternative, known) for alternative in grammar.rules[number])
        return min(MOST_READINGS + 1, count)

    first = _solve(grammar, 0, openings)

    def readings(number: int, known: list[int]) -> int:
        within = max((known[used] for used in _used(grammar.rules[number])), default=0)
        return min(MOST_READINGS + 1, max(first[number], alike.get(number, 1) * within))

    return _solve(grammar, 0, readings)


def _begins_with_itself(grammar: Grammar) -> bool:
    """Whether some rule can stand at its own beginning."""
    nullable = _nullable(grammar)
    state: dict[int, bool] = {}
    for start in range(len(grammar.rules)):
        waiting = [(start, True)]
        while waiting:
            number, entering = waiting.pop()
            if not entering:
                state[number] = True
                continue
            if number in state:
                if state[number] is False:
                    return True
                continue
            state[number] = False
            waiting.append((number, False))
            waiting += [
                (at, True) for at in _beginnings(grammar, number, nullable) if not state.get(at)
            ]
    return False


def _beginnings(grammar: Grammar, number: int, nullable: list[bool]) -> set[int]:
    """The rules that can stand at the beginning of one."""
    found = set()
    for alternative in grammar.rules[number]:
        for element in alternative:
            if isinstance(element, int):
                found.add(element)
                if nullable[element]:
                    continue
            elif element == "":
                continue
            break
    return found
