"""Builds grammars, rule by rule. Knows nothing of JSON."""

from collections.abc import Callable

from mesh.protocol.grammar import Alternative, Element, Grammar, Rule

MOST_RULES = 20_000
MOST_ELEMENTS = 500_000
"""Rules of a grammar at most, and elements of all rules and characters of their texts together: it
travels with the request."""


class TooLarge(Exception):
    """The grammar would have more than MOST_RULES rules, or MOST_ELEMENTS elements."""


class Builder:
    """Collects rules; rule 0 is the whole answer, and is filled in last.

    alike: of rules whose alternatives may begin with the same text and go on into other rules, how
    many of them may.
    """

    def __init__(self) -> None:
        self.alike: dict[int, int] = {}
        self._rules: list[Rule] = [()]
        self._elements = 0
        self._named: dict[str, int] = {}

    def rule(self, *alternatives: Alternative) -> int:
        """Add a rule; returns its number."""
        return self.fill(self.reserve(), *alternatives)

    def reserve(self) -> int:
        """A rule that is filled in later, so that others, or itself, can refer to it."""
        if len(self._rules) >= MOST_RULES:
            raise TooLarge
        self._rules.append(())
        return len(self._rules) - 1

    def fill(self, number: int, *alternatives: Alternative) -> int:
        for alternative in alternatives:
            self._elements += sum(len(e) if isinstance(e, str) else 1 for e in alternative)
        if self._elements > MOST_ELEMENTS:
            raise TooLarge
        self._rules[number] = alternatives
        return number

    def named(self, name: str, make: Callable[[], int]) -> int:
        """A rule that is made once, when it is first needed."""
        if name not in self._named:
            self._named[name] = make()
        return self._named[name]

    def some(self, element: Element) -> int:
        """Any number of one element."""
        number = self.reserve()
        return self.fill(number, (element, number), ())

    def times(self, element: Element, least: int, most: int | None) -> int:
        """`element` at least and at most so many times; None: without a limit."""
        if most is None:
            return self.rule((*[element] * least, self.some(element)))
        rest = self.rule(())
        for _ in range(most - least):
            rest = self.rule((element, rest), ())
        return self.rule((*[element] * least, rest))

    def grammar(self, *root: Alternative) -> Grammar:
        """The grammar whose answers are these."""
        self.fill(0, *root)
        return Grammar(tuple(self._rules))
