"""How a chat completion looks: as one object, and as a stream of chunks. Pure.

Shapes follow OpenAI's API reference for chat completions. Its SDK takes the end of a stream for
the end of the answer, whatever came before, so a stream that has no `[DONE]` ends in an error.
"""

from typing import Literal

import msgspec
from msgspec import UNSET, Struct, UnsetType

from mesh.gateway.errors import openai_error, stopping
from mesh.protocol import messages
from mesh.protocol.errors import ErrorCode, MeshError
from mesh.protocol.messages import Cancelled, Done, End, Failed
from mesh.protocol.run import Run

Finish = Literal["stop", "length"]


class PromptDetails(Struct):
    cached_tokens: int


class Usage(Struct):
    """Tokens, as the engine counted them."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: PromptDetails


class Answer(Struct):
    """The assistant's message. `refusal` is always there, and always null."""

    role: Literal["assistant"]
    content: str
    refusal: None = None


class Choice(Struct):
    index: int
    message: Answer
    logprobs: None
    finish_reason: Finish


class Head(Struct):
    """What completion and chunks have in common, the same in every chunk of one answer.

    created: Unix seconds; system_fingerprint: equal for equal tokenizer and weights.
    """

    id: str
    object: Literal["chat.completion", "chat.completion.chunk"]
    created: int
    model: str
    system_fingerprint: str | UnsetType = UNSET


class Completion(Head, kw_only=True):
    """The whole answer."""

    choices: list[Choice]
    usage: Usage


class _Last(Struct):
    choices: list[None]
    usage: Usage


_encode = msgspec.json.Encoder().encode

_ENDS_OF_LINES = (
    ("\u2028".encode(), b"\\u2028"),
    ("\u2029".encode(), b"\\u2029"),
    ("\x85".encode(), b"\\u0085"),
)

DONE = b"data: [DONE]\n\n"


class Chunks:
    """The events of a streamed answer.

    include_usage: whether the stream ends with a chunk of usage; opened: whether its reader has
    had the first chunk already, which names the role.
    """

    def __init__(
        self, request: messages.Request, fingerprint: str | None, include_usage: bool, opened: bool
    ) -> None:
        head = b"data: " + _encode(_head(request, fingerprint, "chat.completion.chunk"))[:-1]
        usage = b',"usage":null' if include_usage else b""
        self._include_usage = include_usage
        self._opened = opened
        self._head = head
        self._delta = head + b',"choices":[{"index":0,"delta":{'
        self._content = self._delta + b'"content":'
        self._going_on = b'},"logprobs":null,"finish_reason":null}]' + usage + b"}\n\n"
        self._over = b'},"logprobs":null,"finish_reason":"%b"}]' + usage + b"}\n\n"

    def tokens(self, texts: list[str], index: int) -> bytes:
        encode, before, after = _encode, self._content, self._going_on
        events = [
            b"id: %d\n%b%b%b" % (at, before, encode(text), after)
            for at, text in enumerate(texts, index)
        ]
        return self._opening() + _one_line_each(b"".join(events))

    def end(self, run: Run) -> bytes:
        match run.end:
            case Done(finish=finish, usage=usage):
                over = self._delta + self._over % finish.encode()
                return self._opening() + over + self._usage(usage) + DONE
            case end:
                return error_event(failure(end))

    def tick(self, run: Run) -> bytes:
        return b""

    def _opening(self) -> bytes:
        if self._opened:
            return b""
        self._opened = True
        role = b'"role":"assistant","content":"","refusal":null'
        return self._delta + role + self._going_on

    def _usage(self, used: messages.Usage) -> bytes:
        if not self._include_usage:
            return b""
        return self._head + b"," + _encode(_Last([], usage(used)))[1:] + b"\n\n"


def _one_line_each(events: bytes) -> bytes:
    """Escape what some clients' readers of lines take for an end of line, though SSE does not."""
    if b"\xe2\x80" in events or b"\xc2\x85" in events:
        for character, escaped in _ENDS_OF_LINES:
            events = events.replace(character, escaped)
    return events


def completion(request: messages.Request, fingerprint: str | None, run: Run, end: Done) -> bytes:
    """A finished answer as one object."""
    head = _head(request, fingerprint, "chat.completion")
    return _encode(
        Completion(
            id=head.id,
            object=head.object,
            created=head.created,
            model=head.model,
            system_fingerprint=head.system_fingerprint,
            choices=[Choice(0, Answer("assistant", run.text), None, end.finish)],
            usage=usage(end.usage),
        )
    )


def usage(used: messages.Usage) -> Usage:
    return Usage(
        used.prompt_tokens,
        used.completion_tokens,
        used.prompt_tokens + used.completion_tokens,
        PromptDetails(used.cached_tokens),
    )


def failure(end: End | None) -> MeshError:
    """Why there is no whole answer."""
    match end:
        case Failed():
            return MeshError(end.code, end.detail, param=end.param)
        case Cancelled():
            return MeshError(ErrorCode.CANCELLED)
        case _:
            return stopping()


def error_event(error: MeshError) -> bytes:
    """The one event that OpenAI's clients raise."""
    return b"data: %b\n\n" % _encode(openai_error(error))


def _head(
    request: messages.Request,
    fingerprint: str | None,
    kind: Literal["chat.completion", "chat.completion.chunk"],
) -> Head:
    return Head(
        id=f"chatcmpl-{request.rid}",
        object=kind,
        created=int(request.created),
        model=request.model,
        system_fingerprint=fingerprint or UNSET,
    )
