"""The Python client and `mesh ask` at a gateway that lets nobody in without an account."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from mesh_client import Client, MemoryStore, NotSignedIn
from tests.whole_mesh import ECHO, Mesh


@pytest.fixture
def network(new_mesh: Callable[..., Mesh]) -> Mesh:
    """A mesh on a network, as far as it knows."""
    mesh = new_mesh(allowed_hosts="127.0.0.1", refresh_leeway=0.0)
    mesh.start("store", "gateway", ECHO)
    return mesh


def password_of(mesh: Mesh) -> str:
    return (mesh.broker.data_dir / "admin-password").read_text().strip()


def key_of(mesh: Mesh) -> str:
    """A key of the admin's."""
    with httpx.Client(base_url=mesh.url) as http:
        body = {"username": "admin", "password": password_of(mesh)}
        pair = http.post("/auth/login", json=body).raise_for_status().json()
        http.headers["Authorization"] = f"Bearer {pair['access_token']['access_token']}"
        secret: str = http.post("/account/keys", json={"name": "test"}).json()["secret"]
    return secret


def test_a_name_and_a_password_sign_in(network: Mesh) -> None:
    with Client(network.url, store=MemoryStore()) as client:
        with pytest.raises(NotSignedIn):
            client.user()
        with pytest.raises(NotSignedIn):
            client.login("admin", "wrong")
        client.login("admin", password_of(network))
        assert client.new_chat().ask("hello").wait().content == "hello"


def test_a_key_stands_for_signing_in(network: Mesh) -> None:
    with Client(network.url, token=key_of(network), store=MemoryStore()) as client:
        assert client.new_chat().ask("hello").wait().content == "hello"
    with Client(network.url, token="sk-mesh-wrong", store=MemoryStore()) as client:
        with pytest.raises(NotSignedIn):
            client.user()


def test_mesh_ask_uses_the_key_of_the_environment(network: Mesh, tmp_path: Path) -> None:
    own = {"XDG_CONFIG_HOME": str(tmp_path / "own"), "MESH_URL": network.url}
    command = [sys.executable, "-m", "mesh", "ask", "hello"]
    without = subprocess.run(command, env=os.environ | own, capture_output=True, text=True)
    assert without.returncode != 0 and without.stdout == ""
    own["MESH_TOKEN"] = key_of(network)
    done = subprocess.run(command, env=os.environ | own, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "hello\n"), done.stderr
    assert not (tmp_path / "own").exists(), "a key is kept nowhere"
