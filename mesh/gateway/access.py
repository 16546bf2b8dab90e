"""Who may call what: one rule for each part of the API, by how the path begins. Pure.

A person who is signed in has every scope; a key has those that it was made with. A path without a
rule is open to no key, and a test holds that there is none.
"""

from typing import NamedTuple

from mesh.gateway.tokens import Principal
from mesh.protocol.accounts import Role, Scope
from mesh.protocol.errors import ErrorCode, MeshError


class Rule(NamedTuple):
    """scope: what a key needs, None: any key will do; role: the least that a person needs."""

    scope: Scope | None
    role: Role = "user"


RULES: dict[str, Rule] = {
    "/v1": Rule("ask"),
    "/generate": Rule("ask"),
    "/tokenize": Rule("ask"),
    "/safety": Rule("ask"),
    "/history": Rule("chats"),
    "/fetch": Rule("chats"),
    "/next_chat_id": Rule("chats"),
    "/configs": Rule("ask"),
    "/api": Rule("ask"),
    "/chats": Rule("chats"),
    "/workers": Rule("mesh"),
    "/workers/sessions": Rule("mesh", role="operator"),
    "/mesh": Rule("mesh"),
    "/metrics": Rule("mesh"),
    "/account": Rule("account"),
    "/auth/check": Rule(None),
    "/auth/sessions": Rule("account"),
    "/admin": Rule("admin", role="admin"),
    "/admin/export": Rule("admin", role="operator"),
}

_RANKS: tuple[Role, ...] = ("user", "operator", "admin")


def rule(path: str) -> Rule | None:
    """The rule for a path, that of its longest beginning; None if there is none."""
    parts = path.split("/")
    for count in range(len(parts), 1, -1):
        found = RULES.get("/".join(parts[:count]))
        if found is not None:
            return found
    return None


def check(path: str, principal: Principal) -> None:
    """Raise MeshError (forbidden) unless somebody may call a path."""
    found = rule(path) or Rule("admin", role="admin")
    if principal.trusted and found.scope == "admin":
        raise MeshError(ErrorCode.FORBIDDEN, "A site that speaks for its users may not do this.")
    if principal.scopes is not None and found.scope not in (None, *principal.scopes):
        raise MeshError(
            ErrorCode.FORBIDDEN,
            f"This key may not be used here: it lacks the scope {found.scope!r}.",
        )
    if _RANKS.index(principal.role) < _RANKS.index(found.role):
        raise MeshError(ErrorCode.FORBIDDEN, f"This is for the role {found.role!r} only.")
