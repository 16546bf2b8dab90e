"""What somebody may be called, wherever a name comes from. What one may sign in with a password by
the store says.
"""

import re

from mesh.protocol.errors import ErrorCode, MeshError

LONGEST_NAME = 100
NO_NAME = re.compile(
    r"[\x00-\x1f\x7f-\x9f\ufffd"
    r"\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2064\u2066-\u2069\ufeff]"
)
"""Control characters, and what invalid UTF-8 is read as; what ends a line, turns the direction of
what stands behind it, or takes no room at all, so that one name could pass for another. Joiners are
none of these: some scripts and emoji need them."""


def check_name(typed: str, param: str) -> str:
    """A name by which somebody may be known. Raises MeshError (bad_request)."""
    name = typed.strip()
    if not name or len(name) > LONGEST_NAME:
        detail = f"Give a name of 1 to {LONGEST_NAME} characters."
        raise MeshError(ErrorCode.BAD_REQUEST, detail, param=param)
    if NO_NAME.search(name):
        detail = "A name is text in UTF-8 without control and invisible characters."
        raise MeshError(ErrorCode.BAD_REQUEST, detail, param=param)
    return name


def cleaned(said: str, otherwise: str) -> str:
    """A name that another site tells, as it may be shown: who comes from there cannot mend it.

    otherwise: what they are called where nothing of it is left.
    """
    name = " ".join(NO_NAME.sub(" ", said).split())[:LONGEST_NAME].rstrip()
    return name or otherwise[:LONGEST_NAME]
