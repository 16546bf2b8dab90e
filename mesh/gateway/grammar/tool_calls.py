"""The grammar of calls of tools, in the one form in which every model here writes them.

<tool_call>
{"name": "get_weather", "arguments": {"city": "Oslo"}}
</tool_call>
"""

from dataclasses import dataclass
from typing import Any, Literal

from mesh.gateway.grammar import json_schema
from mesh.gateway.grammar.build import Builder
from mesh.gateway.grammar.keywords import SchemaError
from mesh.gateway.grammar.sound import faults
from mesh.protocol.grammar import Alternative, Chars, Grammar
from mesh.protocol.spelling import ARGUMENTS, CLOSE, NAME, OPEN


@dataclass(frozen=True)
class Function:
    """A function that may be called. where: its schema's place in the request, for refusals."""

    name: str
    schema: object
    where: str


def grammar(
    functions: list[Function], instead: Literal["text"] | dict[str, Any] | None, parallel: bool
) -> Grammar:
    """An answer that calls functions.

    instead: what it may be too: "text", also before a call, or the JSON of a schema; None: it has
    to call. parallel: there may be several calls. Raises SchemaError, with its full place.
    """
    b = Builder()
    calls: list[Alternative] = [(_call(b, function),) for function in functions]
    call = b.rule(*calls)
    more = b.reserve()
    b.fill(more, *([("\n" + OPEN, call, more), ()] if parallel else [()]))
    called = b.rule((call, more))
    if instead == "text":
        made = b.grammar((_text(b, called),))
    elif instead is None:
        made = b.grammar((OPEN, called))
    else:
        made = b.grammar((json_schema.rule(b, instead),), (OPEN, called))
    for detail in faults(made, b.alike):
        _blame(functions, instead)
        raise SchemaError("tools", detail)
    return made


def _blame(functions: list[Function], instead: Literal["text"] | dict[str, Any] | None) -> None:
    """Raise SchemaError for the schema that has a fault by itself. All are looked at together
    first, for that takes far less time."""
    for function in functions:
        try:
            json_schema.grammar(function.schema)
        except SchemaError as error:
            raise SchemaError(function.where + error.where, str(error)) from error
    if isinstance(instead, dict):
        json_schema.grammar(instead)


def _call(b: Builder, function: Function) -> int:
    """One call, behind the word that opens it. Its arguments are an object, whatever else a schema
    would allow: nobody could read any other value as arguments."""
    try:
        arguments = json_schema.rule(b, function.schema, objects=True)
    except SchemaError as error:
        raise SchemaError(function.where + error.where, str(error)) from error
    return b.rule((f"{NAME}{function.name}{ARGUMENTS}", arguments, CLOSE))


def _text(b: Builder, called: int) -> int:
    """Any text up to the word that opens a call, and then the call; or no call at all."""
    states = [b.reserve() for _ in OPEN]
    first = OPEN[0]
    for at, state in enumerate(states):
        wanted = OPEN[at]
        behind = states[at + 1] if at + 1 < len(OPEN) else called
        alternatives: list[Alternative] = [(), (wanted, behind)]
        if wanted == first:
            others = Chars(wanted * 2, negated=True)
        else:
            alternatives.append((first, states[1]))
            others = Chars(f"{wanted * 2}{first * 2}", negated=True)
        alternatives.append((others, states[0]))
        b.fill(state, *alternatives)
    return states[0]
