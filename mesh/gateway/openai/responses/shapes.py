"""The shapes of responses, after OpenAI's API reference. Data only."""

from typing import Any, Literal

from msgspec import Struct, field

Status = Literal["queued", "in_progress", "completed", "incomplete", "failed", "cancelled"]


class Text(Struct):
    """A part of a message."""

    text: str
    type: Literal["output_text"] = "output_text"
    annotations: list[None] = []
    logprobs: list[None] = []


class Thought(Struct):
    text: str
    type: Literal["reasoning_text"] = "reasoning_text"


class MessageItem(Struct, tag_field="type", tag="message"):
    """What the model said."""

    id: str
    status: Literal["in_progress", "completed", "incomplete"]
    content: list[Text]
    role: Literal["assistant"] = "assistant"


class CallItem(Struct, tag_field="type", tag="function_call"):
    """A function that the model wants called. arguments: JSON text."""

    id: str
    call_id: str
    name: str
    arguments: str
    status: Literal["in_progress", "completed", "incomplete"]


class ReasoningItem(Struct, tag_field="type", tag="reasoning"):
    """What the model thought first. There is no summary of it."""

    id: str
    status: Literal["in_progress", "completed", "incomplete"]
    content: list[Thought]
    summary: list[None] = []


Item = MessageItem | CallItem | ReasoningItem


class Cached(Struct):
    cached_tokens: int
    cache_write_tokens: int = 0


class Reasoned(Struct):
    """Tokens of thoughts, where an upstream tells."""

    reasoning_tokens: int = 0


class Used(Struct):
    """Tokens, as the engine counted them."""

    input_tokens: int
    input_tokens_details: Cached
    output_tokens: int
    output_tokens_details: Reasoned
    total_tokens: int


class Trouble(Struct):
    code: str
    message: str


class Incomplete(Struct):
    reason: Literal["max_output_tokens"]


class ResponseObject(Struct):
    """A response as it stands. Times are Unix seconds."""

    id: str
    created_at: int
    model: str
    status: Status
    output: list[Item]
    error: Trouble | None
    incomplete_details: Incomplete | None
    usage: Used | None
    instructions: str | None
    previous_response_id: str | None
    metadata: dict[str, str]
    tools: list[Any]
    tool_choice: Any
    parallel_tool_calls: bool
    text: Any
    temperature: float | None
    top_p: float | None
    max_output_tokens: int | None
    background: bool
    store: bool
    truncation: Literal["disabled"] = "disabled"
    object: Literal["response"] = "response"


class Note(Struct):
    """What the log keeps of a response besides its request.

    thinks, thinking: see `Speech`; whole: digest of what was asked, where it had a key
    (`repeating.py`); developers: which messages of the request, counted from 0, are a developer's,
    whom models are shown as the system; the rest is what the response repeats.
    """

    thinks: bool = False
    thinking: bool = False
    instructions: str | None = None
    previous_response_id: str | None = None
    metadata: dict[str, str] = {}
    tools: list[Any] = []
    tool_choice: Any = "auto"
    parallel_tool_calls: bool = True
    text: dict[str, Any] = field(default_factory=lambda: {"format": {"type": "text"}})
    background: bool = False
    store: bool = True
    whole: str = ""
    developers: list[int] = []


class ResponseEvent(Struct):
    """An event of a streamed response; what else it has depends on its type."""

    type: str
    sequence_number: int
