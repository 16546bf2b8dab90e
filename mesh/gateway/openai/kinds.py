"""Says what is the matter with a thing of another kind, before what such a thing has is refused.

Who sends a tool or an item that is not known here should hear that, and not of its fields. Pure.
"""

import re

from mesh.gateway.body import decode_body
from mesh.gateway.openai.asked import unsupported
from mesh.protocol.errors import MeshError

_IN_A_LIST = re.compile(r"(\w+)\[(\d+)\]\..+")

_CHOICE = "tool_choice"

Kinds = dict[str, tuple[str, ...]]
"""By the name of a list in a body the types that its things may have."""

TOOLS: Kinds = {"tools": ("function",)}


def instead(data: bytes, error: MeshError, known: Kinds) -> MeshError:
    """A better refusal of a body than that of a field, however deep, in one of its lists, or of its
    choice of a tool, or the same.

    Raises MeshError (bad_request) for one that is no JSON behind that field.
    """
    if (error.param or "").partition(".")[0] == _CHOICE:
        return _of_choice(data, error)
    found = _IN_A_LIST.fullmatch(error.param or "")
    if found is None or found[1] not in known:
        return error
    name, at = found[1], int(found[2])
    kind = _type(data, name, at)
    if not isinstance(kind, str) or kind in known[name]:
        return error
    types = ", ".join(known[name])
    return unsupported(f"{name}[{at}].type", f"The type {kind!r} is not known here; use {types}.")


def _of_choice(data: bytes, error: MeshError) -> MeshError:
    """The same for a choice that is no function's."""
    choice = decode_body(data, dict[str, object]).get(_CHOICE)
    kind = choice.get("type") if isinstance(choice, dict) else None
    if not isinstance(kind, str) or kind == "function":
        return error
    detail = f"A choice of the type {kind!r} is not known here; use function."
    return unsupported(f"{_CHOICE}.type", detail)


def _type(data: bytes, name: str, at: int) -> object:
    """Of what type a thing in a list says it is; None where there is no such thing.

    The refusal may be of another list: of a name that stands twice in a body the last one is read.
    """
    things = decode_body(data, dict[str, object]).get(name)
    thing = things[at] if isinstance(things, list) and at < len(things) else None
    return thing.get("type") if isinstance(thing, dict) else None
