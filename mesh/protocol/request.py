"""What is asked of a model, for whom, and how it stands in the queue."""

from typing import Literal

from mesh.protocol.grammar import Grammar
from mesh.protocol.numbers import Moment, Number
from mesh.protocol.subjects import Priority
from mesh.protocol.wire import Wire

Thoughts = Literal["none", "marked", "begun"]
"""How the thoughts of an answer are marked in its text: not at all; by `<think>` and `</think>`; or
by the latter alone, because the prompt has opened them."""


class ToolCall(Wire, frozen=True, kw_only=True):
    """A call that the model made. arguments: JSON text of an object, as the model wrote it."""

    id: str
    name: str
    arguments: str


class Tool(Wire, frozen=True, kw_only=True):
    """A function that the model may call. parameters: JSON text of its arguments' JSON Schema;
    strict: the caller asked that arguments match `parameters`; engines with grammars enforce it
    anyway."""

    name: str
    description: str = ""
    parameters: str = "{}"
    strict: bool = False


class Message(Wire, frozen=True, kw_only=True):
    """One turn of a conversation, as the model's chat template sees it.

    tool_calls: what an assistant called, after its content; tool_call_id: the call that the
    content of a tool's message is the outcome of.
    """

    role: Literal["system", "user", "assistant", "tool"]
    content: str
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str = ""


class Sampling(Wire, frozen=True, kw_only=True):
    """How to choose tokens. `None` leaves a value to the engine's default.

    temperature >= 0 (0 is greedy); top_k >= 0 tokens (0 is off); top_p, min_p, typical_p in
    0..1; penalties as in llama.cpp and the OpenAI API; stop: strings that end the answer and
    are never part of it; seed makes a sampled answer repeatable; ignore_eos goes on after the
    model's own end, up to the limit (for measurements); min_tokens: before so many the model may
    not end; logit_bias: by token id, added before choosing; banned_strings never come, whatever
    their case; dry_* punish repetitions by their length, xtc_* leave out likely tokens, both as
    in llama.cpp; logprobs: with each piece its log-probability, and those of so many of the
    likeliest tokens (None: none at all). What an engine cannot do it refuses, if it is asked for.
    """

    temperature: float | None = None
    top_k: int | None = None
    top_p: float | None = None
    min_p: float | None = None
    typical_p: float | None = None
    repetition_penalty: float | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    seed: int | None = None
    stop: tuple[str, ...] = ()
    ignore_eos: bool = False
    min_tokens: int = 0
    logit_bias: dict[int, float] = {}
    banned_strings: tuple[str, ...] = ()
    dry_multiplier: float | None = None
    dry_base: float | None = None
    dry_allowed_length: int | None = None
    xtc_probability: float | None = None
    xtc_threshold: float | None = None
    logprobs: int | None = None


class Request(Wire, frozen=True, kw_only=True):
    """One generation that somebody asked for.

    rid: unguessable id; reply: the address under which its log is kept; tenant: who pays;
    max_tokens: at most so many new tokens (None: what the context leaves); fit: whether an
    over-long conversation is truncated on the left or refused; deadline: Unix time by which it
    has ended; queue_deadline: by which a worker has claimed it, 0: the same; trace: the HTTP
    request's id, for logs; raw: the one message is a text to go on with, no chat template;
    tools: what the model may call; grammar: what the answer has to be a text of; priority: those
    with a higher one come first; weight: the tenant's share of the turns; key: id of the API key;
    store: whether the store may keep the words of the answer; traceparent, tracestate: the HTTP
    request's span in its caller's trace, as W3C's headers of these names say it, "" for none.
    """

    rid: str
    reply: str
    tenant: str
    model: str
    messages: tuple[Message, ...]
    sampling: Sampling = Sampling()
    max_tokens: int | None = None
    fit: Literal["truncate", "refuse"] = "truncate"
    created: Moment
    deadline: Moment
    trace: str = ""
    queue_deadline: Moment = 0.0
    raw: bool = False
    tools: tuple[Tool, ...] = ()
    grammar: Grammar | None = None
    priority: Priority = "normal"
    weight: float = 1.0
    key: str = ""
    store: bool = True
    traceparent: str = ""
    tracestate: str = ""

    @property
    def waits_until(self) -> float:
        """Unix time at which it is given up if nobody has claimed it."""
        return min(self.deadline, self.queue_deadline or self.deadline)


class UserMessage(Wire, frozen=True, kw_only=True):
    """What a person wrote in a chat; travels in the log so that the store can keep it."""

    id: str
    content: str
    parent_id: str | None = None
    created: Moment


class Turn(Wire, frozen=True, kw_only=True):
    """The place of a request in a chat: the answer is the message with the request's rid."""

    chat_id: str
    user_id: str
    user_message: UserMessage
    system_prompt: str = ""
    user_profile: str = ""
    response_instructions: str = ""


class Charge(Wire, frozen=True, kw_only=True):
    """To which of the tenant's clients a request's tokens are charged, and whose of its users."""

    client: str
    user: str = ""


class Prompt(Wire, frozen=True, kw_only=True, tag="prompt"):
    """An item of the queue: the request, and the sequence of its `queued` event to claim on."""

    queued: Number
    request: Request
