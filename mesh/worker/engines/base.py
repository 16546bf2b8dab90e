"""What a worker wants of an engine: say what you are, encode text, generate, close.

An engine is a source of tokens and nothing more. It does not know the mesh, the log, stop
strings or deadlines: the worker builds the prompt, watches for stop strings and cuts the answer
off by closing the iterator, which must free the engine's slot at once.
"""

from typing import Literal, Protocol

from msgspec import Struct

from mesh.protocol.abilities import Ability
from mesh.protocol.errors import ErrorCode, MeshError
from mesh.protocol.frames import Odds
from mesh.protocol.grammar import Grammar
from mesh.protocol.request import Message, Sampling, Tool

Finish = Literal["stop", "length"]
"""Why an answer ended by itself: the model was done, or max_tokens were."""


class EngineInfo(Struct, frozen=True, kw_only=True):
    """What an engine serves.

    model: the name requests ask for; fingerprint: equal for equal tokenizer and weights;
    context_length: tokens of prompt and answer together; slots: requests it works on at once;
    chat_template: the model's jinja template, or None where the engine takes messages as they
    are (`Job.messages`) and has no tokenizer of its own; bos_token and eos_token: their text, for
    the template; add_bos: whether every prompt begins with bos_token, also where the template
    leaves it out; at_once: characters of a conversation up to which it is rendered and encoded
    quicker than a thread is changed, 0 where even a short one may have to wait; continues: whether
    it can go on exactly from a given prefix; hardware: for people; size: bytes of the model's
    files; memory: bytes of GPU memory that it takes, 0 where there is none or that is unknown;
    abilities: what not every engine can, of `mesh.protocol.abilities`.
    """

    model: str
    engine: str
    fingerprint: str
    context_length: int
    slots: int
    chat_template: str | None = None
    bos_token: str = ""
    eos_token: str = ""
    add_bos: bool = False
    at_once: int = 0
    continues: bool = True
    hardware: str = "CPU"
    size: int = 0
    memory: int = 0
    abilities: tuple[Ability, ...] = ()


class Job(Struct, frozen=True, kw_only=True):
    """One answer to generate.

    prompt and prompt_ids: the rendered conversation, as text and as token ids (both empty where
    the engine has no chat template); prefix_text, prefix_ids: what an earlier worker already
    delivered (ids is None where they are not all known: go on by text); max_tokens: new tokens at
    most, the prefix not counted; seed: of this answer, always set; grammar: what prefix and answer
    together have to be a text of; tools: what may be called, where the engine is told itself.
    """

    rid: str
    messages: tuple[Message, ...]
    prompt: str = ""
    prompt_ids: tuple[int, ...] = ()
    prefix_text: str = ""
    prefix_ids: tuple[int, ...] | None = ()
    sampling: Sampling = Sampling()
    max_tokens: int
    seed: int
    grammar: Grammar | None = None
    tools: tuple[Tool, ...] = ()


class Step(Struct, frozen=True, gc=False):
    """What one step of the engine gave one job.

    text: whole characters only, "" while one is incomplete; ids: the new token ids, None where
    the engine does not tell, empty on a last step without a token; finish: set on the last step
    only. The end-of-turn token is not part of the text. prompt_tokens and cached_tokens are set
    once, on the first step or, where they are known no sooner, on the last. odds: how likely its
    tokens were, with every step that has some, if the job asks for them. completion_tokens,
    reasoning_tokens: of the whole answer up to here, and of its thoughts, from engines that tell no
    ids but are told a count.
    """

    text: str
    ids: tuple[int, ...] | None = None
    finish: Finish | None = None
    prompt_tokens: int | None = None
    cached_tokens: int | None = None
    odds: Odds | None = None
    completion_tokens: int | None = None
    reasoning_tokens: int | None = None


CHATML = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n"
    "{% endfor %}<|im_start|>assistant\n"
)
"""The most widespread chat template, for models that have none of their own."""


class EngineError(Exception):
    """The engine failed on this job; another worker may do better. The text says why."""


class EngineBroken(EngineError):
    """The engine will answer nothing more in this process: the worker has to leave."""


def refuse(sampling: Sampling, *names: str) -> None:
    """Raise MeshError (unsupported) for what is asked of an engine that cannot do it."""
    for name in names:
        if getattr(sampling, name):
            raise MeshError(
                ErrorCode.UNSUPPORTED,
                f"The engine of this model cannot do {name}; leave it out.",
                param=name,
            )


def check_bias(sampling: Sampling, vocabulary: int) -> None:
    """Raise MeshError (bad_request) for a bias on a token that a model of so many has not."""
    for token in sampling.logit_bias:
        if not 0 <= token < vocabulary:
            raise MeshError(
                ErrorCode.BAD_REQUEST,
                f"The model has no token {token}; it has {vocabulary:,}, from 0 on.",
                param="logit_bias",
            )


class Reader(Protocol):
    """Who asked for a job, as an engine knows it."""

    @property
    def full(self) -> bool:
        """Whether it had rather wait: an engine that can, holds the job back, and no other."""
        ...

    def hear(self, step: Step) -> bool:
        """Take the job's next step; whether there are to be more."""
        ...


class Engine(Protocol):
    """One loaded model. Calls come from one event loop; `generate` runs many times at once."""

    @property
    def info(self) -> EngineInfo: ...

    def encode(self, text: str) -> list[int]:
        """Token ids of a rendered prompt, special tokens recognised, nothing added."""
        ...

    async def generate(self, job: Job, reader: Reader) -> None:
        """Have the reader hear steps, on the event loop, until one has `finish` or it wants no
        more; the slot is free then. So it is where this is cancelled.

        Raises EngineError when this job fails, MeshError when what it asks for is at fault, and
        what the reader raises.
        """
        ...

    async def close(self) -> None:
        """Free the model; running jobs end with EngineError."""
        ...
