"""Whether a grammar can be run: each rule has a finite text, and none begins with itself. Pure."""

from collections.abc import Callable

from mesh.protocol.grammar import Alternative, Grammar


def is_sound(grammar: Grammar) -> bool:
    """Whether engines can be held to it."""
    return len(_finite(grammar)) == len(grammar.rules) and not _begins_with_itself(grammar)


def _finite(grammar: Grammar) -> set[int]:
    """The rules that have a finite text."""
    return _fixed_point(
        grammar,
        lambda alternative, known: all(not isinstance(e, int) or e in known for e in alternative),
    )


def _nullable(grammar: Grammar) -> set[int]:
    """The rules of which one text is empty."""
    return _fixed_point(
        grammar, lambda alternative, known: all(e == "" or e in known for e in alternative)
    )


def _fixed_point(grammar: Grammar, holds: Callable[[Alternative, set[int]], bool]) -> set[int]:
    known: set[int] = set()
    size = -1
    while size < len(known):
        size = len(known)
        for number, rule in enumerate(grammar.rules):
            if number not in known and any(holds(alternative, known) for alternative in rule):
                known.add(number)
    return known


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


def _beginnings(grammar: Grammar, number: int, nullable: set[int]) -> set[int]:
    """The rules that can stand at the beginning of one."""
    found = set()
    for alternative in grammar.rules[number]:
        for element in alternative:
            if isinstance(element, int):
                found.add(element)
                if element in nullable:
                    continue
            elif element == "":
                continue
            break
    return found
