"""What the bodies of OpenAI's routes ask the mesh for, and what they have in common. Pure."""

from hashlib import sha256
from typing import Annotated

import msgspec
from msgspec import Meta, Struct
from msgspec.structs import replace

from mesh.protocol.errors import ErrorCode, MeshError
from mesh.protocol.grammar import Grammar
from mesh.protocol.request import Message, Request, Sampling, Tool

Share = Annotated[float, Meta(ge=0, le=1)]
Penalty = Annotated[float, Meta(ge=-2, le=2)]
Bias = Annotated[float, Meta(ge=-100, le=100)]
Count = Annotated[int, Meta(ge=1, le=1 << 31)]
TopK = Annotated[int, Meta(ge=0, le=1 << 31)]
Seed = Annotated[int, Meta(ge=-(1 << 63), le=(1 << 63) - 1)]
Choices = Annotated[int, Meta(ge=1, le=128)]
StopString = Annotated[str, Meta(min_length=1, max_length=1000)]
StopStrings = Annotated[list[StopString], Meta(max_length=4)]

MOST_CHOICES = 128
"""Answers to one HTTP request at most; each is a request of its own to the mesh."""


class StreamOptions(Struct, forbid_unknown_fields=True):
    """What a stream tells besides the answer."""

    include_usage: bool | None = None
    include_obfuscation: bool | None = None


class SamplingBody(Struct, kw_only=True):
    """How to choose tokens, and how to answer; `null` is the same as leaving a field out."""

    model: str | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    n: Choices | None = None
    max_tokens: Count | None = None
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    top_p: Share | None = None
    top_k: TopK | None = None
    min_p: Share | None = None
    typical_p: Share | None = None
    repetition_penalty: Annotated[float, Meta(ge=0.01, le=10)] | None = None
    presence_penalty: Penalty | None = None
    frequency_penalty: Penalty | None = None
    seed: Seed | None = None
    stop: StopString | StopStrings | None = None
    ignore_eos: bool | None = None
    min_tokens: Annotated[int, Meta(ge=0, le=1 << 31)] | None = None
    logit_bias: dict[int, Bias] | None = None
    banned_strings: Annotated[list[StopString], Meta(max_length=64)] | None = None
    dry_multiplier: Annotated[float, Meta(ge=0, le=100)] | None = None
    dry_base: Annotated[float, Meta(ge=1, le=100)] | None = None
    dry_allowed_length: Count | None = None
    xtc_probability: Share | None = None
    xtc_threshold: Share | None = None


class Asked(Struct, frozen=True, kw_only=True):
    """One HTTP request. model: None for the default; max_tokens: None for what the context leaves,
    4,096 at most.

    prompts: what to answer, each `n` times; raw: they are texts to go on with; echo: answers
    begin with their prompt; tools, grammar: see `Request`.
    """

    model: str | None
    prompts: tuple[tuple[Message, ...], ...]
    n: int = 1
    raw: bool = False
    echo: bool = False
    sampling: Sampling
    max_tokens: int | None
    stream: bool
    include_usage: bool
    tools: tuple[Tool, ...] = ()
    grammar: Grammar | None = None

    def digest(self) -> str:
        """What has to be the same under one idempotency key: all but how the answer is read."""
        same = replace(self, stream=False, include_usage=False, grammar=self._held_to())
        return sha256(msgspec.json.encode(same)).hexdigest()

    def _held_to(self) -> Grammar | None:
        """The grammar as gateways of before made it: under one key both find the same."""
        return None if self.grammar is None else replace(self.grammar, wish=None)

    @property
    def told_in(self) -> str:
        """The parameter that says what to answer."""
        return "prompt" if self.raw else "messages"

    def choices(self, first: Request) -> list[Request]:
        """The requests that this is to the mesh, made after the first one, which has its prompt.

        Of several answers to one prompt each has a seed of its own.
        """
        seed = self.sampling.seed
        found = []
        for at in range(len(self.prompts) * self.n):
            again = at % self.n
            sampling = replace(self.sampling, seed=None if seed is None else seed + again)
            prompt = self.prompts[at // self.n]
            found.append(replace(first, messages=prompt, sampling=sampling))
        return found


def check_count(asked: Asked) -> Asked:
    """The same. Raises MeshError (bad_request) if it asks for too many answers at once."""
    if len(asked.prompts) * asked.n > MOST_CHOICES:
        detail = f"These are more than {MOST_CHOICES} answers; send several requests."
        raise bad("n" if asked.n > 1 else "prompt", detail)
    return asked


def includes_usage(body: SamplingBody) -> bool:
    """Whether a stream is to end with its usage. Raises MeshError (bad_request)."""
    options = body.stream_options
    if options is not None and not body.stream:
        raise bad("stream_options", "stream_options is for streams; set stream, or leave it out.")
    return options is not None and bool(options.include_usage)


def sampling(body: SamplingBody, logprobs: int | None = None) -> Sampling:
    """How to choose tokens."""
    stop = [body.stop] if isinstance(body.stop, str) else body.stop or []
    return Sampling(
        temperature=body.temperature,
        top_k=body.top_k,
        top_p=body.top_p,
        min_p=body.min_p,
        typical_p=body.typical_p,
        repetition_penalty=body.repetition_penalty,
        presence_penalty=body.presence_penalty,
        frequency_penalty=body.frequency_penalty,
        seed=body.seed,
        stop=tuple(stop),
        ignore_eos=bool(body.ignore_eos),
        min_tokens=body.min_tokens or 0,
        logit_bias=body.logit_bias or {},
        banned_strings=tuple(body.banned_strings or ()),
        dry_multiplier=body.dry_multiplier,
        dry_base=body.dry_base,
        dry_allowed_length=body.dry_allowed_length,
        xtc_probability=body.xtc_probability,
        xtc_threshold=body.xtc_threshold,
        logprobs=logprobs,
    )


def bad(param: str, detail: str) -> MeshError:
    return MeshError(ErrorCode.BAD_REQUEST, detail, param=param)


def unsupported(param: str, detail: str) -> MeshError:
    return MeshError(ErrorCode.UNSUPPORTED, detail, param=param)
