"""What an upstream says, chunk by chunk, written as the one text that an answer is. Pure.

Its thoughts and its calls come apart from its content. Here they are put where the engines of this
mesh write them themselves, in `<think>` and in `<tool_call>`, and are told apart by any gateway.
"""

import msgspec
from msgspec import Struct

from mesh.protocol.errors import ErrorCode, MeshError
from mesh.protocol.frames import Odds
from mesh.protocol.grammar import Wish
from mesh.protocol.spelling import ARGUMENTS, CLOSE, NAME, OPEN, THINK, THOUGHT
from mesh.worker.engines.base import EngineError, Job
from mesh.worker.engines.schema_faults import Fault, text_fault

BEHIND_THOUGHTS = f"{THOUGHT}\n"


class Function(Struct, frozen=True):
    name: str | None = None
    arguments: str | None = None


class CallDelta(Struct, frozen=True):
    index: int | None = None
    id: str | None = None
    function: Function = Function()


class Delta(Struct, frozen=True):
    """reasoning_content, reasoning: thoughts, under either name."""

    content: str | None = None
    reasoning_content: str | None = None
    reasoning: object = None
    tool_calls: tuple[CallDelta, ...] | None = None


class Likely(Struct, frozen=True):
    token: str = ""
    logprob: float = 0.0
    top_logprobs: tuple["Likely", ...] | None = None


class Logprobs(Struct, frozen=True):
    content: tuple[Likely, ...] | None = None


class Said:
    """One answer. `feed` its deltas in order, then `finish`; each returns more of its text."""

    def __init__(self, job: Job) -> None:
        self._offered = {tool.name: tool for tool in job.tools}
        self._wish = (job.grammar and job.grammar.wish) or Wish()
        self._likely = job.sampling.logprobs
        self._thinking = False
        self._held = ""
        self._spoke = False
        self._tail = ""
        self._content: list[str] = []
        self._call: CallDelta | None = None
        self._arguments: list[str] = []

    def feed(self, delta: Delta) -> str:
        """Raises EngineError for what cannot be written as an answer."""
        thought = delta.reasoning_content or delta.reasoning
        said = self._thought(thought if isinstance(thought, str) else "")
        said += self._spoken(delta.content or "")
        for call in delta.tool_calls or ():
            said += self._called(call)
        return said

    def finish(self, whole: bool) -> str:
        """What is still to be closed. whole: it was not cut off, so it has to be what was asked.

        Raises EngineError if it is not.
        """
        if not whole:
            return self._let_go()
        if self._call is not None:
            return self._close()
        if self._wish.must_call or self._wish.only:
            raise EngineError("The upstream called nothing, though a call was demanded.")
        if self._wish.schema:
            fault = text_fault(self._wish.schema, "".join(self._content))
            _refuse(fault, "The upstream's answer is not of the format that was asked for")
        return self._end_thoughts()

    def odds(self, delta: Delta, told: Logprobs | None) -> Odds | None:
        """How likely a delta was. Raises MeshError (unsupported) if nothing is told of content."""
        if self._likely is None or not delta.content:
            return None
        tokens = (told.content if told is not None else None) or ()
        if not tokens:
            raise MeshError(
                ErrorCode.UNSUPPORTED,
                "The upstream does not tell how likely its tokens were; leave logprobs out.",
                param="logprobs",
            )
        top = (tokens[-1].top_logprobs or ())[: self._likely]
        together = sum(each.logprob for each in tokens)
        return Odds(together, tuple((each.token, each.logprob) for each in top))

    def _thought(self, text: str) -> str:
        """Thoughts come before all else; there is no place for any later."""
        if not text or self._spoke or self._call is not None:
            return ""
        text = (self._held + text).replace(THOUGHT, "")
        keep = len(text) - _begun(text, THOUGHT)
        self._held = text[:keep]
        said, self._held = self._let_go(), text[keep:]
        return said

    def _let_go(self) -> str:
        """What was held back of thoughts, which may not be their end."""
        held, self._held = self._held, ""
        begins, self._thinking = not self._thinking, self._thinking or bool(held)
        return THINK + held if held and begins else held

    def _end_thoughts(self) -> str:
        held = self._let_go()
        thoughts, self._thinking = self._thinking, False
        return held + BEHIND_THOUGHTS if thoughts else ""

    def _spoken(self, text: str) -> str:
        if not text:
            return ""
        if self._call is not None:
            if text.strip():
                raise EngineError("The upstream went on speaking behind its calls.")
            return ""
        tail = self._tail + text
        if self._offered and OPEN in tail:
            raise EngineError(f"The upstream wrote {OPEN} into its answer instead of a call.")
        self._tail = tail[-len(OPEN) :]
        self._spoke = self._spoke or not text.isspace()
        if self._wish.schema:
            self._content.append(text)
        if not self._spoke and (self._thinking or self._held):
            return ""  # there may be more thoughts
        return self._end_thoughts() + text

    def _called(self, delta: CallDelta) -> str:
        said = ""
        if self._begins(delta):
            said = self._end_thoughts() + self._open(delta)
        elif self._call is None or delta.index not in (None, self._call.index):
            raise EngineError("The upstream went on with a call that it had not begun.")
        more = delta.function.arguments or ""
        self._arguments.append(more)
        return said + more

    def _begins(self, delta: CallDelta) -> bool:
        """Whether this is a new call: some upstreams say the name with each part of one."""
        if not delta.function.name:
            return False
        now = self._call
        return now is None or delta.index != now.index or delta.id not in (None, "", now.id)

    def _open(self, delta: CallDelta) -> str:
        name = delta.function.name or ""
        self._check(name)
        before = "" if self._call is None else self._close() + "\n"
        self._call, self._arguments = delta, []
        return f"{before}{OPEN}{NAME}{name}{ARGUMENTS}"

    def _check(self, name: str) -> None:
        """Raise EngineError for a call that nobody asked for."""
        only = self._wish.only or name
        if name not in self._offered:
            raise EngineError(f"The upstream called {name[:80]!r}, which it was not offered.")
        if name != only:
            raise EngineError(f"The upstream called {name!r}, though {only!r} was demanded.")
        if self._call is not None and not self._wish.parallel:
            raise EngineError("The upstream called more than once, though one call was asked for.")

    def _close(self) -> str:
        """The end of the call under way; one without arguments has none.

        Only of a strict tool they are held against the schema: who asked for no such thing gets the
        call as it is, for many ask the model again with what they find wrong in it.
        """
        arguments = "".join(self._arguments)
        empty = not arguments.strip()
        arguments = "{}" if empty else arguments
        if not _is_object(arguments):
            raise EngineError("The upstream called with arguments that are no JSON object.")
        name = (self._call.function.name if self._call is not None else None) or ""
        tool = self._offered[name]
        fault = text_fault(tool.parameters, arguments) if tool.strict else None
        _refuse(
            fault, f"The upstream called {name!r} with arguments that its schema does not allow"
        )
        return arguments + CLOSE if empty else CLOSE


def _begun(text: str, mark: str) -> int:
    """How many characters at the end of a text may be the beginning of a mark."""
    return next(n for n in range(len(mark) - 1, -1, -1) if text.endswith(mark[:n]))


def _is_object(text: str) -> bool:
    try:
        return isinstance(msgspec.json.decode(text), dict)
    except (msgspec.DecodeError, RecursionError):  # what nests too deeply can be read by nobody
        return False


def _refuse(fault: Fault | None, what: str) -> None:
    """Raise EngineError for a fault."""
    if fault is not None:
        raise EngineError(f"{what}: {fault}.")
