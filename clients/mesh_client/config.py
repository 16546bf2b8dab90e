"""Where the gateway is and who asks: read from the environment once, at the top of a program."""

import getpass
import os
from collections.abc import Mapping
from ipaddress import ip_address
from typing import NamedTuple
from urllib.parse import urlsplit

import httpx

from mesh_client.errors import BadAddress

DEFAULT_PORT = 8000
DEFAULT_URL = f"http://127.0.0.1:{DEFAULT_PORT}"

IDLE_TIMEOUT = 40.0
"""Seconds of silence after which a stream counts as lost: more than two keep-alives of 15 s."""


class Surroundings(NamedTuple):
    """What the environment says: the gateway's address, the user's name, and a token to use instead
    of signing in ("": says nothing)."""

    url: str
    username: str
    token: str


def surroundings(url: str = "", env: Mapping[str, str] | None = None) -> Surroundings:
    """MESH_URL (else loopback, with MESH_PORT if that is set), MESH_USER and MESH_TOKEN.

    url: what somebody gave as the address; then the environment is not asked for it. Raises
    BadAddress, which names the variable where one is to blame.
    """
    env = os.environ if env is None else env
    username, token = env.get("MESH_USER", ""), env.get("MESH_TOKEN", "")
    return Surroundings(url=clean_url(url) if url else _url(env), username=username, token=token)


def _url(env: Mapping[str, str]) -> str:
    if url := env.get("MESH_URL"):
        return clean_url(url, "MESH_URL")
    port = env.get("MESH_PORT") or str(DEFAULT_PORT)
    if not (len(port) <= 5 and port.isascii() and port.isdigit() and 0 < int(port) < 65536):
        raise BadAddress(port, "MESH_PORT")
    return f"http://127.0.0.1:{port}"


def system_user() -> str:
    """The name of the system's user, or `user` where it has none (a container's bare uid)."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "user"


def clean_url(url: str, variable: str = "") -> str:
    """The address without a slash at its end, so that one gateway has one name.

    variable: where in the environment it stood. Raises BadAddress when it is not an http or https
    address, with a host and a port to connect to.
    """
    try:
        parts = urlsplit(url)
        fits = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        httpx.URL(url).raw_host.decode().encode("idna")  # as httpx, and then the system, read it
    except (ValueError, httpx.InvalidURL) as error:
        raise BadAddress(url, variable) from error
    if not fits:
        raise BadAddress(url, variable)
    return url.rstrip("/")


def timeouts(connect: float, reply: float) -> httpx.Timeout:
    """For calls: seconds to connect, and to wait for the next bytes."""
    return httpx.Timeout(reply, connect=connect)


def uses_proxy(url: str) -> bool:
    """Whether the environment's proxy applies: never for this machine itself."""
    host = urlsplit(url).hostname or ""
    try:
        return not ip_address(host).is_loopback
    except ValueError:
        return host != "localhost"
