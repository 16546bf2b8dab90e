"""What is left of the limits, as response headers: OpenAI's names, and ours in the same manner."""

from mesh.gateway.limits.window import Room

LIMITS = ("requests", "tokens", "concurrent", "daily-tokens", "messages")
"""The limits of which something may be left."""

EXPOSED = ", ".join(
    f"x-ratelimit-{what}-{name}" for name in LIMITS for what in ("limit", "remaining", "reset")
)
"""All these headers, for pages of other origins that may read them."""

TOLD = "limits"
"""Where an HTTP request keeps what makes these headers, when its response begins."""


def headers(rooms: dict[str, Room]) -> list[tuple[bytes, bytes]]:
    """`x-ratelimit-limit-requests`, `-remaining-` and `-reset-`, and so for each limit."""
    found = []
    for name, room in rooms.items():
        values = {"limit": str(room.limit), "remaining": str(room.left), "reset": span(room.reset)}
        found += [
            (f"x-ratelimit-{what}-{name}".encode(), value.encode())
            for what, value in values.items()
        ]
    return found


def span(seconds: float) -> str:
    """A time span as OpenAI spells it: `120ms`, `6s`, `6m0s`, `1h0m0s`."""
    if seconds < 1:
        return f"{max(0, round(seconds * 1000))}ms"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}h{minutes}m{rest}s"
    return f"{minutes}m{rest}s" if minutes else f"{rest}s"
