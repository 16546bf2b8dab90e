"""An identity provider in a process of its own, and the settings of a mesh that believes it."""

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.conftest import free_port
from tests.fleet import wait_until
from tests.identity_server import CLIENT_ID, CLIENT_SECRET


def sites(issuer: str) -> dict[str, Any]:
    """The settings of a mesh whose every site is this one."""
    settings: dict[str, Any] = {
        "oidc_issuer": issuer,
        "github_url": issuer,
        "discord_url": issuer,
        "allowed_hosts": "127.0.0.1",
    }
    for site in ("oidc", "github", "discord"):
        settings |= {f"{site}_client_id": CLIENT_ID, f"{site}_client_secret": CLIENT_SECRET}
    return settings


def answers(url: str) -> bool:
    """Whether a server is there."""
    try:
        return httpx.get(url, timeout=5).status_code == 200
    except httpx.TransportError:
        return False


@pytest.fixture(scope="module")
def issuer() -> Iterator[str]:
    """The address of a running identity provider."""
    port = free_port()
    process = subprocess.Popen([sys.executable, "-m", "tests.identity_server", str(port)])
    url = f"http://127.0.0.1:{port}"
    try:
        wait_until("the provider answers", lambda: answers(f"{url}/jwks"))
        yield url
    finally:
        process.kill()
        process.wait()
