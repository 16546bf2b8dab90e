"""The tables of the protocol, made from the catalogue. `tools.generated` writes them down."""

from collections.abc import Iterable

from msgspec import Struct

from mesh.protocol.calls import CALLS
from mesh.protocol.catalogue import CHANNELS, Channel, Role
from tools.markdown import table


def channels() -> str:
    """Every subject: who says what on it, who hears it."""
    rows = [
        (
            f"`{channel.pattern}`",
            channel.kind,
            _messages(channel),
            _roles(channel.publishers),
            _roles((*channel.subscribers, *channel.readers)),
            channel.purpose,
        )
        for channel in CHANNELS
    ]
    return table(("subject", "kind", "messages", "from", "to", "purpose"), rows)


def calls() -> str:
    """Every call of JetStream's API, and who may make it."""
    rows = [(f"`{call.pattern}`", _roles(call.callers) or "nobody", call.purpose) for call in CALLS]
    return table(("call", "by", "purpose"), rows)


def _messages(channel: Channel) -> str:
    said = _names(channel.messages)
    return f"{said} → {_names(channel.answers)}" if channel.answers else said


def _names(kinds: Iterable[type[Struct]]) -> str:
    names = [f"`{kind.__name__}`" for kind in kinds]
    return ", ".join(names) if len(names) <= 6 else f"{len(names)} kinds"


def _roles(roles: Iterable[Role]) -> str:
    return ", ".join(roles)
