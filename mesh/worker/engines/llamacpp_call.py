"""One request to llama.cpp's server: what it says, callback by callback, made into steps.

The library reports the prompt's progress, then each token with its text and id, then the end.
Tokens in the middle of a character are reported by their number alone.
"""

from collections.abc import Callable

import msgspec
from msgspec import Struct, field

from mesh.protocol.frames import Odds
from mesh.worker.engines.base import EngineError, Step
from mesh.worker.engines.mail import Mail
from mesh.worker.engines.relay import Relay


class _Progress(Struct):
    cache: int = 0


class _Likely(Struct):
    token: str = ""
    logprob: float = 0.0
    top_logprobs: tuple["_Likely", ...] = ()


class _Said(Struct):
    """What the library says about one task: progress of the prompt, one token, or the end."""

    content: str = ""
    tokens: tuple[int, ...] = ()
    tokens_predicted: int = 0
    tokens_evaluated: int = 0
    stop: bool = False
    stop_type: str = ""
    prompt_progress: _Progress | None = None
    completion_probabilities: tuple[_Likely, ...] = ()


class _Error(Struct):
    message: str = ""


class _Chunk(Struct):
    said: _Said | None = field(name="__verbose", default=None)
    error: _Error | None = None


Ids = tuple[int, ...] | None
Complete = Callable[[bytes, Callable[[bytes], bool]], None]
"""The library's own function: blocks until the end, or until the callback returns true."""

_decode = msgspec.json.Decoder(_Chunk).decode


class Call:
    """One request to the library. `cancelled` is looked at whenever it has something to say.

    odds: of so many likeliest tokens; None: how likely they were is not asked for.
    """

    def __init__(
        self,
        body: bytes,
        relay: Relay,
        mail: Mail,
        encode: Callable[[str], list[int]],
        odds: int | None = None,
    ) -> None:
        self.relay = relay
        self.cancelled = False
        self._body = body
        self._mail = mail
        self._encode = encode
        self._odds = odds
        self._predicted = 0
        self._cached = 0
        self._ended = False

    def run(self, complete: Complete) -> None:
        """Block a thread of the engine's until the request is done or cancelled."""
        try:
            if not self.cancelled:
                complete(self._body, self._hear)
        finally:
            if not self._ended:
                self._send(EngineError("llama.cpp ended the request without saying why."))

    def _hear(self, data: bytes) -> bool:
        """The library's callback; true ends the request. It must not raise."""
        if self.cancelled:
            return True
        try:
            step = self._read(_decode(data))
        except EngineError as error:
            self._send(error)
        except msgspec.DecodeError as error:
            self._send(EngineError(f"llama.cpp said what cannot be understood: {error}."))
        else:
            if step is not None:
                self._send(step)
        return self._ended

    def _read(self, chunk: _Chunk) -> Step | None:
        """What a chunk means for the reader. Raises EngineError when it is the end of it."""
        said = chunk.said
        if said is None:
            reason = chunk.error.message if chunk.error else "it said something unknown"
            raise EngineError(f"llama.cpp refused the request: {reason}.")
        if said.stop:
            return self._last(said)
        if said.prompt_progress is not None:
            self._cached = said.prompt_progress.cache
            return None
        new = said.tokens_predicted - self._predicted
        first = self._predicted == 0
        self._predicted = said.tokens_predicted
        ids = said.tokens if len(said.tokens) == new else self._all_ids(said, new)
        odds = self._likely(said.completion_probabilities)
        if first:
            return Step(said.content, ids, None, said.tokens_evaluated, self._cached, odds)
        return Step(said.content, ids, odds=odds)

    def _likely(self, said: tuple[_Likely, ...]) -> Odds | None:
        """How likely the newest token was: of those within a character only the last is told."""
        if self._odds is None or not said:
            return None
        top = said[-1].top_logprobs[: self._odds]
        return Odds(said[-1].logprob, tuple((each.token, each.logprob) for each in top))

    def _all_ids(self, said: _Said, count: int) -> Ids:
        """The ids of a character of `count` tokens, of which the library names only the last.

        They are those of its text, if these are as many and end with the same one.
        """
        ids = self._encode(said.content)
        return tuple(ids) if len(ids) == count and (*ids[-1:],) == said.tokens else None

    def _last(self, said: _Said) -> Step:
        self._ended = True
        match said.stop_type:
            case "limit":
                return Step(said.content, (), "length")
            case "eos":
                return Step(said.content, (), "stop")
        raise EngineError(f"llama.cpp ended the request for no good reason: {said.stop_type}.")

    def _send(self, item: Step | EngineError) -> None:
        self._ended = self._ended or isinstance(item, EngineError)
        try:
            self._mail.send(self.relay, item)
        except RuntimeError:  # The event loop is closed: nobody will read on.
            self._ended = True
