"""Shows tools to models: through the chat template, or else in words of the system message. Pure.

The form of a call is the one in which every model here writes them; a template that shows another
one is treated as if it knew none.
"""

from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from msgspec.structs import replace

from mesh.protocol.request import Message, Tool, ToolCall
from mesh.protocol.spelling import ARGUMENTS, CLOSE, NAME, OPEN

_HOW = """\
You may call these functions, each given as JSON with the JSON Schema of its parameters:
{functions}
To call one, write nothing but:
<tool_call>
{{"name": "<its name>", "arguments": {{<its arguments>}}}}
</tool_call>"""


def knows(template: str) -> bool:
    """Whether a chat template shows tools itself, and calls in the form that is used here."""
    return "tools" in template and "<tool_call>" in template


def told(messages: Sequence[Message], tools: Sequence[Tool]) -> list[Message]:
    """The same conversation without any role or part that a template would have to know."""
    plain = [_plain(message) for message in messages]
    if not tools:
        return plain
    functions = "\n".join(msgspec.json.encode(shown(tool)["function"]).decode() for tool in tools)
    how = _HOW.format(functions=functions)
    if plain and plain[0].role == "system":
        content = f"{plain[0].content}\n\n{how}"
        return [replace(plain[0], content=content), *plain[1:]]
    return [Message(role="system", content=how), *plain]


def shown(tool: Tool) -> dict[str, Any]:
    """A tool as chat templates expect it."""
    return {
        "type": "function",
        "function": {
            "name": tool.name,
            "description": tool.description,
            "parameters": msgspec.json.decode(tool.parameters),
        },
    }


def as_object(arguments: str) -> object:
    """The object that is the arguments of a call, or their text as it stands where it is none.

    A call that was cut off stands in the conversation all the same, and an upstream may have
    written anything. Templates are made for objects and know texts, as OpenAI's API has them.
    """
    try:
        found = msgspec.json.decode(arguments)
    except (msgspec.DecodeError, RecursionError):
        return arguments
    return found if isinstance(found, dict) else arguments


def turn(message: Message, arguments: Callable[[str], object] = as_object) -> dict[str, Any]:
    """A message as chat templates expect it. arguments: what they make of a call's JSON text."""
    turn: dict[str, Any] = {"role": message.role, "content": message.content}
    if message.tool_calls:
        turn["tool_calls"] = [_called(call, arguments) for call in message.tool_calls]
    if message.tool_call_id:
        turn["tool_call_id"] = message.tool_call_id
    return turn


def written(name: str, arguments: str) -> str:
    """A call as models write it."""
    return f"{OPEN}{NAME}{name}{ARGUMENTS}{arguments}{CLOSE}"


def _plain(message: Message) -> Message:
    if message.role == "tool":
        content = f"<tool_response>\n{message.content}\n</tool_response>"
        return Message(role="user", content=content)
    if not message.tool_calls:
        return message
    calls = [written(call.name, call.arguments) for call in message.tool_calls]
    content = "\n".join(filter(None, [message.content, *calls]))
    return Message(role=message.role, content=content)


def _called(call: ToolCall, arguments: Callable[[str], object]) -> dict[str, Any]:
    function = {"name": call.name, "arguments": arguments(call.arguments)}
    return {"type": "function", "id": call.id, "function": function}
