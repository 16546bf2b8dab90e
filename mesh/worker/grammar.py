"""Runs grammars: what may follow a text, as a grammar again, as GBNF, or as a shortest text. Pure.

A grammar's state after a text is a set of stacks of what is still to come. Written out as
alternatives they are the grammar of the rest: so another worker goes on within an answer.
"""

import math
import re
from collections import deque
from collections.abc import Iterator
from copy import copy
from functools import lru_cache
from typing import NamedTuple

from mesh.protocol.grammar import Alternative, Chars, Element, Grammar

_PREFERRED = 'a0A-"{'
"""Characters to choose from a set, if it has them."""


class _Place(NamedTuple):
    """Where a parse stands: in an alternative, before element `at`, `off` characters into it.

    parent: where it goes on behind that alternative; None: nowhere.
    """

    sequence: Alternative
    at: int
    off: int
    parent: "_Place | None"


_Places = frozenset[_Place | None]

KEPT = 50_000
"""Steps from some places over a character that a matcher remembers."""


class Matcher:
    """Follows a text through a grammar. `done`: whether it could end here.

    Texts are mostly many characters in few places: where each one led is remembered.
    """

    def __init__(self, grammar: Grammar) -> None:
        self._grammar = grammar
        self._known: dict[tuple[_Places, str], _Places] = {}
        self._same: dict[_Places, _Places] = {}
        self._places = self._expanded([_Place((0,), 0, 0, None)])

    @property
    def done(self) -> bool:
        return None in self._places

    def feed(self, text: str) -> bool:
        """Take a text; False, and nothing more fits, where the grammar does not allow it."""
        places, known = self._places, self._known
        for character in text:
            step = (places, character)
            after = known.get(step)
            if after is None:
                after = self._stepped(*step)
            places = after
            if not places:
                break
        self._places = places
        return bool(places)

    def after(self, text: str) -> "Matcher | None":
        """Another matcher, behind a text; None where the grammar does not allow it."""
        other = copy(self)
        return other if other.feed(text) else None

    def may(self, low: int, high: int) -> bool:
        """Whether a character of these code points may follow."""
        for place in self._places:
            if place is None:
                continue
            element = place.sequence[place.at]
            if isinstance(element, str):
                if low <= ord(element[place.off]) <= high:
                    return True
            elif isinstance(element, Chars) and element.meets(low, high):
                return True
        return False

    def rest(self) -> Grammar:
        """The grammar of all texts that may follow."""
        shifted = tuple(
            tuple(_shifted(alternative) for alternative in rule) for rule in self._grammar.rules
        )
        root = [_shifted(_unwound(place)) for place in self._places]
        return Grammar((tuple(sorted(root, key=repr)), *shifted))

    def _stepped(self, places: _Places, character: str) -> _Places:
        """The places behind a character; equal ones are the same object, and so soon found."""
        if len(self._known) >= KEPT:
            self._known.clear()
            self._same.clear()
        moved = [after for place in places if (after := _moved(place, character))]
        expanded = self._expanded(moved)
        found = self._known[places, character] = self._same.setdefault(expanded, expanded)
        return found

    def _expanded(self, places: list[_Place]) -> _Places:
        """The same places, each before a text or a set of characters; None for the end."""
        found: set[_Place | None] = set()
        seen: set[_Place] = set()
        waiting = list(places)
        while waiting:
            place = waiting.pop()
            if place in seen:
                continue
            seen.add(place)
            if place.at == len(place.sequence):
                if place.parent is None:
                    found.add(None)
                else:
                    waiting.append(place.parent)
                continue
            element = place.sequence[place.at]
            if isinstance(element, int):
                parent = _behind(place)
                rule = self._grammar.rules[element]
                waiting += [_Place(alternative, 0, 0, parent) for alternative in rule]
            elif element == "":
                waiting.append(place._replace(at=place.at + 1))
            else:
                found.add(place)
        return frozenset(found)


def rest_after(grammar: Grammar, text: str) -> Grammar | None:
    """The grammar of what may follow a text; None where the text does not fit."""
    if not text:
        return grammar
    matcher = Matcher(grammar)
    return matcher.rest() if matcher.feed(text) else None


def fits(grammar: Grammar, text: str) -> bool:
    """Whether a text is a whole one of the grammar."""
    matcher = Matcher(grammar)
    return matcher.feed(text) and matcher.done


def gbnf(grammar: Grammar) -> str:
    """The grammar as llama.cpp reads it."""
    return "\n".join(
        f"{_name(number)} ::= {' | '.join(map(_sequence, rule))}"
        for number, rule in enumerate(grammar.rules)
    )


def shortest(grammar: Grammar) -> str:
    """A shortest text of the grammar, always the same."""
    best: list[Alternative] = [()] * len(grammar.rules)
    lengths = [math.inf] * len(grammar.rules)
    users = _users(grammar)
    waiting, queued = deque(range(len(users))), [True] * len(users)
    while waiting:
        number = waiting.popleft()
        queued[number] = False
        shorter = False
        for alternative in grammar.rules[number]:
            length = sum(_length(element, lengths) for element in alternative)
            if length < lengths[number]:
                lengths[number], best[number], shorter = length, alternative, True
        for user in users[number] if shorter else ():
            if not queued[user]:
                queued[user] = True
                waiting.append(user)
    return "".join(_said(best))


def _users(grammar: Grammar) -> list[list[int]]:
    """By which rules each one is used: what became shorter there may make these shorter."""
    users: list[list[int]] = [[] for _ in grammar.rules]
    for number, rule in enumerate(grammar.rules):
        for used in {e for alternative in rule for e in alternative if isinstance(e, int)}:
            users[used].append(number)
    return users


def _said(best: list[Alternative]) -> Iterator[str]:
    """The text of rule 0, where each rule has one alternative."""
    waiting: list[Element] = [0]
    while waiting:
        match waiting.pop():
            case int(number):
                waiting += reversed(best[number])
            case str(text):
                yield text
            case chars:
                yield next((c for c in _PREFERRED if chars.has(c)), chars.ranges[:1])


def _moved(place: _Place | None, character: str) -> _Place | None:
    """The place behind a character, if it may come there."""
    if place is None:
        return None
    element = place.sequence[place.at]
    if isinstance(element, str):
        if element[place.off] != character:
            return None
        if place.off + 1 < len(element):
            return place._replace(off=place.off + 1)
    elif isinstance(element, int) or not element.has(character):
        return None
    return place._replace(at=place.at + 1, off=0)


def _behind(place: _Place) -> _Place | None:
    """Where a parse goes on behind the element; an alternative that ends there is left at once."""
    if place.at + 1 == len(place.sequence):
        return place.parent
    return place._replace(at=place.at + 1, off=0)


def _unwound(place: _Place | None) -> Alternative:
    """All that is still to come, as one sequence."""
    found: list[Element] = []
    while place is not None:
        first, *others = place.sequence[place.at :] or ("",)
        found += [first[place.off :] if isinstance(first, str) else first, *others]
        place = place.parent
    return tuple(found)


def _shifted(alternative: Alternative) -> Alternative:
    return tuple(each + 1 if isinstance(each, int) else each for each in alternative)


def _length(element: Element, lengths: list[float]) -> float:
    match element:
        case str():
            return len(element)
        case int():
            return lengths[element]
    return 1


def _name(number: int) -> str:
    return f"r{number}" if number else "root"


def _sequence(alternative: Alternative) -> str:
    return " ".join(map(_element, alternative)) or '""'


def _element(element: Element) -> str:
    match element:
        case str():
            return f'"{_escaped(element)}"'
        case int():
            return _name(element)
    return _set(element)


@lru_cache(maxsize=256)
def _set(chars: Chars) -> str:
    pairs = re.findall("(?s)..", chars.ranges)
    ranges = "".join(f"{_escaped(pair[0])}-{_escaped(pair[1])}" for pair in pairs)
    return f"[{'^' if chars.negated else ''}{ranges}]"


def _escaped(text: str) -> str:
    return "".join(c if c.isascii() and c.isalnum() else f"\\U{ord(c):08x}" for c in text)
