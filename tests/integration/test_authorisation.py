"""Who may call what, asked of every route that the OpenAPI document lists, on a network.

So a new route is tested the day it is made; one without a rule fails here.
"""

from collections.abc import Iterator
from secrets import token_hex
from typing import Any

import httpx
import pytest

from mesh.gateway.access import rule
from mesh.protocol.keys import SCOPES
from tests.conftest import Broker
from tests.whole_mesh import Mesh

PASSWORD = "correct horse battery"
METHODS = {"get", "post", "put", "delete"}


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mesh]:
    """A mesh that goes by a name, so it serves a network."""
    broker = Broker(tmp_path_factory.mktemp("network"))
    broker.start()
    mesh = Mesh(broker, allowed_hosts="127.0.0.1")
    try:
        mesh.start("store", "gateway", "echo")
        yield mesh
    finally:
        mesh.close()
        broker.kill()


@pytest.fixture(scope="module")
def guarded(network: Mesh) -> list[tuple[str, str, str]]:
    """Every operation that needs a sign-in: method, path as documented, path as called."""
    document = httpx.get(f"{network.url}/openapi.json").json()
    return [
        (method, path, path.replace("{", "").replace("}", ""))
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
        if method in METHODS and operation["security"]
    ]


def call(network: Mesh, method: str, path: str, token: str = "") -> int:
    """The status. Reads no further: some answers have no end."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    body: Any = {"json": {}} if method in ("post", "put") else {}
    with httpx.stream(method, f"{network.url}{path}", headers=headers, timeout=30, **body) as got:
        return got.status_code


def post(network: Mesh, path: str, body: dict[str, Any], token: str = "") -> Any:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    answer = httpx.post(f"{network.url}{path}", json=body, headers=headers, timeout=30)
    return answer.raise_for_status().json()


def log_in(network: Mesh, name: str, password: str) -> str:
    pair = post(network, "/auth/login", {"username": name, "password": password})
    token: str = pair["access_token"]["access_token"]
    return token


@pytest.fixture(scope="module")
def admin(network: Mesh) -> str:
    """The admin's access token."""
    path = network.broker.data_dir / "admin-password"
    return log_in(network, "admin", path.read_text().strip())


@pytest.fixture(scope="module")
def user(network: Mesh, admin: str) -> str:
    """The access token of somebody who is only a user."""
    name = f"user-{token_hex(4)}"
    post(network, "/admin/users", {"account": name, "password": PASSWORD}, admin)
    return log_in(network, name, PASSWORD)


def test_without_a_valid_token_every_guarded_route_is_401(
    network: Mesh, guarded: list[tuple[str, str, str]]
) -> None:
    assert len(guarded) > 40
    for token in ("", "guest", "x.y.z", "sk-mesh-guessed"):
        found = {(m, path): call(network, m, at, token) for m, path, at in guarded}
        assert {where: status for where, status in found.items() if status != 401} == {}


def test_a_key_opens_no_route_beyond_its_scopes(
    network: Mesh, guarded: list[tuple[str, str, str]], admin: str
) -> None:
    keys = {
        scope: post(network, "/account/keys", {"name": scope, "scopes": [scope]}, admin)["secret"]
        for scope in SCOPES
    }
    for method, path, at in guarded:
        found = rule(path)
        assert found is not None, f"{method} {path}: add a rule to mesh/gateway/access.py"
        for scope, key in keys.items():
            if found.scope not in (None, scope):
                assert call(network, method, at, key) == 403, (method, path, scope)


def test_what_is_for_operators_and_admins_is_403_for_users(
    network: Mesh, guarded: list[tuple[str, str, str]], user: str
) -> None:
    ranked = [
        (m, path, at) for m, path, at in guarded if (found := rule(path)) and found.role != "user"
    ]
    assert ranked
    for method, path, at in ranked:
        assert call(network, method, at, user) == 403, (method, path)


def test_what_is_not_there_or_anothers_is_404(
    network: Mesh, guarded: list[tuple[str, str, str]], user: str
) -> None:
    """Ids that lead nowhere; those of others are tested where the objects are."""
    for method, path, at in guarded:
        found = rule(path)
        if method == "get" and "{" in path and found is not None and found.role == "user":
            assert call(network, method, at, user) == 404, (method, path)
