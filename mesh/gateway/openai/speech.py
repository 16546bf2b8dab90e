"""Reads an answer's text as it comes: thoughts, content, and calls of tools. Pure.

What a model writes is one text, and so it stands in the log; which part of it is what is told
apart here, always in the same way, so that any gateway can read on anywhere. Text that may still
turn out to open or close something is held back.
"""

from collections.abc import Callable
from hashlib import sha256

import msgspec
from msgspec import Struct, field
from msgspec.structs import replace

from mesh.protocol.request import Message, ToolCall
from mesh.protocol.spelling import ARGUMENTS, CLOSE, NAME, OPEN, THINK, THOUGHT


class CallDelta(Struct, omit_defaults=True):
    """More of a call. id and name come with its first part."""

    index: int
    id: str = ""
    name: str = ""
    arguments: str = ""


class Delta(Struct):
    """What came: nothing, as a rule some content."""

    reasoning: str = ""
    content: str = ""
    calls: list[CallDelta] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.reasoning or self.content or self.calls)


def message(text: str, speech: "Speech") -> Message:
    """A whole answer as the turn of a conversation that it was; thoughts are not part of it."""
    parts = (speech.feed(text), speech.finish())
    calls: dict[int, ToolCall] = {}
    for delta in (delta for part in parts for delta in part.calls):
        call = calls.get(delta.index) or ToolCall(id=delta.id, name=delta.name, arguments="")
        calls[delta.index] = replace(call, arguments=call.arguments + delta.arguments)
    content = "".join(part.content for part in parts)
    return Message(role="assistant", content=content, tool_calls=tuple(calls.values()))


def _up_to_the_end(said: str, held: str) -> str:
    """What of the held text belongs to arguments that were said so far: what makes them whole, and
    nothing behind it; all of it where it makes nothing whole."""
    for end in range(len(held) + 1):
        try:
            msgspec.json.decode(said + held[:end])
        except (msgspec.DecodeError, RecursionError):
            continue
        return held[:end]
    return held


class Speech:
    """One answer. calls: whether tools were offered; thinks: whether the model may begin with
    thoughts in `<think>`; thinking: whether its prompt has opened them already.
    """

    def __init__(self, rid: str, calls: bool, thinks: bool, thinking: bool = False) -> None:
        self._rid = rid
        self._calls = calls
        self._held = ""
        self._said = ""
        self._count = 0
        first = Speech._thinking if thinking else Speech._start if thinks else Speech._text
        self._state: Callable[[Speech], bool] = first  # bound to itself it would be a cycle
        self._delta = Delta()
        self._after_thinking = False

    @property
    def complete(self) -> bool:
        """Whether tools were called, and the last call was closed."""
        return self._count > 0 and self._state == Speech._between

    @property
    def plain(self) -> bool:
        """Whether all that is still to come is content, and need not be fed any more."""
        return not self._calls and self._state == Speech._text

    def feed(self, text: str) -> Delta:
        """What a piece of the text adds."""
        self._held += text
        while self._state(self):
            pass
        delta, self._delta = self._delta, Delta()
        return delta

    def finish(self) -> Delta:
        """What was held back, now that no more comes."""
        held, self._held = self._held, ""
        if self._state == Speech._thinking:
            return Delta(reasoning=held)
        if self._state in (Speech._start, Speech._text):
            return Delta(content=held)
        if self._state == Speech._arguments:
            own = _up_to_the_end(self._said, held)
            return Delta(calls=[CallDelta(self._count - 1, arguments=own)] if own else [])
        return Delta()

    # Each state takes what it can of the held text; True: look again, in a state that is new.

    def _start(self) -> bool:
        begun = self._held.lstrip()
        if begun.startswith(THINK):
            self._held = begun[len(THINK) :]
            self._state = Speech._thinking
            return True
        if THINK.startswith(begun):
            return False
        self._state = Speech._text
        return True

    def _thinking(self) -> bool:
        before, found = self._take(THOUGHT)
        if not self._delta.reasoning and not self._after_thinking:
            before = before.lstrip("\n")
        self._after_thinking = self._after_thinking or bool(before)
        self._delta.reasoning += before
        if found:
            self._state = Speech._thought
        return found

    def _thought(self) -> bool:
        self._held = self._held.lstrip()
        if self._held:
            self._state = Speech._text
        return bool(self._held)

    def _text(self) -> bool:
        if not self._calls:
            self._delta.content += self._held
            self._held = ""
            return False
        before, found = self._take(OPEN)
        self._delta.content += before
        if found:
            self._state = Speech._name
        return found

    def _name(self) -> bool:
        before, found, rest = self._held.partition(ARGUMENTS)
        if not found:
            return False
        name = before.removeprefix(NAME)
        self._delta.calls.append(CallDelta(self._count, self._id(self._count), name))
        self._count += 1
        self._held, self._said = rest, ""
        self._state = Speech._arguments
        return True

    def _arguments(self) -> bool:
        before, found = self._take(CLOSE)
        if before:
            index = self._count - 1
            if not self._delta.calls or self._delta.calls[-1].index != index:
                self._delta.calls.append(CallDelta(index))
            self._delta.calls[-1].arguments += before
            self._said += before
        if found:
            self._state = Speech._between
        return found

    def _between(self) -> bool:
        following = "\n" + OPEN
        if self._held.startswith(following):
            self._held = self._held[len(following) :]
            self._state = Speech._name
            return True
        return False

    def _take(self, mark: str) -> tuple[str, bool]:
        """The held text before a mark, which is left out, or before what may become one."""
        before, found, rest = self._held.partition(mark)
        if found:
            self._held = rest
            return before, True
        sizes = range(min(len(mark) - 1, len(before)), 0, -1)
        keep = next((size for size in sizes if mark.startswith(before[-size:])), 0)
        self._held = before[len(before) - keep :]
        return before[: len(before) - keep], False

    def _id(self, index: int) -> str:
        """The same for every reader of the same answer."""
        return f"call_{sha256(f'{self._rid}.{index}'.encode()).hexdigest()[:24]}"
