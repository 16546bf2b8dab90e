"""The echo engine: says the last user message back. Deterministic, no model, for tests and demos.

The rule. A token is a word with the white space after it. The answer is the last user message,
once, and ends by itself with `stop`; of a message that begins with `/repeat ` the rest is said
over and over until `max_tokens`, so `/repeat lorem ipsum` gives an answer of any length; so is a
message whose end is to be ignored, and one with less than `min_tokens` up to so many. A token's id
is a hash of its text, and so is how likely it is said to have been.

It is a model that is sure of its words: what only tilts the odds (temperature and all that cuts or
bends them, penalties, `logit_bias`) changes nothing, and every seed has the same answer. What it
cannot keep to it refuses: `banned_strings`, and `min_tokens` of what has a format.

Where tools are offered, a message of lines like `/call get_weather {"city": "Oslo"}` calls them,
and the outcome of a call is said in its turn. What has to be of a grammar and is not becomes a
shortest text that is.
Its embeddings count words by their hashes.

Like a batching engine it has one loop, whose every step gives each running job one token.
`echo_rate` steps are made per second (0: as fast as the readers hear), a job gets its first
token no sooner than `echo_delay` seconds after its slot, and fails after `echo_fail_after`
tokens (0: never).

A model called `_lorem` says filler text whatever it is asked, five words a second where no rate
is set: what load tests of chat servers of this family ask for.
"""

import re
from asyncio import CancelledError, Task, get_running_loop, sleep, to_thread
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from functools import lru_cache
from itertools import chain, cycle, islice
from zlib import crc32

from msgspec.structs import replace

from mesh.protocol.abilities import Ability
from mesh.protocol.errors import ErrorCode, MeshError
from mesh.protocol.frames import Odds
from mesh.protocol.grammar import Grammar
from mesh.protocol.request import Message
from mesh.settings import WorkerSettings
from mesh.worker.engines.base import EngineError, EngineInfo, Finish, Job, Reader, Step, refuse
from mesh.worker.engines.embedding import Embedding, counted
from mesh.worker.engines.relay import Relay
from mesh.worker.grammar import fits, shortest
from mesh.worker.tools import written

CONTEXT = 8192
SLOTS = 64
AT_ONCE = 1000
REPEAT = "/repeat "
LOREM, LOREM_RATE = "_lorem", 5.0
FILLER = (
    "Lorem ipsum dolor sit amet, consectetur adipiscing elit, sed do eiusmod tempor incididunt ut "
    "labore et dolore magna aliqua."
)
TEMPLATE = (
    "{% for message in messages %}{{ message.role }}: {{ message.content }}\n{% endfor %}assistant:"
)

_TOKENS = re.compile(r"\s+|\S+\s*")
_CALL = re.compile(r"^/call (\S+) (\{.*\})$", re.MULTILINE)
_LATE = 1.0
"""Seconds behind its rate above which the loop no longer catches up."""
_IDLE = 0.001
"""Seconds between steps in which no job can go on."""


def tokens(text: str) -> list[str]:
    """The text cut into words, each with the white space after it."""
    return _TOKENS.findall(text)


@lru_cache(maxsize=4096)
def token_id(token: str) -> int:
    """A number for the token; a hash, so it cannot be turned back."""
    return crc32(token.encode("utf-8", "surrogatepass")) % 50_000


def odds(token: str, count: int) -> Odds:
    """How likely a token is said to have been, and so many that would have been less so."""
    likely = -token_id(token) / 100_000
    others = ((f"{token}+{less}", likely - less) for less in range(1, count))
    return Odds(likely, ((token, likely), *others) if count else ())


def say(messages: tuple[Message, ...], endless: bool = False, least: int = 0) -> Iterator[str]:
    """The tokens of the answer to a conversation, endless where it asks for repetition.

    least: so many at least.
    """
    said = next((m.content for m in reversed(messages) if m.role in ("user", "tool")), "")
    over_and_over = cycle(tokens(said.removeprefix(REPEAT).strip() + " "))
    if endless or said.startswith(REPEAT):
        return over_and_over
    once = tokens(said)
    return iter(once) if len(once) >= least else islice(over_and_over, least)


class EchoEngine:
    """See the top of the file. Ready as soon as it is made."""

    def __init__(self, settings: WorkerSettings) -> None:
        self._lorem = settings.model == LOREM
        self._rate = settings.echo_rate or (LOREM_RATE if self._lorem else 0.0)
        self._delay = settings.echo_delay
        self._fail_after = settings.echo_fail_after
        self._running: dict[_Answer, None] = {}
        self._waiting: deque[_Answer] = deque()
        self._stepping: Task[None] | None = None
        self._closed = False
        self._info = EngineInfo(
            model=settings.model_name or settings.model or "echo",
            engine="echo",
            fingerprint="echo-1",
            context_length=settings.context or CONTEXT,
            slots=settings.slots or SLOTS,
            chat_template=TEMPLATE,
            at_once=AT_ONCE,
            hardware="none",
            abilities=(
                Ability.ENCODE,
                Ability.EMBED,
                Ability.LOGPROBS,
                Ability.GRAMMAR,
                Ability.REASON,
            ),
        )

    @property
    def info(self) -> EngineInfo:
        return self._info

    def encode(self, text: str) -> list[int]:
        return [token_id(token) for token in tokens(text)]

    async def embed(self, text: str) -> Embedding:
        """Alike where texts share words."""
        words = self.encode(text.casefold() + " ")
        if len(words) > self._info.context_length:
            raise MeshError(ErrorCode.CONTEXT_OVERFLOW, param="input")
        return counted(words)

    async def generate(self, job: Job, reader: Reader) -> None:
        if self._lorem:
            job = replace(job, messages=(Message(role="user", content=FILLER),))
        refuse(job.sampling, "banned_strings", *(["min_tokens"] if job.grammar else []))
        answer = _Answer(job, Relay(reader), self._fail_after, await _said(job))
        self._admit(answer)
        try:
            await answer.relay.over()
        finally:
            self._release(answer)

    async def close(self) -> None:
        self._closed = True
        for answer in [*self._running, *self._waiting]:
            answer.relay.fail(EngineError("The echo engine was closed."))
        self._running.clear()
        self._waiting.clear()
        if self._stepping is not None:
            self._stepping.cancel()
            with suppress(CancelledError):
                await self._stepping

    def _admit(self, answer: "_Answer") -> None:
        if self._closed:
            raise EngineError("The echo engine was closed.")
        self._waiting.append(answer)
        self._fill_slots()
        if self._stepping is None or self._stepping.done():
            self._stepping = get_running_loop().create_task(self._steps())

    def _release(self, answer: "_Answer") -> None:
        self._running.pop(answer, None)
        with suppress(ValueError):
            self._waiting.remove(answer)
        self._fill_slots()

    def _fill_slots(self) -> None:
        while self._waiting and len(self._running) < self._info.slots:
            answer = self._waiting.popleft()
            answer.due = get_running_loop().time() + self._delay
            self._running[answer] = None

    async def _steps(self) -> None:
        """Step until no job is left: the next one starts the loop anew, and so at once."""
        clock = get_running_loop().time
        due = clock()
        while self._running:
            stepped = self._step(clock())
            if self._rate:
                due = max(due + 1 / self._rate, clock() - _LATE)
                await sleep(max(0.0, due - clock()))
            else:
                await sleep(0 if stepped else _IDLE)

    def _step(self, now: float) -> bool:
        """Give every job that may go on one token; whether there was any."""
        ready = [a for a in self._running if a.due <= now and not a.relay.full]
        for answer in ready:
            if not answer.advance():
                del self._running[answer]
        self._fill_slots()
        return bool(ready)


class _Answer:
    """One job, and how far it has said its answer. `due` is when its first token may come."""

    __slots__ = (
        "_fail_in",
        "_first",
        "_left",
        "_odds",
        "_prompt_tokens",
        "_rest",
        "_token",
        "due",
        "relay",
    )

    def __init__(self, job: Job, relay: Relay, fail_after: int, rest: Iterator[str]) -> None:
        """rest: the tokens to say."""
        self.relay = relay
        self.due = 0.0
        self._rest = rest
        self._token = next(self._rest, "")
        self._left = job.max_tokens
        self._fail_in = fail_after or -1
        self._first = True
        self._odds = job.sampling.logprobs
        self._prompt_tokens = len(job.prompt_ids)

    def advance(self) -> bool:
        """Say one token, or fail; whether there are more to come."""
        if self._fail_in == 0:
            self.relay.fail(EngineError("The echo engine failed, as echo_fail_after has it."))
            return False
        self._fail_in -= 1
        self._left -= 1
        token, self._token = self._token, next(self._rest, "")
        finish: Finish | None = "length" if self._left <= 0 else None if self._token else "stop"
        ids = (token_id(token),) if token else ()
        likely = odds(token, self._odds) if token and self._odds is not None else None
        if self._first:
            self._first = False
            self.relay.put(Step(token, ids, finish, self._prompt_tokens, 0, likely))
        else:
            self.relay.put(Step(token, ids, finish, odds=likely))
        return finish is None


def _held_to(grammar: Grammar, messages: tuple[Message, ...]) -> str:
    """What is said under a grammar: calls, where they are asked for and offered."""
    said = "".join(say(messages[-1:])) if not _endless(messages) else ""
    calls = "\n".join(written(*called) for called in _CALL.findall(said))
    for text in (calls, said):
        if text and fits(grammar, text):
            return text
    return shortest(grammar)


def _endless(messages: tuple[Message, ...]) -> bool:
    return bool(messages) and messages[-1].content.startswith(REPEAT)


async def _said(job: Job) -> Iterator[str]:
    """As `_rest`; what takes a while is done beside the loop, for other answers go on meanwhile."""
    size = sum(len(message.content) for message in job.messages)
    if job.grammar is None and size <= AT_ONCE:
        return _rest(job)
    return await to_thread(_rest, job)


def _rest(job: Job) -> Iterator[str]:
    """The tokens after the job's prefix. Raises EngineError when the prefix is not an echo."""
    said = say(job.messages, job.sampling.ignore_eos, job.sampling.min_tokens)
    if job.grammar is not None:
        said = iter(tokens(_held_to(job.grammar, job.messages)))
    text = ""
    ids = []
    while len(text) < len(job.prefix_text) and (token := next(said, "")):
        text += token
        ids.append(token_id(token))
    if not text.startswith(job.prefix_text) or job.prefix_ids not in (None, tuple(ids)):
        raise EngineError("The text to go on from is not an echo of this conversation.")
    return chain(filter(None, [text[len(job.prefix_text) :]]), said)
