"""The Python client and `mesh ask` at a gateway that lets nobody in without an account."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from mesh_client import Client, MemoryStore, NotSignedIn
from tests.sitting import Sitting, idle
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


def test_mesh_chat_asks_for_the_password_once(network: Mesh, tmp_path: Path) -> None:
    own = {name: str(tmp_path) for name in ("HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME")}
    command = [sys.executable, "-m", "mesh", "chat", "--url", network.url, "--user", "admin"]
    environment = {"PATH": os.environ["PATH"], "PYTHONUTF8": "1"} | own
    first = Sitting(command, environment, columns=100)
    try:
        first.wait_for(f"Password of admin at {network.url}")
        first.send(password_of(network))
        text = first.wait(idle)
        assert password_of(network) not in text
        first.say("hello")
        first.leave()
        second = Sitting(command, environment, columns=100)
        second.wait(idle)
        assert "Password" not in second.text()
        second.close()
    finally:
        first.close()


def test_mesh_chat_with_a_wrong_password_says_so(network: Mesh, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mesh", "chat", "--url", network.url, "--user", "admin"]
    environment = {"PATH": os.environ["PATH"], "XDG_CONFIG_HOME": str(tmp_path)}
    sitting = Sitting(command, environment, columns=100)
    try:
        sitting.wait_for("Password of admin")
        sitting.send("wrong")
        assert sitting.exit_status() != 0
        assert "password" in sitting.text().partition("Password of admin")[2]
        assert "Traceback" not in sitting.text()
    finally:
        sitting.close()
