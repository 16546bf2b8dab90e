"""Runs as some clients post them: as whole objects, filled in as one is that has not begun. Pure.

They write every field of a run into what they send to `POST /v1/runs`, and say by most of them
nothing. What says nothing is taken out here; what asks for something is left, and read as always.
"""

from typing import Any, Literal

import msgspec
from msgspec import Raw, Struct

from mesh.gateway.body import decode_body
from mesh.gateway.openai.asked import Count, unsupported


class FilledIn(Struct, kw_only=True):
    """What a run is said to be by those who begin it. It has an id of its own, whatever is said,
    and `null` where nothing has happened yet. expires_at: by when it is over at the latest (Unix
    seconds); max_prompt_tokens: changes nothing, for the oldest turns are left out as it is."""

    object: Literal["run"] | None = None
    id: str | None = None
    status: Literal["pending", "queued"] | None = None
    created_at: float | None = None
    expires_at: float | None = None
    max_prompt_tokens: Count | None = None
    meta_data: dict[str, Any] | None = None
    tool_resources: dict[str, Any] | None = None
    truncation_strategy: dict[str, Any] | None = None
    started_at: None = None
    completed_at: None = None
    cancelled_at: None = None
    failed_at: None = None
    incomplete_details: None = None
    required_action: None = None
    last_error: None = None
    usage: None = None


KEPT_ELSEWHERE = {
    "meta_data": "A run has no meta_data; note it with its thread or a message, and leave it out.",
    "tool_resources": "Files and vector stores are not kept here; leave tool_resources out.",
    "truncation_strategy": "The oldest turns are left out where a thread is longer than its model "
    "can read; leave truncation_strategy out.",
}

FILLERS: dict[str, Any] = {
    "instructions": "",
    "tools": [],
    "tool_choice": "none",
    "parallel_tool_calls": False,
    "response_format": "text",
}
"""What such an object has where its client says nothing, so that the assistant's own ways go on."""


def plain(data: bytes) -> tuple[bytes, float | None]:
    """What such a body asks for, and by when the run is to be over (Unix seconds), if it says so.

    Whether that is past is for whoever begins it: a run that is known already may be asked for
    later. Raises MeshError (bad_request, unsupported), naming the parameter at fault.
    """
    said = decode_body(data, FilledIn)
    for name, detail in KEPT_ELSEWHERE.items():
        if getattr(said, name):
            raise unsupported(name, detail)
    given = decode_body(data, dict[str, Raw])
    left = {name: raw for name, raw in given.items() if name not in FilledIn.__struct_fields__}
    if said.object == "run":
        left.pop("model", None)  # they all name the same one; the assistant's is meant
        left = {name: raw for name, raw in left.items() if not _is_filler(name, raw)}
    return msgspec.json.encode(left), said.expires_at


def _is_filler(name: str, raw: Raw) -> bool:
    return name in FILLERS and bool(msgspec.json.decode(raw) == FILLERS[name])
