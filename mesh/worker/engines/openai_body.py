"""What an upstream is asked: a job as the body of a chat completion. Pure."""

from typing import Any

import msgspec

from mesh.protocol.errors import ErrorCode, MeshError
from mesh.protocol.grammar import Grammar, Wish
from mesh.protocol.request import Message, Sampling, Tool
from mesh.worker.engines.base import Job
from mesh.worker.tools import shown, turn

_ANY_OBJECT = {"type": "object"}
"""The schema that a gateway makes of `json_object`."""


def body_of(job: Job, model: str, length: str = "max_tokens") -> dict[str, Any]:
    """length: what the upstream calls the tokens of an answer at most.

    Raises MeshError (unsupported) for a grammar of which nobody has said what it is for.
    """
    body: dict[str, Any] = {
        "model": model,
        "messages": [_turn(message) for message in job.messages],
        length: job.max_tokens,
        "stream": True,
        "stream_options": {"include_usage": True},
        **_sampling(job.sampling),
    }
    if job.grammar is not None:
        wish = _wish(job.grammar)
        body |= _format(wish)
        if job.tools:
            body["tools"] = [_tool(tool) for tool in job.tools]
            body |= _choice(wish)
    return body


def _wish(grammar: Grammar) -> Wish:
    if grammar.wish is None:
        raise MeshError(
            ErrorCode.UNSUPPORTED,
            "The gateway that took this request is too old for a model of an upstream to be held "
            "to a format; upgrade it, or leave tools and response_format out.",
            param="response_format",
        )
    return grammar.wish


def _turn(message: Message) -> dict[str, Any]:
    """As templates take it, but arguments are text, and who only calls says nothing."""
    said = turn(message, arguments=str)
    return said | {"content": message.content or None} if message.tool_calls else said


def _tool(tool: Tool) -> dict[str, Any]:
    """As templates take it, and whether it is strict, where it is: not all upstreams know of it."""
    found = shown(tool)
    if tool.strict:
        found["function"]["strict"] = True
    return found


def _choice(wish: Wish) -> dict[str, Any]:
    """What is usual is not said, for some upstreams know it by no name."""
    found: dict[str, Any] = {}
    if wish.only:
        found["tool_choice"] = {"type": "function", "function": {"name": wish.only}}
    elif wish.must_call:
        found["tool_choice"] = "required"
    if not wish.parallel:
        found["parallel_tool_calls"] = False
    return found


def _format(wish: Wish) -> dict[str, Any]:
    if not wish.schema:
        return {}
    schema = msgspec.json.decode(wish.schema)
    if schema == _ANY_OBJECT and not wish.name:
        return {"response_format": {"type": "json_object"}}
    asked = {"name": wish.name or "answer", "schema": schema, "strict": wish.strict}
    return {"response_format": {"type": "json_schema", "json_schema": asked}}


def _sampling(sampling: Sampling) -> dict[str, Any]:
    """What the request sets, by its own names; `stop` is left to the worker, which watches."""
    given = msgspec.to_builtins(sampling)
    found = {name: value for name, value in given.items() if name != "stop" and value is not None}
    likely = found.pop("logprobs", None)
    if likely is not None:
        found["logprobs"] = True
        found |= {"top_logprobs": likely} if likely else {}
    return found
