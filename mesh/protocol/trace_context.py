"""Where in a trace something happens, as W3C Trace Context level 1 says it in headers. Pure.

`traceparent` is `VERSION-TRACE-SPAN-FLAGS` in lower hex digits, such as
`00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01`; of the flags only the last bit means
something: whether whoever asked tells of the trace. `tracestate` is others' own, handed on as is.
"""

import re
from collections.abc import Sequence
from secrets import token_hex
from typing import NamedTuple

PARENT = re.compile(
    r"(?!ff)(?P<version>[0-9a-f]{2})"
    r"-(?!0{32})(?P<trace>[0-9a-f]{32})"
    r"-(?!0{16})(?P<span>[0-9a-f]{16})"
    r"-(?P<flags>[0-9a-f]{2})(?P<more>-.*)?",
    re.ASCII,
)

MEMBER = re.compile(
    r"(?:[a-z][a-z0-9_*/-]{0,255}|[a-z0-9][a-z0-9_*/-]{0,240}@[a-z][a-z0-9_*/-]{0,13})"
    r"=[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e]",
    re.ASCII,
)
"""One vendor's part of `tracestate`."""

MEMBERS, CHARACTERS = 32, 512
"""How much of `tracestate` is valid, and how much is handed on: whole members, from the first."""


class TraceContext(NamedTuple):
    """A span, as the parent of others. Both "": of no trace that somebody told of."""

    traceparent: str = ""
    tracestate: str = ""

    def __bool__(self) -> bool:
        return bool(self.traceparent)

    @property
    def trace(self) -> str:
        """The trace's id, 32 hex digits."""
        return self.traceparent[3:35]

    @property
    def span(self) -> str:
        """The span's id, 16 hex digits."""
        return self.traceparent[36:52]

    @property
    def sampled(self) -> bool:
        """Whether spans are to be told of."""
        return self.traceparent.endswith("1")

    def below(self) -> "TraceContext":
        """A new span of the same trace."""
        return self._replace(traceparent=_spelled(self.trace, token_hex(8), self.sampled))

    def headers(self) -> dict[str, str]:
        """What tells others of it; nothing where there is nothing to tell."""
        return {name: value for name, value in self._asdict().items() if value}


NO_TRACE = TraceContext()


def read(parents: Sequence[str], states: Sequence[str] = ()) -> TraceContext:
    """What the headers of these names say; NO_TRACE where there is not one valid `traceparent`.

    Of a later version what this one knows is read. What is no valid `tracestate` is left out.
    """
    match = PARENT.fullmatch(parents[0].strip(" \t")) if len(parents) == 1 else None
    if match is None or (match["version"] == "00" and match["more"]):
        return NO_TRACE
    sampled = bool(int(match["flags"], 16) & 1)
    return TraceContext(_spelled(match["trace"], match["span"], sampled), _state(states))


def _spelled(trace: str, span: str, sampled: bool) -> str:
    return f"00-{trace}-{span}-{int(sampled):02d}"


def _state(states: Sequence[str]) -> str:
    members = [each.strip(" \t") for each in ",".join(states).split(",")]
    members = [each for each in members if each]
    keys = {each.partition("=")[0] for each in members}
    if len(members) > MEMBERS or len(keys) < len(members):
        return ""
    if not all(MEMBER.fullmatch(each) for each in members):
        return ""
    while len(",".join(members)) > CHARACTERS:
        members.pop()
    return ",".join(members)
