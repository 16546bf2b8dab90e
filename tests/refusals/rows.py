"""What a row of the tables of refusals is: a request, and what is said of it. Pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec

from mesh.gateway.errors import status_of
from mesh.protocol.errors import ErrorCode

NOTHING: Any = object()
"""No body at all."""

LONGEST = 70
"""Characters of what is sent that are shown as they are."""

By = Literal["owner", "admin", "nobody", "key", "ask key", "full key"]
"""Who asks: who owns what the path names, an admin, nobody who is known, or a key of the owner's
that has one scope which does not open the route, or this one, or all there are."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """A request that a route refuses, and how.

    sentence: as it stands in the answer, `…` for whatever is there; param: the field or parameter
    that is named as the one at fault, where a route names any; status: where it is not that of the
    code; what: what is sent, in words, where its own spelling says less; body: JSON, or bytes as
    they are; ids: what stands in the path in the place of the owner's own, by the parameter's name;
    `$kind` anywhere is the id of one of the owner's things (`tests/owned.py`); by: who asks, ""
    for whom the route is there for; loopback: on a gateway that only its own machine can reach;
    method: another than the route's.
    """

    code: ErrorCode
    sentence: str
    param: str | None = None
    status: int = 0
    what: str = ""
    body: Any = NOTHING
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    ids: Mapping[str, str] = field(default_factory=dict)
    by: By | Literal[""] = ""
    loopback: bool = False
    method: str = ""

    def answered(self, shape: type[msgspec.Struct]) -> int:
        """The status, where errors have this shape."""
        return self.status or status_of(self.code, shape)

    @property
    def sent(self) -> str:
        """What is sent, for people: Markdown."""
        shown = self.what or self._spelled()
        if not self.loopback:
            return shown
        return f"{shown} (on loopback{', not signed in' if self.by == 'nobody' else ''})"

    def says(self, told: str) -> bool:
        """Whether a sentence is this row's."""
        parts = map(re.escape, self.sentence.split("…"))
        return re.fullmatch(".*".join(parts), told, re.DOTALL) is not None

    def _spelled(self) -> str:
        parts = [f"`{name}`: `{value}`" for name, value in self.ids.items()]
        if self.query:
            parts.append(
                "`?" + "&".join(f"{name}={each}" for name, each in self.query.items()) + "`"
            )
        parts += [f"`{name}: {value}`" for name, value in self.headers.items()]
        if isinstance(self.body, bytes):
            parts.append(f"`{self.body.decode(errors='replace')}`")
        elif self.body is not NOTHING:
            parts.append(f"`{msgspec.json.encode(self.body).decode()}`")
        shown = ", ".join(parts)
        if not shown or len(shown) > LONGEST + 4 * len(parts):
            raise ValueError(f"say in words what is sent: {shown[:200]}")
        return shown


def bad(param: str | None, sentence: str, body: Any = NOTHING, what: str = "", **more: Any) -> Row:
    """A row of what could not be understood."""
    code = ErrorCode.BAD_REQUEST
    return Row(code=code, sentence=sentence, param=param, body=body, what=what, **more)


def refused(
    code: ErrorCode, sentence: str = "", body: Any = NOTHING, what: str = "", **more: Any
) -> Row:
    """A row of any other code; without a sentence with the code's own."""
    return Row(code=code, sentence=sentence or code.sentence, body=body, what=what, **more)


@dataclass(frozen=True)
class Part:
    """Rows that several routes have alike, what they ask for apart. name: what they are about."""

    name: str
    rows: tuple[Row, ...]


Table = tuple[Row | Part, ...]
