"""The table of error codes, made from their enum and the gateway's statuses.

`tools.generated` writes it down.
"""

from msgspec import Struct

from mesh.gateway.errors import OF_SHAPE, OpenAIError, status_of
from mesh.protocol.errors import ErrorCode
from tools.markdown import table


def errors() -> str:
    """Every code: its HTTP status, and its sentence where nothing more is known."""
    rows = [(f"`{code.value}`", _statuses(code), code.sentence) for code in ErrorCode]
    return table(("code", "status", "sentence"), rows)


def _statuses(code: ErrorCode) -> str:
    """One, but where it goes by the shape that errors have on a route."""
    shapes: list[type[Struct]] = [OpenAIError, *OF_SHAPE]
    return ", ".join(map(str, sorted({status_of(code, shape) for shape in shapes})))
