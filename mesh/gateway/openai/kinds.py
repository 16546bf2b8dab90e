"""Says what is the matter with a thing of another kind, before what such a thing has is refused.

Who sends a tool or an item that is not known here should hear that, and not of its fields. Pure.
"""

import re

import msgspec

from mesh.gateway.openai.asked import unsupported
from mesh.protocol.errors import MeshError

_IN_A_LIST = re.compile(r"(\w+)\[(\d+)\]\.\w+")

Kinds = dict[str, tuple[str, ...]]
"""By the name of a list in a body the types that its things may have."""

TOOLS: Kinds = {"tools": ("function",)}


def instead(data: bytes, error: MeshError, known: Kinds) -> MeshError:
    """A better refusal of a body than that of a field in one of its lists, or the same."""
    found = _IN_A_LIST.fullmatch(error.param or "")
    if found is None or found[1] not in known:
        return error
    name, at = found[1], int(found[2])
    kind = msgspec.json.decode(data)[name][at].get("type")
    if not isinstance(kind, str) or kind in known[name]:
        return error
    types = ", ".join(known[name])
    return unsupported(f"{name}[{at}].type", f"The type {kind!r} is not known here; use {types}.")
