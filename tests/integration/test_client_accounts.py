"""The Python client and `mesh ask` at a gateway that lets nobody in without an account."""

import json
import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from mesh_client import Client, MemoryStore, NotSignedIn, notebook
from tests.sitting import CTRL_C, Sitting, idle
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
    with httpx.Client(base_url=mesh.url, timeout=60) as http:
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


# --- mesh login, mesh logout ------------------------------------------------------------------


@pytest.fixture
def surroundings(network: Mesh, tmp_path: Path) -> dict[str, str]:
    """What a command finds around it: a home of its own, and the gateway's address."""
    own = {name: str(tmp_path) for name in ("HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME")}
    return own | {"PATH": os.environ["PATH"], "PYTHONUTF8": "1", "MESH_URL": network.url}


def mesh_command(
    surroundings: dict[str, str], *words: str, stdin: str = ""
) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "mesh", *words]
    return subprocess.run(command, env=surroundings, input=stdin, capture_output=True, text=True)


def test_mesh_login_is_kept_for_all_commands_until_mesh_logout(
    network: Mesh, surroundings: dict[str, str], tmp_path: Path
) -> None:
    without = mesh_command(surroundings, "ask", "hello")
    assert without.returncode == 2 and "run `mesh login`, or set MESH_TOKEN" in without.stderr
    password = password_of(network)
    done = mesh_command(surroundings, "login", "admin", "--password-stdin", stdin=f"{password}\n")
    assert (done.returncode, done.stdout) == (0, f"admin is signed in at {network.url}.\n")
    kept = tmp_path / "mesh" / "credentials.json"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600 and password not in kept.read_text()
    assert mesh_command(surroundings, "ask", "hello").stdout == "hello\n"
    tokens = json.loads(kept.read_text())[network.url]
    left = mesh_command(surroundings, "logout", "--json")
    assert json.loads(left.stdout) == {"url": network.url, "username": "admin", "ended": True}
    assert json.loads(kept.read_text()) == {}
    refresh = {"Refresh": tokens["refresh_token"]}
    assert httpx.get(f"{network.url}/auth/refresh", headers=refresh, timeout=60).status_code == 401
    assert mesh_command(surroundings, "ask", "hello").returncode == 2
    assert "Nobody was signed in" in mesh_command(surroundings, "logout").stdout


def test_mesh_login_asks_at_the_terminal_and_shows_nothing_of_it(
    network: Mesh, surroundings: dict[str, str]
) -> None:
    terminal = Sitting([sys.executable, "-m", "mesh", "login", "admin"], surroundings, columns=100)
    try:
        terminal.wait_for(f"Password of admin at {network.url}:")
        terminal.send(password_of(network))
        assert terminal.exit_status() == 0
        assert "admin is signed in" in terminal.text()
        assert password_of(network) not in terminal.text()
    finally:
        terminal.close()
    assert mesh_command(surroundings, "ask", "hello").stdout == "hello\n"


def test_mesh_login_keeps_a_key_that_the_gateway_knows(
    network: Mesh, surroundings: dict[str, str]
) -> None:
    wrong = mesh_command(surroundings | {"MESH_TOKEN": "sk-mesh-wrong"}, "login")
    assert wrong.returncode == 2 and "no such key" in wrong.stderr
    assert mesh_command(surroundings, "ask", "hello").returncode == 2
    done = mesh_command(surroundings | {"MESH_TOKEN": key_of(network)}, "login", "--json")
    found = json.loads(done.stdout)
    assert found["by"] == "key" and found["username"], "a key may not look at the name"
    assert mesh_command(surroundings, "ask", "hello").stdout == "hello\n"


def test_mesh_login_without_a_terminal_or_with_a_wrong_password_says_what_to_do(
    network: Mesh, surroundings: dict[str, str]
) -> None:
    without = mesh_command(surroundings, "login", "admin")
    assert without.returncode == 2 and "--password-stdin" in without.stderr
    empty = mesh_command(surroundings, "login", "admin", "--password-stdin")
    assert empty.returncode == 2 and "no password" in empty.stderr
    wrong = mesh_command(surroundings, "login", "admin", "--password-stdin", stdin="wrong\n")
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert "do not belong together" in wrong.stderr and "Traceback" not in wrong.stderr


def test_mesh_ask_asks_for_the_password_at_a_terminal_and_then_the_question(
    network: Mesh, surroundings: dict[str, str]
) -> None:
    command = [sys.executable, "-m", "mesh", "ask", "--user", "admin", "what I asked"]
    for password in (password_of(network), ""):  # the second time it is kept
        terminal = Sitting(command, surroundings, columns=100)
        try:
            if password:
                terminal.wait_for(f"Password of admin at {network.url}:")
                terminal.send(password)
            assert terminal.exit_status() == 0
            assert terminal.text().endswith("what I asked")
            assert password == "" or password not in terminal.text()
        finally:
            terminal.close()


def test_ctrl_c_at_the_password_leaves(network: Mesh, surroundings: dict[str, str]) -> None:
    for words in (["ask", "--user", "admin", "hello"], ["login", "admin"]):
        terminal = Sitting([sys.executable, "-m", "mesh", *words], surroundings, columns=100)
        try:
            terminal.wait_for("Password of admin")
            terminal.type(CTRL_C)
            assert terminal.exit_status() == 130
            assert "Traceback" not in terminal.text()
        finally:
            terminal.close()


def test_a_notebook_without_a_sign_in_says_how_to_get_one_and_then_goes_on(
    network: Mesh, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    for name in ("MESH_USER", "MESH_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    mesh = notebook.Mesh(network.url)
    try:
        with pytest.raises(NotSignedIn, match="run `mesh login`, or set MESH_TOKEN to a key"):
            notebook.Chat(mesh=mesh).ask("hello", show=False)
        with Client(network.url) as client:  # as `mesh login` does, elsewhere
            client.login("admin", password_of(network))
        assert notebook.Chat(mesh=mesh).ask("hello", show=False).text == "hello"
    finally:
        mesh.close()
