"""The openai engine: forwards to an OpenAI-compatible upstream, so that its model is one more.

It has no tokenizer and cannot go on from a prefix: `info.continues` is false. What an answer has to
be, and what may be called, is told to the upstream, which keeps to it as well as it does; so is the
trace that it is asked in, if there is one. A step is a chunk of its stream, which must end with
`[DONE]`: without, it was cut.
"""

from asyncio import Semaphore, Task, create_task, sleep, wait
from collections.abc import AsyncGenerator
from hashlib import sha256
from typing import Any

import httpx
import msgspec
from msgspec import Struct

from mesh.bus.trace import SPAN
from mesh.protocol.abilities import Ability
from mesh.protocol.errors import ErrorCode, MeshError
from mesh.protocol.hidden import without_userinfo
from mesh.protocol.numbers import MOST_TOKENS
from mesh.settings import WorkerSettings
from mesh.worker.engines.base import EngineError, EngineInfo, Finish, Job, Reader, Step
from mesh.worker.engines.openai_body import body_of
from mesh.worker.engines.openai_refusals import PATIENCE, ToldError, Waiting, message, refusal
from mesh.worker.engines.openai_said import Delta, Logprobs, Said
from mesh.worker.engines.relay import Relay

SLOTS = 16
STALL = 120.0
"""Seconds of an upstream's silence after which it has failed."""
_WAIT = 0.05
"""Seconds between two looks at whether a reader that had rather wait goes on."""
_PATH = "/chat/completions"
_DONE = "[DONE]"
OLD_LENGTH, NEW_LENGTH = "max_tokens", "max_completion_tokens"
"""What upstreams call the tokens of an answer at most: all know the first, but for the models of
OpenAI that think, which refuse it and name the second."""


class _Choice(Struct, frozen=True):
    delta: Delta = Delta()
    logprobs: Logprobs | None = None
    finish_reason: str | None = None


class _Details(Struct, frozen=True):
    cached_tokens: Any = None


class _Thoughts(Struct, frozen=True):
    reasoning_tokens: Any = None


class _Usage(Struct, frozen=True):
    """Some upstreams tell it with every chunk, of all so far; most with the last alone.

    What can be no count is not told: we count ourselves then.
    """

    prompt_tokens: Any = None
    prompt_tokens_details: _Details | None = None
    completion_tokens: Any = None
    completion_tokens_details: _Thoughts | None = None

    @property
    def told(self) -> tuple[int | None, int | None]:
        """Tokens of the answer and of its thoughts; None where that is not told, or is none."""
        details = self.completion_tokens_details or _Thoughts()
        return _count(self.completion_tokens) or None, _count(details.reasoning_tokens) or None


class _Chunk(Struct, frozen=True):
    choices: tuple[_Choice, ...] = ()
    usage: _Usage | None = None
    error: ToldError | str | None = None


_decode = msgspec.json.Decoder(_Chunk).decode


class OpenAIEngine:
    """One model of one upstream. Opens its first connection with the first job."""

    def __init__(self, settings: WorkerSettings) -> None:
        if not settings.upstream.startswith(("http://", "https://")) or not settings.model:
            raise MeshError(
                ErrorCode.BAD_REQUEST,
                "The openai engine needs --upstream, such as https://api.example.com/v1, and"
                " --model, the model's name there.",
            )
        self._model = settings.model
        self._closed = False
        self._length = OLD_LENGTH
        self._patience = min(PATIENCE, settings.first_token_limit / 2)
        key = settings.upstream_key
        slots = settings.slots or SLOTS
        self._client = httpx.AsyncClient(
            base_url=settings.upstream.rstrip("/"),
            headers={"Authorization": f"Bearer {key}"} if key else {},
            timeout=httpx.Timeout(STALL, connect=10.0, pool=None),
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=slots),
        )
        # Not left to the pool of httpx, whose waiting requests neither end with it nor cancel well.
        self._free = Semaphore(slots)
        self._asking: dict[Task[None], Relay] = {}
        upstream = f"{self._client.base_url}{self._model}"
        self._info = EngineInfo(
            model=settings.model_name or settings.model,
            engine="openai",
            fingerprint=sha256(upstream.encode()).hexdigest(),
            context_length=settings.context,
            slots=slots,
            continues=False,
            abilities=(Ability.GRAMMAR, Ability.LOGPROBS, Ability.REASON),
            hardware=self._client.base_url.host,
        )

    @property
    def info(self) -> EngineInfo:
        return self._info

    def encode(self, text: str) -> list[int]:
        raise EngineError("An upstream's tokenizer is not known here.")

    async def generate(self, job: Job, reader: Reader) -> None:
        if self._closed:
            raise EngineError("The openai engine was closed.")
        if job.prefix_text:
            raise EngineError("An upstream cannot go on from a prefix.")
        relay = Relay(reader)
        asking = create_task(self._ask(job, relay))
        self._asking[asking] = relay
        try:
            await relay.over()
        finally:
            del self._asking[asking]
            asking.cancel()
            await wait([asking])

    async def close(self) -> None:
        self._closed = True
        for asking, relay in self._asking.items():
            relay.fail(EngineError("The openai engine was closed."))
            asking.cancel()
        await self._client.aclose()

    async def _ask(self, job: Job, relay: Relay) -> None:
        """Wait for a slot, ask the upstream, and hand on what it says."""
        try:
            async with self._free:
                waiting = Waiting(self._patience)
                while (pause := await self._answered(job, relay, waiting)) is not None:
                    await sleep(pause)
        except (EngineError, MeshError) as error:
            relay.fail(error)
        except httpx.HTTPError as error:
            what = without_userinfo(f"{type(error).__name__} {error}".strip())
            relay.fail(EngineError(f"The upstream could not be reached, or broke off: {what}."))
        finally:
            relay.fail(EngineError("The upstream's answer was given up."))

    async def _answered(self, job: Job, relay: Relay, waiting: Waiting) -> float | None:
        """Ask once: None if that was answered, else the seconds after which to ask again.

        At once where only the name of the length was refused, which models that think know by its
        newer name alone. Raises EngineError, MeshError.
        """
        length = self._length
        body, headers = body_of(job, self._model, length), SPAN.get().headers()
        async with self._client.stream("POST", _PATH, json=body, headers=headers) as reply:
            if reply.status_code == 200:
                async for step in _steps(reply, Said(job)):
                    relay.put(step)
                    while relay.full:  # the upstream waits, too
                        await sleep(_WAIT)
                return None
            said = await reply.aread()
        if reply.status_code == 400 and length == OLD_LENGTH and NEW_LENGTH in message(said):
            self._length = NEW_LENGTH
            return 0.0
        pause = waiting.pause(reply.status_code, reply.headers, said)
        if pause is None:
            raise refusal(reply.status_code, said)
        return pause


async def _steps(response: httpx.Response, said: Said) -> AsyncGenerator[Step, None]:
    """A response's chunks as steps. Raises EngineError if it is cut or is not such a stream."""
    finish: Finish | None = None
    usage = _Usage()
    async for line in response.aiter_lines():
        if not line.startswith("data:"):
            continue
        data = line.removeprefix("data:").strip()
        if data == _DONE:
            yield _last(finish, usage, said)
            return
        chunk = _read(data)
        usage = chunk.usage or usage
        for choice in chunk.choices[:1]:
            finish = _finish(choice.finish_reason) or finish
            if text := said.feed(choice.delta):
                answer, thoughts = usage.told
                yield Step(
                    text,
                    odds=said.odds(choice.delta, choice.logprobs),
                    completion_tokens=answer,
                    reasoning_tokens=thoughts,
                )
    raise EngineError("The upstream's stream was cut before its end.")


def _read(data: str) -> _Chunk:
    try:
        chunk = _decode(data)
    except (msgspec.DecodeError, RecursionError) as error:
        raise EngineError(
            f"The upstream sent what is not a completion's chunk: {error}."
        ) from error
    if chunk.error is not None:
        message = chunk.error if isinstance(chunk.error, str) else chunk.error.message
        raise EngineError(f"The upstream failed: {message}")
    return chunk


def _last(finish: Finish | None, usage: _Usage, said: Said) -> Step:
    if finish is None:
        raise EngineError("The upstream's stream ended without a finish_reason.")
    details = usage.prompt_tokens_details or _Details()
    closing = said.finish(whole=finish == "stop")
    answer, thoughts = usage.told
    return Step(
        closing,
        None,
        finish,
        _count(usage.prompt_tokens),
        _count(details.cached_tokens),
        completion_tokens=answer,
        reasoning_tokens=thoughts,
    )


def _count(said: object) -> int | None:
    """What an upstream says that it counted; None where that can be no count of an answer's."""
    if not isinstance(said, int) or isinstance(said, bool):
        return None
    return said if 0 <= said <= MOST_TOKENS else None


def _finish(reason: str | None) -> Finish | None:
    match reason:
        case None:
            return None
        case "length":
            return "length"
        case "content_filter":
            raise EngineError("The upstream withheld the answer (content_filter).")
    return "stop"
