"""How brokers and gateways are reached, and what of that is this machine alone."""

from urllib.parse import urlsplit

from mesh.protocol.errors import ErrorCode, MeshError

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
"""Where, and under which names, nobody but this machine itself reaches a server."""


def reachable(host: str) -> str:
    """How this machine itself reaches a server that listens on `host`."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)


def broker_url(host: str, port: int, tls: bool = False) -> str:
    """A broker's URL."""
    return f"{'tls' if tls else 'nats'}://{f'[{host}]' if ':' in host else host}:{port}"


def gateway_url(host: str, port: int) -> str:
    """How this machine itself reaches a gateway that listens on `host`."""
    host = reachable(host)
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def refuse_no_address(url: str) -> None:
    """Raise MeshError (bad_request) for what is no broker's address."""
    try:
        parts = urlsplit(url if "://" in url else f"nats://{url}")
        sound = bool(parts.hostname) and parts.port != 0  # a port that is none raises
    except ValueError:
        sound = False
    if not sound:
        raise MeshError(
            ErrorCode.BAD_REQUEST,
            "Set MESH_NATS to the brokers' addresses, such as nats://192.0.2.2:4222, with commas "
            "between them: one of those it has is no address.",
        )
