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
    web = _Web(grammar)
    length = max(web.lengths())
    if length == float("inf") or web.begins_with_itself():
        yield "The schema refers to itself so that no value could be valid."
    elif length > LONGEST:
        yield f"The shortest value has {length:,} characters, more than any answer; ask for less."
    elif max(web.readings(alike)) > MOST_READINGS:
        yield (
            f"There are more than {MOST_READINGS} ways to read one beginning of a value. Give"
            " fewer alternatives, and let each object of an anyOf begin with a required property"
            " whose const tells it from the others."
        )


class _Web:
    """A grammar's rules, which of them each one uses, and which may be the empty text."""

    def __init__(self, grammar: Grammar) -> None:
        self._rules = grammar.rules
        self._used = [_used(rule) for rule in self._rules]
        self._users: list[list[int]] = [[] for _ in self._rules]
        for number, used in enumerate(self._used):
            for each in used:
                self._users[each].append(number)
        self._nullable = self._solve(False, self._may_be_empty)

    def lengths(self) -> list[float]:
        """Characters of a shortest text of each rule; infinite where there is none."""

        def length(number: int, known: list[float]) -> float:
            return min(
                (_length(alternative, known) for alternative in self._rules[number]),
                default=float("inf"),
            )

        return self._solve(float("inf"), length)

    def readings(self, alike: Mapping[int, int]) -> list[int]:
        """The most readings that may be alive within each rule; what is beyond the limit is cut."""
        first = self._solve(0, self._openings)

        def readings(number: int, known: list[int]) -> int:
            within = max((known[used] for used in self._used[number]), default=0)
            return min(MOST_READINGS + 1, max(first[number], alike.get(number, 1) * within))

        return self._solve(0, readings)

    def begins_with_itself(self) -> bool:
        """Whether some rule can stand at its own beginning."""
        state: dict[int, bool] = {}
        for start in range(len(self._rules)):
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
                waiting += [(at, True) for at in self._beginnings(number) if not state.get(at)]
        return False

    def _solve(self, start: V, value: Callable[[int, list[V]], V]) -> list[V]:
        """Values of all rules, of which `value` makes each out of those of the others.

        From `start` on a value only ever goes one way; work is done where something has changed.
        """
        values = [start] * len(self._rules)
        waiting, queued = deque(range(len(values))), [True] * len(values)
        while waiting:
            number = waiting.popleft()
            queued[number] = False
            new = value(number, values)
            if new != values[number]:
                values[number] = new
                for user in self._users[number]:
                    if not queued[user]:
                        queued[user] = True
                        waiting.append(user)
        return values

    def _may_be_empty(self, number: int, known: list[bool]) -> bool:
        return any(
            all(known[e] if isinstance(e, int) else e == "" for e in alternative)
            for alternative in self._rules[number]
        )

    def _openings(self, number: int, known: list[int]) -> int:
        count = sum(self._begun(alternative, known) for alternative in self._rules[number])
        return min(MOST_READINGS + 1, count)

    def _begun(self, alternative: Alternative, known: list[int]) -> int:
        count = 0
        for element in alternative:
            if not isinstance(element, int):
                return count + 1
            count += known[element]
            if not self._nullable[element]:
                return count
        return count + 1

    def _beginnings(self, number: int) -> set[int]:
        """The rules that can stand at the beginning of one."""
        found = set()
        for alternative in self._rules[number]:
            for element in alternative:
                if isinstance(element, int):
                    found.add(element)
                    if self._nullable[element]:
                        continue
                elif element == "":
                    continue
                break
        return found


def _used(rule: Rule) -> set[int]:
    return {element for alternative in rule for element in alternative if isinstance(element, int)}


def _length(alternative: Alternative, known: list[float]) -> float:
    total: float = 0
    for element in alternative:
        if isinstance(element, int):
            total += known[element]
        else:
            total += len(element) if isinstance(element, str) else 1
    return total
