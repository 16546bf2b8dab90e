"""What somebody may ask of the mesh, and what was used: by user, key, model and day."""

from typing import Annotated

from msgspec import Meta, Struct

from mesh.protocol.chats import Asks
from mesh.protocol.subjects import Priority
from mesh.protocol.wire import Wire

Count = Annotated[int, Meta(ge=0, le=10**12)]
Weight = Annotated[float, Meta(ge=0.01, le=100)]


class Allowed(Struct, frozen=True, kw_only=True):
    """What a user or a key may ask for. None: as everybody, of a key: as its user; 0: no limit.

    requests, tokens: in each minute; concurrent: not ended yet; daily_tokens: from midnight to
    midnight, UTC; weight: the share of the turns, 1 is usual; priority: the highest they may have.
    """

    requests: Count | None = None
    tokens: Count | None = None
    concurrent: Count | None = None
    daily_tokens: Count | None = None
    weight: Weight | None = None
    priority: Priority | None = None


class Allowance(Allowed, Wire, frozen=True, kw_only=True, tag="allowance"):
    """The same as it travels."""


NONE_SAID = Allowance()
"""Of whom nobody has said anything."""


class UsageRow(Wire, frozen=True, kw_only=True):
    """What was used on a day (`2026-11-21`, UTC) by a user, with a key ("": with none), of a model.

    requests: that have ended; failed: of these.
    """

    day: str
    user: str
    key: str
    model: str
    requests: int = 0
    failed: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0


Place = tuple[str, str, str, str]
"""Day, user, key and model of a row: what rows are ordered by."""


class Usage(Wire, frozen=True, kw_only=True, tag="usage"):
    """Rows by day, user, key and model; applied: the last sequence of the log they count; where
    `next` is set, there are more: ask on from it."""

    rows: tuple[UsageRow, ...]
    applied: int = 0
    next: Place | None = None


class SetAllowance(Asks[Allowance], frozen=True, kw_only=True, tag="set_allowance"):
    """Of a key, or of a user where key_id is "". user "": whosever the key is.

    -> Allowance; not_found
    """

    allowance: Allowance
    user: str = ""
    key_id: str = ""


class GetAllowance(Asks[Allowance], frozen=True, kw_only=True, tag="get_allowance"):
    """-> Allowance; not_found"""

    user: str = ""
    key_id: str = ""


class GetUsage(Asks[Usage], frozen=True, kw_only=True, tag="get_usage"):
    """Each of user, key and model "": of all; since, until: days, both included, "": no bound.

    user: as somebody types it; after: the `next` of the reply before. -> Usage
    """

    user: str = ""
    key: str = ""
    model: str = ""
    since: str = ""
    until: str = ""
    after: Place | None = None
