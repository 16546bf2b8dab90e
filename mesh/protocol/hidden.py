"""What of an address is told nobody: the name and the password in it. Pure."""

import re

_USERINFO = re.compile(r"(://)[^/?#\s]*@|(^|,)[^/?#\s,:@]+:[^/?#\s,]*@")
"""What stands before the host, with a scheme or, as brokers may be named, without one."""


def without_userinfo(text: str) -> str:
    """A text, such as an address or a sentence with one in it, with `***` in the place of each
    name and password that stands before a host."""
    return _USERINFO.sub(r"\1\2***@", text) if "@" in text else text
