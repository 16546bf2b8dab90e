"""What only some engines can do, and what a request needs of that. Pure.

A model's card names its engine's abilities; gateway and worker ask here whether they suffice, so
that a request is refused in one way, early or late.
"""

from enum import StrEnum

from mesh.protocol.errors import ErrorCode, MeshError
from mesh.protocol.request import Request, Thoughts
from mesh.protocol.worker_info import ModelCard


class Ability(StrEnum):
    """A word of `ModelCard.abilities`."""

    EMBED = "embed"
    """It makes embeddings of texts."""
    EMBED_ONLY = "embed_only"
    """It makes nothing else: no answers."""
    ENCODE = "encode"
    """It has a tokenizer: texts can be counted, and gone on with as they stand."""
    GRAMMAR = "grammar"
    """It can be held to a grammar: JSON, and calls of tools."""
    LOGPROBS = "logprobs"
    """It tells how likely its tokens were."""
    REASON = "reason"
    """It may begin with thoughts, in `<think>`, which are not part of the answer."""
    REASON_AT_ONCE = "reason_at_once"
    """Its prompt opens them already."""


def thoughts_of(card: ModelCard | None) -> Thoughts | None:
    """How a model marks its thoughts; None where nobody serves it, so that nobody knows."""
    if card is None:
        return None
    if Ability.REASON.value not in card.abilities:
        return "none"
    return "begun" if Ability.REASON_AT_ONCE.value in card.abilities else "marked"


def lacking(request: Request, abilities: tuple[str, ...]) -> MeshError | None:
    """Why a model of these abilities cannot do what is asked, naming the parameter; or None."""
    if Ability.EMBED_ONLY.value in abilities:
        detail = f"The model {request.model!r} makes embeddings alone; ask another for answers."
        return MeshError(ErrorCode.UNSUPPORTED, detail, param="model")
    for needed, ability, param in _needs(request):
        if needed and ability.value not in abilities:
            return unable(param, request.model)
    return None


def unable(param: str, model: str) -> MeshError:
    """The refusal of a parameter that the model's engine cannot honour."""
    detail = f"The engine of the model {model!r} cannot do {param}; leave it out, or ask another."
    return MeshError(ErrorCode.UNSUPPORTED, detail, param=param)


def _needs(request: Request) -> tuple[tuple[bool, Ability, str], ...]:
    calls = any(m.role == "tool" or m.tool_calls for m in request.messages)
    return (
        (request.raw, Ability.ENCODE, "prompt"),
        (bool(request.tools), Ability.GRAMMAR, "tools"),
        (calls, Ability.GRAMMAR, "messages"),
        (request.grammar is not None, Ability.GRAMMAR, "response_format"),
        (request.sampling.logprobs is not None, Ability.LOGPROBS, "logprobs"),
    )
