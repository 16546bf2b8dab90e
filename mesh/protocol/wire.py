"""What everything that travels is made of. JSON on the wire.

Within a protocol version fields are only added, with defaults; an unknown field is ignored, an
unknown tag is an error. Times are Unix seconds, durations are seconds, both floats. How large a
number may be, `mesh.protocol.numbers` says.
"""

from msgspec import Struct


class Wire(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The base of everything that travels: frozen, by keyword, defaults left out."""
