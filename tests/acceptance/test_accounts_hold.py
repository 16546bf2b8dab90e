"""Accounts on a mesh of real processes, from its first start on, by its operator's commands."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.conftest import free_port
from tests.fleet import Fleet, fleet, wait_until

PASSWORD = "correct horse battery"


@pytest.fixture
def network(tmp_path: Path) -> Iterator[Fleet]:
    """Broker, gateway, store and a worker; the gateway goes by a name, so it serves a network."""
    with fleet(tmp_path) as found:
        found.gateway("--allowed-hosts", "127.0.0.1")
        found.store()
        found.worker("w1")
        yield found


def mesh(network: Fleet, *words: str, typed: str = "") -> str:
    """What a command prints that has to succeed. typed: its stdin."""
    found = subprocess.run(
        [sys.executable, "-m", "mesh", *words],
        env=network.environment,
        input=typed,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert found.returncode == 0, found.stderr
    return found.stdout


def add(network: Fleet, name: str, *flags: str) -> None:
    mesh(network, "user", "add", name, "--password-stdin", *flags, typed=f"{PASSWORD}\n")


def log_in(network: Fleet, name: str, password: str = PASSWORD) -> httpx.Response:
    body = {"username": name, "password": password}
    return httpx.post(f"{network.url}/auth/login", json=body, timeout=30)


def with_key(network: Fleet, key: str, path: str = "/v1/models") -> int:
    headers = {"Authorization": f"Bearer {key}"}
    return httpx.get(f"{network.url}{path}", headers=headers, timeout=30).status_code


def test_the_first_admin_gets_in_by_the_file_and_changes_the_password(network: Fleet) -> None:
    path = network.broker.data_dir / "admin-password"
    assert log_in(network, "admin", path.read_text().strip()).status_code == 200
    assert str(path) in network.log("store")
    mesh(network, "user", "passwd", "admin", "--password-stdin", typed=f"{PASSWORD}\n")
    assert not path.exists()
    assert log_in(network, "admin").status_code == 200
    network.stop("store")
    network.store()
    assert not path.exists(), "only the first start makes an admin"


def test_a_network_is_served_to_accounts_only_and_the_gateway_says_so(network: Fleet) -> None:
    assert "nobody gets in without an account" in network.log("gateway")
    for path in ("/chats", "/workers", "/auth/check"):
        assert httpx.get(f"{network.url}{path}", timeout=30).status_code == 403
    assert httpx.get(f"{network.url}/v1/models", timeout=30).status_code == 401
    guest = {"Authorization": "Bearer guest"}
    assert httpx.get(f"{network.url}/v1/models", headers=guest, timeout=30).status_code == 401
    question = {"question": "Hello", "client_id": "c", "user_id": "u", "stream": False}
    for headers, status in (({}, 400), (guest, 403)):
        told = httpx.post(f"{network.url}/v1/ask", json=question, headers=headers, timeout=30)
        assert (told.status_code, list(told.json())) == (status, ["msg"])


def test_people_come_change_and_go_by_command(network: Fleet) -> None:
    add(network, "ada", "--role", "operator")
    refused = network.run("user", "add", "ada")
    assert refused.returncode == 78 and "--password-stdin" in refused.stderr
    listed = json.loads(mesh(network, "user", "list", "--json"))["users"]
    roles = {each["user"]["account"]: each["user"].get("role", "user") for each in listed}
    assert roles == {"admin": "admin", "ada": "operator"}
    assert "ada" in mesh(network, "user", "list")
    assert log_in(network, "ada").status_code == 200
    mesh(network, "user", "role", "ada", "user")
    mesh(network, "user", "remove", "ada", "--yes")
    assert log_in(network, "ada").status_code == 401
    nobody = network.run("user", "role", "ada", "admin")
    assert nobody.returncode == 78 and "mesh user list" in nobody.stderr
    last = network.run("user", "remove", "admin", "--yes")
    assert last.returncode == 78 and "only admin" in last.stderr


def test_a_key_is_made_used_listed_and_revoked_by_command(network: Fleet) -> None:
    add(network, "ada")
    key = mesh(network, "key", "create", "ada", "--name", "laptop", "--scope", "ask").strip()
    assert key.startswith("sk-mesh-")
    assert (with_key(network, key), with_key(network, key, "/chats")) == (200, 403)
    listed = mesh(network, "key", "list", "ada", "--json")
    (row,) = json.loads(listed)["keys"]
    assert (row["owner"], row["key"]["name"]) == ("ada", "laptop")
    assert key not in listed and "laptop" in mesh(network, "key", "list")
    mesh(network, "key", "revoke", row["key"]["id"])
    assert with_key(network, key) == 401
    assert json.loads(mesh(network, "key", "list", "--json"))["keys"] == []


def test_keys_hold_through_kills_of_gateway_and_store(network: Fleet) -> None:
    add(network, "ada")
    key = mesh(network, "key", "create", "ada").strip()
    gone = json.loads(mesh(network, "key", "create", "ada", "--json"))
    mesh(network, "key", "revoke", gone["key"]["id"])
    network.kill("store")
    network.kill("gateway")
    network.gateway("--allowed-hosts", "127.0.0.1")
    assert with_key(network, key) == 200
    assert with_key(network, gone["secret"]) == 401


def test_what_one_gateway_revokes_all_others_refuse(network: Fleet) -> None:
    add(network, "ada")
    port = free_port()
    words = ("gateway", "--gateway-name", "gw2", "--port", str(port))
    second = network.spawn(*words, "--allowed-hosts", "127.0.0.1")
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as other:
            wait_until("the second gateway answers", lambda: is_up(other))
            pair = log_in(network, "ada").json()
            other.headers["Authorization"] = f"Bearer {pair['access_token']['access_token']}"
            key = other.post("/account/keys", json={"name": "n"}).raise_for_status().json()
            assert with_key(network, key["secret"]) == 200
            other.delete(f"/account/keys/{key['key']['id']}").raise_for_status()
            assert with_key(network, key["secret"]) == 401
            assert other.get("/chats").status_code == 200
            mine = {"Authorization": other.headers["Authorization"]}
            again = log_in(network, "ada").json()
            out = {"Authorization": f"Bearer {again['access_token']['access_token']}"}
            assert other.get("/chats", headers=out).status_code == 200
            refresh = {"Refresh": again["refresh_token"]["access_token"]}
            httpx.post(f"{network.url}/auth/logout", headers=refresh, timeout=60).raise_for_status()
            assert other.get("/chats", headers=out).status_code == 401
            assert other.get("/chats").status_code == 200
            httpx.delete(f"{network.url}/auth/sessions", headers=mine, timeout=30)
            assert other.get("/chats").status_code == 401
            network.kill("store")
            assert other.get("/v1/models", headers=out).status_code == 401
    finally:
        second.terminate()
        second.communicate(timeout=30)


def is_up(gateway: httpx.Client) -> bool:
    try:
        return gateway.get("/v1/health").status_code == 200
    except httpx.TransportError:
        return False
