"""What somebody may be called, wherever a name comes from. What one may sign in with a password by
the store says.
"""

import re

from mesh.protocol.errors import ErrorCode, MeshError

LONGEST_NAME = 100
NO_NAME = re.compile(r"[\x00-\x1f\x7f-\x9f\ufffd]")
"""Control characters, and what invalid UTF-8 is read as."""


def check_name(typed: str, param: str) -> str:
    """A name by which somebody may be known. Raises MeshError (bad_request)."""
    name = typed.strip()
    if not name or len(name) > LONGEST_NAME:
        detail = f"Give a name of 1 to {LONGEST_NAME} characters."
        raise MeshError(ErrorCode.BAD_REQUEST, detail, param=param)
    if NO_NAME.search(name):
        detail = "A name is text in UTF-8 without control characters."
        raise MeshError(ErrorCode.BAD_REQUEST, detail, param=param)
    return name
