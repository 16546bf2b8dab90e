"""The openai engine: forwards to an OpenAI-compatible upstream, so that its model is one more.

It has no tokenizer and cannot go on from a prefix: `info.continues` is false. A step is a chunk
of the upstream's stream, which must end with `[DONE]`: without, it was cut.
"""

from collections.abc import AsyncGenerator
from hashlib import sha256
from typing import Any

import httpx
import msgspec
from msgspec import Struct

from mesh.protocol.errors import ErrorCode, MeshError
from mesh.protocol.messages import Sampling
from mesh.settings import WorkerSettings
from mesh.worker.engines.base import EngineError, EngineInfo, Finish, Job, Step

SLOTS = 16
STALL = 120.0
"""Seconds of an upstream's silence after which it has failed."""
_DONE = "[DONE]"
_AT_FAULT = {400, 413, 415, 422}
_ADVICE = {
    401: "set MESH_UPSTREAM_KEY to a key it accepts",
    403: "set MESH_UPSTREAM_KEY to a key that may use this model",
    404: "look at MESH_UPSTREAM and at the model's name",
    429: "it asks for fewer requests; give this worker fewer MESH_SLOTS",
}


class _Delta(Struct):
    content: str | None = None


class _Choice(Struct):
    delta: _Delta = _Delta()
    finish_reason: str | None = None


class _Details(Struct):
    cached_tokens: int | None = None


class _Usage(Struct):
    prompt_tokens: int | None = None
    prompt_tokens_details: _Details | None = None


class _Error(Struct):
    message: str = ""


class _Chunk(Struct):
    choices: list[_Choice] = []
    usage: _Usage | None = None
    error: _Error | str | None = None


_decode = msgspec.json.Decoder(_Chunk).decode


class OpenAIEngine:
    """One model of one upstream. Opens its first connection with the first job."""

    def __init__(self, settings: WorkerSettings) -> None:
        if not settings.upstream or not settings.model:
            raise MeshError(
                ErrorCode.BAD_REQUEST,
                "The openai engine needs --upstream, such as https://api.example.com/v1, and"
                " --model, the model's name there.",
            )
        self._model = settings.model
        self._closed = False
        key = settings.upstream_key
        slots = settings.slots or SLOTS
        self._client = httpx.AsyncClient(
            base_url=settings.upstream.rstrip("/"),
            headers={"Authorization": f"Bearer {key}"} if key else {},
            timeout=httpx.Timeout(STALL, connect=10.0, pool=None),
            limits=httpx.Limits(max_connections=slots, max_keepalive_connections=slots),
        )
        upstream = f"{self._client.base_url}{self._model}"
        self._info = EngineInfo(
            model=settings.model_name or settings.model,
            engine="openai",
            fingerprint=sha256(upstream.encode()).hexdigest(),
            context_length=settings.context,
            slots=slots,
            continues=False,
            hardware=self._client.base_url.host,
        )

    @property
    def info(self) -> EngineInfo:
        return self._info

    def encode(self, text: str) -> list[int]:
        raise EngineError("An upstream's tokenizer is not known here.")

    async def generate(self, job: Job) -> AsyncGenerator[Step, None]:
        if self._closed:
            raise EngineError("The openai engine was closed.")
        if job.prefix_text:
            raise EngineError("An upstream cannot go on from a prefix.")
        try:
            async with self._client.stream("POST", "/chat/completions", json=self._body(job)) as r:
                if r.status_code != 200:
                    raise _refusal(r.status_code, await r.aread())
                async for step in _steps(r):
                    yield step
        except (httpx.HTTPError, httpx.StreamError, RuntimeError) as error:
            # A RuntimeError or StreamError is how httpx shows that it was closed meanwhile.
            why = "was closed" if self._closed else "could not be reached, or broke off"
            raise EngineError(f"The upstream {why}: {type(error).__name__} {error}.") from error

    async def close(self) -> None:
        self._closed = True
        await self._client.aclose()

    def _body(self, job: Job) -> dict[str, Any]:
        return {
            "model": self._model,
            "messages": [{"role": m.role, "content": m.content} for m in job.messages],
            "max_tokens": job.max_tokens,
            "stream": True,
            "stream_options": {"include_usage": True},
            **_sampling(job.sampling),
        }


async def _steps(response: httpx.Response) -> AsyncGenerator[Step, None]:
    """A response's chunks as steps. Raises EngineError if it is cut or is not such a stream."""
    finish: Finish | None = None
    usage = _Usage()
    async for line in response.aiter_lines():
        if not line.startswith("data:"):
            continue
        data = line.removeprefix("data:").strip()
        if data == _DONE:
            yield _last(finish, usage)
            return
        chunk = _read(data)
        usage = chunk.usage or usage
        for choice in chunk.choices[:1]:
            finish = _finish(choice.finish_reason) or finish
            if choice.delta.content:
                yield Step(choice.delta.content)
    raise EngineError("The upstream's stream was cut before its end.")


def _read(data: str) -> _Chunk:
    try:
        chunk = _decode(data)
    except msgspec.DecodeError as error:
        raise EngineError(
            f"The upstream sent what is not a completion's chunk: {error}."
        ) from error
    if chunk.error is not None:
        message = chunk.error if isinstance(chunk.error, str) else chunk.error.message
        raise EngineError(f"The upstream failed: {message}")
    return chunk


def _last(finish: Finish | None, usage: _Usage) -> Step:
    if finish is None:
        raise EngineError("The upstream's stream ended without a finish_reason.")
    details = usage.prompt_tokens_details or _Details()
    return Step("", None, finish, usage.prompt_tokens, details.cached_tokens)


def _finish(reason: str | None) -> Finish | None:
    match reason:
        case None:
            return None
        case "length":
            return "length"
        case "content_filter":
            raise EngineError("The upstream withheld the answer (content_filter).")
    return "stop"


def _refusal(status: int, body: bytes) -> EngineError | MeshError:
    """What an HTTP status means: the request's fault, or the upstream's. Quotes no key back."""
    if status in _AT_FAULT:
        return MeshError(ErrorCode.BAD_REQUEST, f"The upstream refused this: {_message(body)}")
    advice = _ADVICE.get(status, "another worker may do better")
    return EngineError(f"The upstream answered with status {status}; {advice}.")


def _message(body: bytes) -> str:
    try:
        error = _decode(body).error
    except msgspec.DecodeError:
        error = None
    message = error if isinstance(error, str) else error.message if error else ""
    return message or "it did not say why."


def _sampling(sampling: Sampling) -> dict[str, float]:
    """What the request sets, by its own names; `stop` is left to the worker, which watches."""
    given = msgspec.to_builtins(sampling)
    return {name: value for name, value in given.items() if name != "stop" and value is not None}
