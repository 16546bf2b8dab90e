"""Reads what a body says of tools and of the answer's format into a grammar. Pure."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct
from msgspec.structs import replace

from mesh.gateway.grammar import json_schema, tool_calls
from mesh.gateway.grammar.keywords import SchemaError
from mesh.gateway.grammar.tool_calls import Function
from mesh.gateway.openai.asked import bad, unsupported
from mesh.protocol.errors import MeshError
from mesh.protocol.grammar import Grammar, Wish
from mesh.protocol.request import Tool

NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")


class FunctionBody(Struct, forbid_unknown_fields=True):
    """A function and the JSON Schema of its arguments, which are held to it; by an upstream only
    where it is strict."""

    name: str
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None


class ToolBody(Struct, forbid_unknown_fields=True):
    """A tool: always a function."""

    type: str
    function: FunctionBody | None = None


class NamedFunction(Struct, forbid_unknown_fields=True):
    """A function by its name; whoever gives the whole tool says no more than that."""

    name: str
    description: object = None
    parameters: object = None
    strict: object = None


class NamedTool(Struct, forbid_unknown_fields=True):
    """The one function that has to be called."""

    type: Literal["function"]
    function: NamedFunction


class JsonSchema(Struct, forbid_unknown_fields=True):
    """A JSON Schema with a name, which changes nothing."""

    name: str | None = None
    description: str | None = None
    schema: dict[str, Any] | None = None
    strict: bool | None = None


class ResponseFormat(Struct, forbid_unknown_fields=True):
    """Text, any JSON object, or the JSON of a schema."""

    type: str
    json_schema: JsonSchema | None = None


ToolBodies = Annotated[list[ToolBody], Meta(max_length=128)]
ToolChoice = Literal["none", "auto", "required"] | NamedTool


class Format(Struct, frozen=True):
    """tools: those that are offered; grammar: what the answer has to be, None: any text."""

    tools: tuple[Tool, ...] = ()
    grammar: Grammar | None = None


def read(
    tools: list[ToolBody],
    choice: ToolChoice | None,
    parallel: bool,
    response: ResponseFormat | None,
) -> Format:
    """Raises MeshError (bad_request, unsupported), naming the parameter at fault."""
    functions = [_function(f"tools[{at}]", tool) for at, tool in enumerate(tools)]
    _check_names(functions)
    schema = _schema(response)
    offered = tuple(_tool(tool.function) for tool in tools if tool.function is not None)
    match choice:
        case NamedTool():
            named = [each for each in functions if each.name == choice.function.name]
            if not named:
                raise bad("tool_choice", f"There is no tool {choice.function.name!r} in tools.")
            functions, required = named, True
        case "required":
            if not functions:
                raise bad("tool_choice", "There are no tools to be called; give some.")
            required = True
        case _:
            required = False
    wish = _wish(response, schema)
    if choice == "none" or not functions:
        if not schema:
            return Format()
        return Format((), replace(_checked(lambda: json_schema.grammar(schema)), wish=wish))
    grammar = _checked(
        lambda: tool_calls.grammar(functions, None if required else schema or "text", parallel)
    )
    only = choice.function.name if isinstance(choice, NamedTool) else ""
    wish = replace(wish, must_call=required, only=only, parallel=parallel)
    return Format(offered, replace(grammar, wish=wish))


@contextmanager
def named(spelt: Callable[[str], str]) -> Iterator[None]:
    """Name the parameters at fault as a body does that is not a chat completion's.

    spelt: what such a body calls a parameter. What is raised here is a new MeshError.
    """
    try:
        yield
    except MeshError as error:
        raise MeshError(
            error.code, error.detail, param=error.param and spelt(error.param)
        ) from error


def _wish(response: ResponseFormat | None, schema: dict[str, Any] | None) -> Wish:
    """The format that the content is to have, as it was asked for."""
    if schema is None:
        return Wish()
    said = (response.json_schema if response is not None else None) or JsonSchema()
    text = msgspec.json.encode(schema).decode()
    return Wish(schema=text, name=said.name or "", strict=bool(said.strict))


def _checked(make: Callable[[], Grammar]) -> Grammar:
    try:
        return make()
    except SchemaError as error:
        place = error.where if error.where.startswith("tools") else f"{SCHEMA}{error.where}"
        raise bad(place, str(error)) from error


ELSEWHERE = {"$ref", "anyOf", "allOf"}
"""Keywords of schemas that leave it to others what a value is."""

SCHEMA = "response_format.json_schema.schema"

SIMPLE = ("text", "json_object")
"""Formats that nothing more is to be said of."""


def _schema(response: ResponseFormat | None) -> dict[str, Any] | None:
    """The schema that the content has to be of; None for any text."""
    if response is not None and response.type in SIMPLE and response.json_schema is not None:
        detail = f"A format of the type {response.type} has no schema; use the type json_schema."
        raise bad("response_format.json_schema", detail)
    match response:
        case None | ResponseFormat(type="text"):
            return None
        case ResponseFormat(type="json_object"):
            return {"type": "object"}
        case ResponseFormat(
            type="json_schema", json_schema=JsonSchema(name=name, schema=dict(schema))
        ):
            if NAME.fullmatch(name or "") is None:
                detail = "A schema needs a name: 1 to 64 letters, digits, _ and -."
                raise bad("response_format.json_schema.name", detail)
            return schema or {"type": "object"}
        case ResponseFormat(type="json_schema"):
            raise bad("response_format.json_schema", "A format of this type needs its schema.")
    raise unsupported("response_format.type", "Use text, json_object or json_schema.")


def _function(where: str, tool: ToolBody) -> Function:
    if tool.type != "function":
        raise unsupported(f"{where}.type", f"Tools of type {tool.type!r} are not known here.")
    if tool.function is None or not NAME.fullmatch(tool.function.name):
        detail = "A function's name has 1 to 64 letters, digits, _ and -."
        raise bad(f"{where}.function.name", detail)
    return Function(tool.function.name, _parameters(tool.function), f"{where}.function.parameters")


def _check_names(functions: list[Function]) -> None:
    """Raise MeshError (bad_request) for the second of two functions of one name: of a call nobody
    could say which it is of."""
    known = set[str]()
    for at, function in enumerate(functions):
        if function.name in known:
            detail = f"There is a function {function.name!r} before; give each a name of its own."
            raise bad(f"tools[{at}].function.name", detail)
        known.add(function.name)


def _parameters(function: FunctionBody) -> dict[str, Any]:
    """Arguments are an object; without a schema there are none.

    Beside a reference or a choice a schema has no type: it stands in those that they lead to.
    """
    if function.parameters is None:
        return {"type": "object", "additionalProperties": False}
    if function.parameters.keys() & ELSEWHERE:
        return function.parameters
    return {"type": "object"} | function.parameters


def _tool(function: FunctionBody) -> Tool:
    return Tool(
        name=function.name,
        description=function.description or "",
        parameters=msgspec.json.encode(_parameters(function)).decode(),
        strict=bool(function.strict),
    )
