"""The table of error codes, made from their enum and the gateway's statuses.

`tools.generated` writes it down.
"""

from mesh.gateway.errors import STATUS
from mesh.protocol.errors import ErrorCode
from tools.markdown import table


def errors() -> str:
    """Every code: its HTTP status, and its sentence where nothing more is known."""
    rows = [(f"`{code.value}`", str(STATUS[code]), code.sentence) for code in ErrorCode]
    return table(("code", "status", "sentence"), rows)
