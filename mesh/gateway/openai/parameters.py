"""The parameters of OpenAI's routes: which are used, ignored or refused. Pure.

Nothing is dropped in silence: what the mesh cannot do is refused by name, unless it is asked for
in a way that asks for nothing (`null`, or a value listed here). docs/openai.md shows these tables.
"""

from enum import StrEnum
from functools import cache
from operator import itemgetter
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Raw, Struct

from mesh.gateway.body import decode_body
from mesh.protocol.errors import ErrorCode, MeshError


class Treatment(StrEnum):
    USED = "used"
    IGNORED = "ignored"
    REFUSED = "refused"


class Parameter(Struct, frozen=True):
    """How one parameter is treated. harmless: values of a refused one that ask for nothing; kind:
    the type of an ignored one, which has to be right all the same."""

    treatment: Treatment
    note: str
    harmless: tuple[object, ...] = ()
    kind: Any = None


def _used(note: str) -> Parameter:
    return Parameter(Treatment.USED, note)


def _ignored(note: str, kind: Any) -> Parameter:
    return Parameter(Treatment.IGNORED, note, kind=kind)


def _refused(note: str, *harmless: object) -> Parameter:
    return Parameter(Treatment.REFUSED, note, harmless)


MetaKey = Annotated[str, Meta(max_length=64)]
MetaValue = Annotated[str, Meta(max_length=512)]
MetaData = Annotated[dict[MetaKey, MetaValue], Meta(max_length=16)]
"""Notes of a client's own, in OpenAI's bounds."""

_Identifier = Annotated[str, Meta(max_length=64)]
_Tier = Literal["auto", "default", "flex", "scale", "priority", "fast"]
_ResponseTier = Literal[_Tier, "ultrafast"]
_Retention = Literal["in_memory", "in-memory", "24h"]


class CacheOptions(Struct, forbid_unknown_fields=True):
    """How prefixes are to be kept: without effect. ttl: any text, lest a new one be refused."""

    mode: Literal["implicit", "explicit"] | None = None
    ttl: str | None = None


class CacheBreakpoint(Struct, forbid_unknown_fields=True):
    """Where a prefix ends: without effect, it is found without being told."""

    mode: Literal["explicit"]
    ttl: str | None = None


class StreamOptions(Struct, forbid_unknown_fields=True):
    """What a stream of a response tells besides: nothing more."""

    include_obfuscation: bool | None = None


_COMMON = {
    "model": _used("A name of `GET /v1/models`; left out, the mesh's default model."),
    "stream": _used("Server-Sent Events instead of one object."),
    "stream_options": _used("`include_usage`; `include_obfuscation` has no effect."),
    "max_tokens": _used(
        "At most so many new tokens; left out, what the context leaves, 4,096 at most."
    ),
    "temperature": _used("0 to 2; 0 always takes the likeliest token."),
    "top_p": _used("0 to 1."),
    "stop": _used("A string, or up to four; they are never part of the answer."),
    "seed": _used("Makes a sampled answer repeatable, where the engine can."),
    "presence_penalty": _used("-2 to 2."),
    "frequency_penalty": _used("-2 to 2."),
    "top_k": _used("Not OpenAI's: only the so many likeliest tokens; 0: all."),
    "min_p": _used("Not OpenAI's: 0 to 1, as in llama.cpp."),
    "typical_p": _used("Not OpenAI's: 0 to 1, as in llama.cpp."),
    "repetition_penalty": _used("Not OpenAI's: 0.01 to 10; 1 is none."),
    "ignore_eos": _used("Not OpenAI's, but vLLM's: go on to the limit, past the model's own end."),
    "min_tokens": _used("Not OpenAI's, but vLLM's: before so many the model may not end."),
    "logit_bias": _used("By token id of the model, -100 to 100: added before choosing."),
    "banned_strings": _used("Not OpenAI's: up to 64 strings that never come, in any case."),
    "dry_multiplier": _used("Not OpenAI's: above 0 punishes repetitions, as in llama.cpp."),
    "dry_base": _used("Not OpenAI's: by how much more a longer repetition is punished."),
    "dry_allowed_length": _used("Not OpenAI's: tokens that may repeat unpunished."),
    "xtc_probability": _used("Not OpenAI's: how often likely tokens are left out, 0 to 1."),
    "xtc_threshold": _used("Not OpenAI's: the probability from which a token is a likely one."),
    "n": _used(
        "1 to 128 answers; each is a request of its own, with a seed of its own. `usage` counts "
        "the prompt once for each, as it is charged."
    ),
    "user": _ignored("Who pays is who signed in.", str),
}

CHAT = _COMMON | {
    "messages": _used("Roles system, developer (the same), user, assistant, tool; text only."),
    "max_completion_tokens": _used("The same under its newer name."),
    "logprobs": _used("How likely each token was, where the engine tells; refused with `tools`."),
    "top_logprobs": _used("0 to 20 of the likeliest tokens in each place; needs `logprobs`."),
    "tools": _used(
        "Functions; their arguments are held to their JSON Schemas, strict or not (by an upstream: "
        "where strict)."
    ),
    "tool_choice": _used("`none`, `auto`, `required`, or one function by its name."),
    "parallel_tool_calls": _used(
        "False: at most one call in an answer. Without `tools` refused, as OpenAI does."
    ),
    "response_format": _used("`text`, `json_object`, or `json_schema`, which is always kept to."),
    "safety_identifier": _ignored("Nobody is reported to anybody.", _Identifier),
    "metadata": _ignored("Not kept.", MetaData),
    "store": _ignored("Completions are not kept for later retrieval.", bool),
    "service_tier": _ignored("There is one.", _Tier),
    "prompt_cache_key": _ignored("Prefixes are reused without being asked to.", str),
    "prompt_cache_options": _ignored("Prefixes are reused without being asked to.", CacheOptions),
    "prompt_cache_retention": _ignored("Prefixes are reused without being asked to.", _Retention),
    "functions": _refused("Their newer name is `tools`.", []),
    "function_call": _refused("Its newer name is `tool_choice`.", "none"),
    "modalities": _refused("Answers are text.", ["text"]),
    "audio": _refused("Answers are text."),
    "prediction": _refused("Predicted outputs are not used."),
    "reasoning_effort": _refused("Models here do not reason apart from answering.", "none"),
    "verbosity": _refused("Ask for it in the system message.", "medium"),
    "web_search_options": _refused("Nothing is searched for."),
    "moderation": _refused("Nothing is moderated."),
}
"""Of `POST /v1/chat/completions`: every parameter of OpenAI's, and the mesh's own."""

TEXT = _COMMON | {
    "prompt": _used(
        "A text to go on with as it stands, or a list of texts, each answered. Ids of tokens are "
        "refused."
    ),
    "echo": _used("Answers begin with their prompt."),
    "logprobs": _used("0 to 5 of the likeliest tokens in each place."),
    "suffix": _refused("Nothing is filled in before a text."),
    "best_of": _refused("Ask for several answers with `n`, and choose.", 1),
    "provider": _refused("Who serves a model is not chosen; `model` names it."),
    "thread_id": _refused("A run answers a thread: `POST /v1/runs`."),
}
"""Of `POST /v1/completions`; the last two are of servers of runs, which had this path."""


RESPONSES = {
    "model": CHAT["model"],
    "input": _used("A text, or items: messages, `function_call`, `function_call_output`."),
    "instructions": _used("The system message; not carried over to what follows a response."),
    "previous_response_id": _used("Goes on from a response that has ended and is still kept."),
    "stream": CHAT["stream"],
    "background": _used("Goes on without a reader; `GET` reads it, also on from an event."),
    "store": _used("True unless said otherwise: as long as the log is kept."),
    "max_output_tokens": CHAT["max_tokens"],
    "temperature": CHAT["temperature"],
    "top_p": CHAT["top_p"],
    "tools": CHAT["tools"],
    "tool_choice": CHAT["tool_choice"],
    "parallel_tool_calls": _used(
        "False: at most one call in an answer. Without `tools` taken and given back, as OpenAI "
        "does: every response has it."
    ),
    "text": _used("`format` as `response_format`; no other `verbosity` than medium."),
    "metadata": _used("Given back with the response."),
    "user": CHAT["user"],
    "safety_identifier": CHAT["safety_identifier"],
    "service_tier": _ignored("There is one.", _ResponseTier),
    "prompt_cache_key": CHAT["prompt_cache_key"],
    "prompt_cache_options": CHAT["prompt_cache_options"],
    "prompt_cache_retention": CHAT["prompt_cache_retention"],
    "stream_options": _ignored("Obfuscation has no effect.", StreamOptions),
    "truncation": _refused("What does not fit is refused, never cut.", "disabled"),
    "include": _refused("Nothing more is told.", []),
    "reasoning": _refused("How much models think cannot be chosen.", {}),
    "conversation": _refused("Use `previous_response_id`."),
    "max_tool_calls": _refused("No tools run here."),
    "top_logprobs": _refused("Ask for them on `/v1/chat/completions`.", 0),
    "prompt": _refused("Templates of prompts are not kept."),
    "context_management": _refused("Nothing is compacted.", []),
    "moderation": CHAT["moderation"],
}
"""Of `POST /v1/responses`."""

EMBEDDINGS = {
    "model": _used("A name of `GET /v1/models` whose `abilities` have `embed`."),
    "input": _used("A text, or up to 2,048, none of them empty. Ids of tokens are refused."),
    "encoding_format": _used("`float` or `base64`."),
    "user": CHAT["user"],
    "dimensions": _refused("A vector has as many as its model gives it."),
}
"""Of `POST /v1/embeddings`."""


Table = dict[str, Parameter]


def check(body: bytes, table: Table) -> None:
    """Raise MeshError (unsupported, bad_request), naming a parameter that cannot be honoured, or is
    of a wrong type though nobody uses it."""
    ignored: list[tuple[str, Any]] = []
    for name, value in decode_body(body, dict[str, Raw]).items():
        parameter = table.get(name)
        if parameter is None:
            raise MeshError(
                ErrorCode.UNSUPPORTED,
                f"There is no parameter {name!r}; leave it out.",
                param=name,
            )
        match parameter.treatment:
            case Treatment.REFUSED:
                _check_harmless(name, parameter, msgspec.json.decode(value))
            case Treatment.IGNORED:
                ignored.append((name, parameter.kind | None))
    if ignored:
        decode_body(body, _ignored_body(tuple(sorted(ignored, key=itemgetter(0)))))


@cache
def _ignored_body(fields: tuple[tuple[str, Any], ...]) -> type[Struct]:
    """A body with these parameters, each of its type."""
    return msgspec.defstruct("Ignored", fields)


def _check_harmless(name: str, parameter: Parameter, value: object) -> None:
    if isinstance(value, dict) and {} in parameter.harmless:  # its keys are refused by name, too
        value = {key: said for key, said in value.items() if said is not None}
        name = f"{name}.{next(iter(value))}" if value else name
    asks_nothing = value is None or any(
        type(value) is type(known) and value == known for known in parameter.harmless
    )
    if not asks_nothing:
        raise MeshError(
            ErrorCode.UNSUPPORTED,
            f"{name} is not supported here; leave it out. {parameter.note}",
            param=name,
        )
