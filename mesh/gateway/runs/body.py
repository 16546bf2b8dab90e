"""Reads the bodies of the routes of runs. Pure."""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Raw, Struct

from mesh.gateway.body import decode_body
from mesh.gateway.openai import chat_body
from mesh.gateway.openai.asked import Asked, unsupported
from mesh.protocol.grammar import Grammar


class ToolOutput(Struct, forbid_unknown_fields=True):
    """What came of a call, as a text for the model."""

    tool_call_id: str
    output: str


class OutputsBody(Struct, forbid_unknown_fields=True):
    """What `submit_tool_outputs` takes: outcomes of some or all calls that a run waits for."""

    tool_outputs: Annotated[list[ToolOutput], Meta(min_length=1, max_length=128)]


class ActionBody(Struct, forbid_unknown_fields=True):
    """What an action is set to: completed or failed; any other word says how it stands already,
    that somebody is at it as well. A failed one's result says why; the model is shown it too, an
    object as JSON."""

    status: Literal[
        "completed", "failed", "pending", "processing", "retrying", "expired", "cancelled"
    ]
    result: str | dict[str, Any] | None = None

    @property
    def output(self) -> str:
        """The result as a text for the model."""
        if isinstance(self.result, dict):
            return msgspec.json.encode(self.result).decode()
        return self.result or ""


ON_A_THREAD = (
    "assistant_id",
    "instructions",
    "additional_instructions",
    "additional_messages",
)
"""What a run has that is begun on a thread, and no other."""


NOTHING = (b"null", b"{}")
NO_METADATA = "A run has no metadata; note it with its thread or a message, and leave it out."


def read(data: bytes) -> tuple[Asked, Grammar | None]:
    """What is asked for, and what each answer after the first has to be a text of.

    A run takes what a chat completion does. That a tool has to be called, if that is asked for,
    goes for the first answer: else the run would come to no end. Raises MeshError, naming the
    parameter at fault.
    """
    for name in decode_body(data, dict[str, Raw]):
        if name in ON_A_THREAD:
            detail = f"{name} is for a run on a thread; name its thread_id, or leave it out."
            raise unsupported(name, detail)
    asked = chat_body.read(data)
    for name, wanted in (("stream", asked.stream), ("n", asked.n > 1)):
        if wanted:
            raise unsupported(name, f"A run has no {name}; leave it out.")
    if asked.sampling.logprobs is not None:
        raise unsupported("logprobs", "A run does not tell probabilities; leave logprobs out.")
    whole = decode_body(data, dict[str, Raw])
    if bytes(whole.get("metadata", b"null")).strip() not in NOTHING:
        raise unsupported("metadata", NO_METADATA)
    if not asked.tools or "tool_choice" not in whole:
        return asked, asked.grammar
    freely = msgspec.json.encode(whole | {"tool_choice": Raw(b'"auto"')})
    return asked, chat_body.read(freely).grammar
