"""A mesh that serves a network, its people by role, and every operation of it with its rule.

A file whose tests ask all of them takes the fixtures into its own namespace.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from secrets import token_hex
from typing import Any

import httpx
import pytest

from mesh.protocol.accounts import Role
from tests.conftest import Broker
from tests.owned import METHODS, QUERIES
from tests.permissions import RULES, Rule
from tests.whole_mesh import Mesh

PASSWORD = "correct horse battery"
PARAMETER = re.compile(r"\{(\w+)\}")

Join = Callable[[Role], httpx.Client]


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
def document(network: Mesh) -> dict[str, bool]:
    """Every operation, such as `GET /chats`, and whether it needs a sign-in."""
    found = httpx.get(f"{network.url}/openapi.json", timeout=60).json()
    return {
        f"{method.upper()} {path}": bool(operation["security"])
        for path, operations in found["paths"].items()
        for method, operation in operations.items()
    }


@pytest.fixture(scope="module")
def guarded(document: Mapping[str, bool]) -> dict[str, Rule]:
    """The rules of those that need one."""
    return {operation: RULES[operation] for operation, needs in document.items() if needs}


@pytest.fixture(scope="module")
def sign_in(network: Mesh) -> Iterator[Callable[[str, str], httpx.Client]]:
    """Signs somebody in by name and password."""
    clients: list[httpx.Client] = []

    def make(name: str, password: str) -> httpx.Client:
        http = httpx.Client(base_url=network.url, timeout=60)
        clients.append(http)
        pair = http.post("/auth/login", json={"username": name, "password": password})
        token = pair.raise_for_status().json()["access_token"]["access_token"]
        http.headers["Authorization"] = f"Bearer {token}"
        return http

    yield make
    for http in clients:
        http.close()


@pytest.fixture(scope="module")
def admin(network: Mesh, sign_in: Callable[[str, str], httpx.Client]) -> httpx.Client:
    """Signed in as the admin."""
    path = network.broker.data_dir / "admin-password"
    return sign_in("admin", path.read_text().strip())


@pytest.fixture(scope="module")
def join(admin: httpx.Client, sign_in: Callable[[str, str], httpx.Client]) -> Join:
    """Makes an account of a role, and signs it in."""

    def make(role: Role) -> httpx.Client:
        name = f"{role}-{token_hex(4)}"
        account = {"account": name, "password": PASSWORD, "role": role}
        admin.post("/admin/users", json=account).raise_for_status()
        return sign_in(name, PASSWORD)

    return make


@contextmanager
def asked(
    http: httpx.Client, operation: str, *ids: str, body: Any = None
) -> Iterator[httpx.Response]:
    """What is answered, not read yet: some answers have no end. ids: for those in the path."""
    method, path = operation.split(" ")
    given = iter(ids)
    where = PARAMETER.sub(lambda found: next(given, found[1]), path)
    sent = (body or {}) if method in ("POST", "PUT") else None
    with http.stream(method, where, params=QUERIES.get(operation), json=sent) as response:
        yield response


def call(http: httpx.Client, operation: str, *ids: str, body: Any = None) -> int:
    """The status."""
    with asked(http, operation, *ids, body=body) as response:
        return response.status_code


def ordered(guarded: Mapping[str, Rule]) -> list[str]:
    """What is deleted last, and what is in it before it; oneself at the very end."""

    def place(operation: str) -> tuple[int, bool, int]:
        method, path = operation.split(" ")
        return METHODS[method], guarded[operation].ids == ("user",), -path.count("/")

    return sorted(guarded, key=place)
