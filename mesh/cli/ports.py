"""Whether the ports of a mesh are free, found out before anything is started."""

import errno
import socket

from mesh.protocol.errors import ErrorCode, MeshError
from mesh.settings import UpSettings, env_name


def check_free(settings: UpSettings) -> None:
    """Raise MeshError, naming the setting to change, unless both servers could listen.

    Each on its own: that one port serves both on two addresses is not worth the trouble.
    """
    if settings.port == settings.nats_port:
        raise MeshError(
            ErrorCode.CONFLICT,
            f"Gateway and broker cannot both listen on port {settings.port}: choose another port "
            "with --port or MESH_PORT, or with --nats-port or MESH_NATS_PORT.",
        )
    check_port("gateway", settings.host, settings.port, "host", "port")
    check_port("broker", settings.nats_host, settings.nats_port, "nats_host", "nats_port")


def check_port(server: str, host: str, port: int, host_setting: str, port_setting: str) -> None:
    """Raise MeshError (conflict) if `host:port` cannot be listened on."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        raise MeshError(
            ErrorCode.CONFLICT,
            f"The {server} cannot listen on {host}:{port}, {_why(error)}: choose another "
            f"{_what(error, host_setting, port_setting)}.",
        ) from None


def free_port(host: str = "127.0.0.1") -> int:
    """A TCP port on which nobody listens now."""
    with socket.create_server((host, 0), family=_family(host)) as server:
        port: int = server.getsockname()[1]
    return port


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def _why(error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return "another program does already"
    return (error.strerror or str(error)).lower()


def _what(error: OSError, host_setting: str, port_setting: str) -> str:
    ports = error.errno in (errno.EADDRINUSE, errno.EACCES)
    setting = port_setting if ports else host_setting
    noun = "port" if ports else "address"
    return f"{noun} with --{setting.replace('_', '-')} or {env_name(setting)}"
