"""From a request's messages to what an engine is given: template, truncation, room to answer.

Pure, but for the engine's own `encode`. The chat template is the model's, so it is code from a
stranger: it runs in jinja's sandbox, with the settings and functions that the model hubs' own
tokenizers give it.
"""

import asyncio
import json
import logging
from collections.abc import Sequence
from datetime import datetime
from typing import Any, NoReturn

from jinja2 import TemplateError
from jinja2.ext import loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment
from msgspec import Struct
from msgspec.structs import replace

from mesh.protocol.abilities import Ability
from mesh.protocol.errors import ErrorCode, MeshError
from mesh.protocol.request import Message, Request, Tool
from mesh.worker import tools as tools_shown
from mesh.worker.engines.base import Engine, EngineError
from mesh.worker.tools import shown, told, turn

log = logging.getLogger(__name__)

ANSWER = 4096
"""Tokens of an answer at most, where the request does not say."""
RESERVED = 4
"""A conversation is truncated to leave the answer its tokens, up to a context's 1/RESERVED."""


class BuiltPrompt(Struct, frozen=True, kw_only=True):
    """What a job is made of.

    messages: those that are left; text and ids: the rendered prompt, both empty for an engine
    without a template; max_tokens: what the answer may have; truncated: how many messages were
    left out, a last one that was cut included.
    """

    messages: tuple[Message, ...]
    text: str = ""
    ids: tuple[int, ...] = ()
    max_tokens: int
    truncated: int = 0


class ChatTemplate:
    """A compiled chat template. Raises MeshError (bad_request) when it is not valid jinja."""

    def __init__(self, source: str, bos_token: str = "", eos_token: str = "") -> None:
        environment = ImmutableSandboxedEnvironment(
            trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols]
        )
        environment.filters["tojson"] = _to_json
        environment.globals.update(
            raise_exception=_raise, strftime_now=_now, bos_token=bos_token, eos_token=eos_token
        )
        try:
            self._template = environment.from_string(source)
        except TemplateError as error:
            raise MeshError(
                ErrorCode.BAD_REQUEST, f"The model's chat template is not valid: {error}."
            ) from error
        self._source = source
        self._knows_tools = tools_shown.knows(source)
        self._knows_system = self._probe()

    def render(self, messages: Sequence[Message], tools: Sequence[Tool] = ()) -> str:
        """The conversation as the model was trained to read it, up to where the answer begins.

        A template without a system role gets the system prompt at the head of the first user
        message; one that insists on roles taking turns gets neighbours of one role joined.
        Raises MeshError (bad_request) when the template still refuses.
        """
        if not self._knows_tools:
            messages, tools = told(messages, tools), ()
        if not self._knows_system:
            messages = _fold_system(messages)
        try:
            return self._render(messages, tools)
        except TemplateError:
            try:
                return self._render(_join_neighbours(messages), tools)
            except TemplateError as error:
                raise MeshError(
                    ErrorCode.BAD_REQUEST,
                    f"The model's chat template refuses this conversation: {error}.",
                ) from error

    def _render(self, messages: Sequence[Message], tools: Sequence[Tool] = ()) -> str:
        try:
            turns = [turn(message) for message in messages]
            offered = [shown(tool) for tool in tools] or None
            return self._template.render(messages=turns, tools=offered, add_generation_prompt=True)
        except TemplateError:
            raise
        except Exception as error:  # A stranger's code may raise anything.
            raise TemplateError(f"{type(error).__name__}: {error}") from error

    def thinks(self) -> tuple[Ability, ...]:
        """Whether answers may begin with thoughts, as the template marks them; or always do."""
        if "<think>" not in self._source:
            return ()
        hello = (Message(role="user", content="Hello"),)
        try:
            begun = self._render(hello).rstrip().endswith("<think>")
        except TemplateError:
            begun = False
        return (Ability.REASON, Ability.REASON_AT_ONCE) if begun else (Ability.REASON,)

    def _probe(self) -> bool:
        probe = (Message(role="system", content="<probe>"), Message(role="user", content="Hello"))
        try:
            return "<probe>" in self._render(probe)
        except TemplateError:
            return False


class PromptBuilder:
    """Builds prompts for one engine."""

    def __init__(self, engine: Engine) -> None:
        info = engine.info
        self._engine = engine
        self._info = info
        self._template = (
            None
            if info.chat_template is None
            else ChatTemplate(info.chat_template, info.bos_token, info.eos_token)
        )

    async def prepare(self, request: Request) -> BuiltPrompt:
        """As `build`, which may take a while: other answers go on meanwhile."""
        size = sum(len(message.content) for message in request.messages)
        if self._template is None or (size <= self._info.at_once and not request.tools):
            return self.build(request)
        return await asyncio.to_thread(self.build, request)

    def build(self, request: Request) -> BuiltPrompt:
        """Render, encode and fit a request's conversation.

        With fit "truncate" whole messages are left out, the oldest first, and what is left
        begins with a user message again; system messages and the last user message stay. If
        those alone are too long, the last user message loses its beginning. max_tokens is capped
        to what the context leaves. Raises MeshError: context_overflow when nothing can be left
        out (or with fit "refuse" when anything would have to be), bad_request when the template
        refuses the conversation, or whatever else comes of it: no engine is broken for that, and
        other workers would do no better. EngineError is the engine's own.
        """
        try:
            return self._built(request)
        except (MeshError, EngineError):
            raise
        except Exception as error:  # of a conversation and a template, both of strangers
            log.exception("No prompt can be made of %s", request.rid)
            raise MeshError(
                ErrorCode.BAD_REQUEST,
                "The model's prompt cannot be made of this conversation:"
                f" {type(error).__name__}; change what is asked.",
                param="messages",
            ) from error

    def _built(self, request: Request) -> BuiltPrompt:
        if self._template is None:
            wanted = request.max_tokens or ANSWER
            return BuiltPrompt(messages=request.messages, max_tokens=wanted)
        whole = self._render(request.messages, raw=request.raw, tools=request.tools)
        if request.raw or request.fit == "refuse":
            if len(whole.ids) >= self._info.context_length:
                raise self._overflow(len(whole.ids))
            return self._capped(whole, request)
        limit = self._limit(request)
        if len(whole.ids) <= limit:
            return self._capped(whole, request)
        return self._capped(self._truncated(request.messages, limit), request)

    def _limit(self, request: Request) -> int:
        """Tokens that a conversation may have so that the answer has room."""
        context = self._info.context_length
        return context - max(1, min(request.max_tokens or ANSWER, context // RESERVED))

    def _capped(self, built: BuiltPrompt, request: Request) -> BuiltPrompt:
        left = self._info.context_length - len(built.ids)
        return replace(built, max_tokens=min(request.max_tokens or ANSWER, left))

    def _render(
        self,
        messages: tuple[Message, ...],
        truncated: int = 0,
        raw: bool = False,
        tools: Sequence[Tool] = (),
    ) -> BuiltPrompt:
        assert self._template is not None
        text = messages[0].content if raw else self._template.render(messages, tools)
        bos = self._info.bos_token
        if self._info.add_bos and not text.startswith(bos):
            text = bos + text
        ids = tuple(self._engine.encode(text))
        return BuiltPrompt(messages=messages, text=text, ids=ids, max_tokens=0, truncated=truncated)

    def _truncated(self, messages: tuple[Message, ...], limit: int) -> BuiltPrompt:
        """Leave out as few of the oldest messages as will do, by bisection."""
        cuts = _cuts(messages)
        low, high = 1, len(cuts) - 1
        best = self._render(*_without(messages, cuts[high]))
        if len(best.ids) > limit:
            return self._cut_last(best, limit)
        while low < high:
            middle = (low + high) // 2
            built = self._render(*_without(messages, cuts[middle]))
            if len(built.ids) <= limit:
                best, high = built, middle
            else:
                low = middle + 1
        return best

    def _cut_last(self, built: BuiltPrompt, limit: int) -> BuiltPrompt:
        """Cut the beginning of the last user message until all fits, by interpolation."""
        shortest = self._with_last(built, 1)
        least = len(shortest.ids)
        if least > limit:
            raise self._overflow(len(built.ids))
        keep, size = len(built.messages[_last_user(built.messages)].content), len(built.ids)
        shorter = shortest
        while size > limit:
            keep = min(keep - 1, 1 + (keep - 1) * (limit - least) // (size - least))
            shorter = self._with_last(built, keep)
            size = len(shorter.ids)
        return shorter

    def _with_last(self, built: BuiltPrompt, keep: int) -> BuiltPrompt:
        """The same with only the last `keep` characters of the last user message."""
        at = _last_user(built.messages)
        cut = replace(built.messages[at], content=built.messages[at].content[-keep:])
        messages = (*built.messages[:at], cut, *built.messages[at + 1 :])
        return self._render(messages, built.truncated + 1)

    def _overflow(self, size: int) -> MeshError:
        return MeshError(
            ErrorCode.CONTEXT_OVERFLOW,
            f"The conversation has {size} tokens and the model's context is"
            f" {self._info.context_length}, answer included; shorten it.",
            param="messages",
        )


def _last_user(messages: Sequence[Message]) -> int:
    """The index of the last user message, or of the last message where there is none."""
    users = (at for at in reversed(range(len(messages))) if messages[at].role == "user")
    return next(users, len(messages) - 1)


def _cuts(messages: Sequence[Message]) -> list[int]:
    """Where the conversation may begin: at 0, and at each user message up to the last one."""
    last = _last_user(messages)
    starts = [at for at in range(1, last) if messages[at].role == "user"]
    return list(dict.fromkeys([0, *starts, last]))


def _without(messages: tuple[Message, ...], cut: int) -> tuple[tuple[Message, ...], int]:
    """The messages from `cut` on and every system message before it; how many are left out."""
    system = tuple(m for m in messages[:cut] if m.role == "system")
    return system + messages[cut:], cut - len(system)


def _fold_system(messages: Sequence[Message]) -> list[Message]:
    """The system messages' text at the head of the first user message."""
    system = [m.content for m in messages if m.role == "system"]
    rest = [m for m in messages if m.role != "system"]
    if not system:
        return rest
    at = next((at for at, m in enumerate(rest) if m.role == "user"), None)
    if at is None:
        return [Message(role="user", content="\n\n".join(system)), *rest]
    content = "\n\n".join([*system, rest[at].content])
    return [*rest[:at], Message(role="user", content=content), *rest[at + 1 :]]


def _join_neighbours(messages: Sequence[Message]) -> list[Message]:
    joined: list[Message] = []
    for message in messages:
        plain = not (message.tool_calls or message.tool_call_id)
        if joined and plain and joined[-1].role == message.role:
            content = f"{joined.pop().content}\n\n{message.content}"
            message = Message(role=message.role, content=content)
        joined.append(message)
    return joined


def _raise(message: str) -> NoReturn:
    raise TemplateError(message)


def _now(form: str) -> str:
    return datetime.now().strftime(form)


def _to_json(value: Any, indent: int | None = None) -> str:
    return json.dumps(value, ensure_ascii=False, indent=indent)
