"""The rows of what bodies have in common that ask a model for something. Pure."""

from typing import Any

from mesh.protocol.errors import ErrorCode
from tests.calling import WEATHER
from tests.refusals.rows import Part, Row, bad, refused

NO_MODEL = "There is no model 'none'; GET /v1/models lists the ones there are."
OBJECT = "Only an object can be here; give the schema the type object."
SAID: dict[str, Any] = {"messages": [{"role": "user", "content": "hello"}]}


def unsupported(param: str | None, sentence: str, body: Any, what: str = "", **more: Any) -> Row:
    return refused(ErrorCode.UNSUPPORTED, sentence, body, what, param=param, **more)


def tool(parameters: Any, name: str = "clock") -> Any:
    return {"type": "function", "function": {"name": name, "parameters": parameters}}


def tools(said: dict[str, Any]) -> Part:
    """The rows of what a body may have for `tools`, spelled as for a chat completion."""
    parameters = "tools[0].function.parameters"
    return Part(
        "tools",
        (
            unsupported(
                "tools[0].type",
                "Tools of type 'web_search' are not known here.",
                said | {"tools": [{"type": "web_search"}]},
                "a tool of another type",
            ),
            bad(
                "tools[0].function.name",
                "A function's name has 1 to 64 letters, digits, _ and -.",
                said | {"tools": [tool({}, "two words")]},
                "a tool whose name is two words",
            ),
            bad(
                "tools[1].function.name",
                "There is a function 'clock' before; give each a name of its own.",
                said | {"tools": [tool({}), tool({})]},
                "two tools of one name",
            ),
            *(
                bad(
                    parameters,
                    OBJECT,
                    said | {"tools": [tool(schema)]},
                    f"a tool whose parameters are {told}",
                )
                for schema, told in (
                    ({"type": "string"}, '`{"type": "string"}`'),
                    ({"type": ["object", "null"]}, '`{"type": ["object", "null"]}`'),
                )
            ),
            bad(
                f"{parameters}.properties.a.pattern",
                "pattern is not known here, or not in this place; leave it out.",
                said | {"tools": [tool({"properties": {"a": {"type": "string", "pattern": "x"}}})]},
                "a tool's schema with a keyword that cannot be kept to",
            ),
        ),
    )


def chosen(said: dict[str, Any]) -> Part:
    return Part(
        "the choice of a tool",
        (
            bad(
                "tool_choice",
                "There are no tools to be called; give some.",
                said | {"tool_choice": "required"},
                '`"tool_choice": "required"` without `tools`',
            ),
            bad(
                "tool_choice",
                "There is no tool 'clock' in tools.",
                said
                | {
                    "tools": [WEATHER],
                    "tool_choice": {"type": "function", "function": {"name": "clock"}},
                },
                "a `tool_choice` that is none of the `tools`",
            ),
            unsupported(
                "tool_choice.type",
                "A choice of the type 'allowed_tools' is not known here; use function.",
                said | {"tool_choice": {"type": "allowed_tools", "allowed_tools": {}}},
                "a `tool_choice` of another type",
            ),
        ),
    )


def formats(said: dict[str, Any]) -> Part:
    return Part(
        "the format of the answer",
        (
            unsupported(
                "response_format.type",
                "Use text, json_object or json_schema.",
                said | {"response_format": {"type": "xml"}},
                "a `response_format` of another type",
            ),
            bad(
                "response_format.json_schema",
                "A format of this type needs its schema.",
                said | {"response_format": {"type": "json_schema"}},
                "a `json_schema` without one",
            ),
            bad(
                "response_format.json_schema.name",
                "A schema needs a name: 1 to 64 letters, digits, _ and -.",
                said | {"response_format": {"type": "json_schema", "json_schema": {"schema": {}}}},
                "a schema without a name",
            ),
            bad(
                "response_format.json_schema",
                "A format of the type json_object has no schema; use the type json_schema.",
                said
                | {
                    "response_format": {
                        "type": "json_object",
                        "json_schema": {"name": "x", "schema": {}},
                    }
                },
                "a `json_object` with a schema",
            ),
            bad(
                "response_format.json_schema.schema.type",
                "There is no type 'text'.",
                said
                | {
                    "response_format": {
                        "type": "json_schema",
                        "json_schema": {"name": "x", "schema": {"type": "text"}},
                    }
                },
                "a schema of a type that there is not",
            ),
        ),
    )


def turns(at: str = "messages[0]", **more: Any) -> Part:
    """The rows of messages that models cannot be shown."""

    def said(**turn: Any) -> dict[str, Any]:
        return {"messages": [{"role": "user"} | turn]} | more

    call = {"id": "c", "function": {"name": "clock", "arguments": "[]"}}
    return Part(
        "messages",
        (
            bad(
                "messages",
                "Expected `array` of length >= 1.",
                {"messages": []} | more,
                "no message at all",
            ),
            refused(
                ErrorCode.EMPTY_PROMPT,
                body=said(content=" "),
                what="messages that say nothing",
                param="messages",
            ),
            bad(
                f"{at}.content",
                "A message needs content: a string, or a list of text parts.",
                said(),
                "a message without `content`",
            ),
            bad(
                f"{at}.nonsense",
                f"There is no parameter '{at}.nonsense' here; leave it out.",
                said(content="x", nonsense=1),
                "a message's field that is not known",
            ),
            unsupported(
                f"{at}.role",
                "The role 'king' is not supported here: use system, developer, user, assistant or "
                "tool.",
                said(role="king", content="x"),
                "a message of another role",
            ),
            unsupported(
                f"{at}.content[0].type",
                "Models here read text only, not parts of type 'image_url'.",
                said(content=[{"type": "image_url", "image_url": {"url": "https://x"}}]),
                "a picture",
            ),
            bad(
                f"{at}.content[0].text",
                "A text part needs its text.",
                said(content=[{"type": "text"}]),
                "a text part without its text",
            ),
            bad(
                f"{at}.tool_call_id",
                "Say which call this is the outcome of.",
                said(role="tool", content="x"),
                "a tool's message without `tool_call_id`",
            ),
            bad(
                f"{at}.tool_call_id",
                "There is no call 'c' before this message; send the assistant's message that made "
                "it, too.",
                said(role="tool", content="x", tool_call_id="c"),
                "a tool's message of a call that was not made before",
            ),
            bad(
                f"{at}.tool_call_id",
                "Only a tool's message has one; leave it out.",
                said(content="x", tool_call_id="c"),
                "anybody else's with one",
            ),
            bad(
                f"{at}.tool_calls",
                "Only an assistant's message has calls; leave them out.",
                said(content="x", tool_calls=[call]),
                "anybody's calls but an assistant's",
            ),
            bad(
                f"{at}.refusal",
                "Only an assistant's message has refusal; leave it out.",
                said(content="x", refusal="No."),
                "anybody's `refusal`, `annotations`, `reasoning`, … but an assistant's",
            ),
            unsupported(
                f"{at}.audio",
                "Messages with audio cannot be read here.",
                said(content="x", audio={"id": "a"}),
                "a message with `audio`",
            ),
        ),
    )


def sampled(said: dict[str, Any]) -> Part:
    """The rows of values that are all right by themselves and not together; and unknown ones."""
    return Part(
        "how to answer",
        (
            unsupported(
                "nonsense",
                "There is no parameter 'nonsense'; leave it out.",
                said | {"nonsense": 1},
                "a parameter that is none of OpenAI's or the mesh's",
            ),
            refused(
                ErrorCode.MODEL_NOT_FOUND,
                NO_MODEL,
                said | {"model": "none"},
                '`"model": "none"`',
                param="model",
            ),
            bad(
                "stop",
                "Expected `array` of length <= 4.",
                said | {"stop": ["a", "b", "c", "d", "e"]},
                "five texts to `stop` at",
            ),
            bad(
                "logit_bias",
                "Expected `int`, got `str`.",
                said | {"logit_bias": {"a": 1}},
                '`"logit_bias": {"a": 1}`',
            ),
            bad(
                "logit_bias[...]",
                "Expected `float` <= 100.0.",
                said | {"logit_bias": {"5": 101}},
                '`"logit_bias": {"5": 101}`',
            ),
            bad(
                "stream_options",
                "stream_options is for streams; set stream, or leave it out.",
                said | {"stream_options": {"include_usage": True}},
                "`stream_options` without `stream`",
            ),
        ),
    )
