"""What OpenAI's client reads, held to that client's own types: nothing else, nothing less.

Its own parsing forgives: a `1` for a float, a key that it does not know. So each text is held to
its type once more as it was sent, without any coercion.
"""

import json
from collections.abc import Callable
from typing import Any, TypeVar

import openai
from openai.types import Completion
from openai.types.shared import ErrorObject
from pydantic import BaseModel

M = TypeVar("M", bound=BaseModel)

MODEL, ECHO, SLOW, FAILING, TINY = "scripted", "echo", "slow", "failing", "tiny"
HELLO: Any = [{"role": "user", "content": "one two three"}]
ENDLESS: Any = [{"role": "user", "content": "/repeat a b"}]
WEATHER: Any = [{"role": "user", "content": "What is the weather in Oslo?"}]
OURS = {"reasoning_content", "available", "context_length", "engine", "abilities", "store"}
"""What answers have that OpenAI's types do not know. `store` is told by OpenAI itself, too."""

PARAMETERS: Any = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}
TOOL: Any = {"type": "function", "function": {"name": "get_weather", "parameters": PARAMETERS}}
FLAT: Any = {
    "type": "function",
    "name": "get_weather",
    "parameters": PARAMETERS,
    "strict": True,
}


def strict(raw: Any) -> Any:
    """What a raw response holds."""
    return _held(raw.parse(), raw.text)


def held(kind: type[M], text: str) -> M:
    """What a text says that is of a type."""
    found = kind.model_validate_json(text, strict=True)
    assert unknown(found) <= OURS
    return found


def checked(stream: Any) -> list[Any]:
    """The events of a stream."""
    sent = _overheard(stream)
    events = list(stream)
    if sent[-1] == "[DONE]":
        sent.pop()
    return [_held(event, data) for event, data in zip(events, sent, strict=True)]


def broken_off(
    stream: Any, at_first: Callable[[Any], None] | None = None
) -> tuple[list[Any], openai.APIError]:
    """The events of a stream that fails, and what the client raises then.

    at_first: what is done at the first of them.
    """
    sent = _overheard(stream)
    events: list[Any] = []
    try:
        for event in stream:
            events.append(_held(event, sent[len(events)]))
            if at_first is not None and len(events) == 1:
                at_first(event)
    except openai.APIError as error:
        assert len(sent) == len(events) + 1  # nothing, and no `[DONE]`, follows the error
        _check_error(error, json.loads(sent[-1]))
        return events, error
    raise AssertionError("The stream came to a good end.")


def refused(error: openai.APIStatusError) -> tuple[int, str, str, str | None, str | None]:
    """The status of a refusal, its class in the client, and what the client says of it."""
    _check_error(error, error.response.json())
    assert error.request_id
    return error.status_code, type(error).__name__, error.type or "", error.code, error.param


def _check_error(error: openai.APIError, sent: Any) -> None:
    """An error is an object of the four keys, each there, and the client has understood each."""
    assert sent.keys() == {"error"}
    assert sent["error"].keys() == {"message", "type", "param", "code"}
    said = ErrorObject.model_validate_json(json.dumps(sent["error"]), strict=True)
    assert said.message and error.body == sent["error"]
    assert (error.type, error.code, error.param) == (said.type, said.code, said.param)


def held_text(data: str) -> Completion:
    """A chunk of a text. Its type has no null for the reason of an end that is not there yet, as
    OpenAI's description of a chunk has none, though OpenAI sends it."""
    sent = json.loads(data)
    for choice in sent["choices"]:
        assert choice.keys() == {"index", "text", "logprobs", "finish_reason"}
        choice["finish_reason"] = choice["finish_reason"] or "stop"
    return held(Completion, json.dumps(sent))


def _held(found: Any, text: str) -> Any:
    """The same, which the client has read from a text."""
    held(type(found), text)
    assert unknown(found) <= OURS
    return found


def unknown(found: Any) -> set[str]:
    """The keys that the client's types do not know, however deep."""
    if isinstance(found, list | tuple):
        return set().union(*map(unknown, found))
    if not isinstance(found, BaseModel):
        return set()
    extra = set(found.model_extra or {})
    return extra.union(*(unknown(getattr(found, name)) for name in type(found).model_fields))


def _overheard(stream: Any) -> list[str]:
    """The data of a stream's events as they are sent, one by one while it is read."""
    sent: list[str] = []
    read = stream._iter_events

    def reading() -> Any:
        for event in read():
            sent.append(event.data)
            yield event

    stream._iter_events = reading
    return sent
