"""How the store says no: a MeshError each, most of them the same for all queries.

MeshError
└── NotYet   refused by the rows as they are; an event on its way may change that
"""

from mesh.protocol.errors import ErrorCode, MeshError


class NotYet(MeshError):
    """Refused by the rows as they are; look again once the log is applied to its end."""


def no_such(what: str) -> MeshError:
    """There is no such thing, or it is somebody else's."""
    return MeshError(ErrorCode.NOT_FOUND, f"There is no such {what}.")


def not_there_yet(what: str) -> NotYet:
    """As `no_such`, for what the log brings."""
    return NotYet(ErrorCode.NOT_FOUND, f"There is no such {what}.")


def bad(detail: str, param: str | None = None) -> MeshError:
    """The query makes no sense; the sentence says what to do."""
    return MeshError(ErrorCode.BAD_REQUEST, detail, param=param)


def unavailable(detail: str) -> MeshError:
    """The store cannot answer now, but will."""
    return MeshError(ErrorCode.STORE_UNAVAILABLE, detail, retry_after=1.0)
