"""schemathesis: generated requests, right and wrong ones, to every route of the OpenAPI document.

No answer may be a 500, of a status or of a shape that the document does not have, or not come.
Each route is asked by a user and by an admin, whom more of them let in. CONFORMANCE_CASES: how many
requests each of the two sends to each route.
"""

import os
from collections.abc import Callable
from functools import cache
from typing import Any
from zlib import crc32

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis.checks import CheckContext
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

CLIENT, SHOWS = "schemathesis", "every route: no 500, nothing undocumented, no hang"
AS_ONE = True

BASE = os.environ.get("CONFORMANCE_URL", "http://127.0.0.1:8000")
CASES = int(os.environ.get("CONFORMANCE_CASES", "12"))
HANG = 30.0
"""Seconds of silence."""
ENDLESS = "/mesh/events"
"""A stream without an end, of which two events are enough."""

schema: Any = schemathesis.openapi.from_url(f"{BASE}/openapi.json")
schema.config.base_url = BASE


def never_falls_over(ctx: CheckContext, response: Any, case: Any) -> None:
    """Refusals for want of something (503, 504) are documented; a 500 is a fault."""
    assert response.status_code != 500, response.content[:500]


CHECKS: list[Callable[..., Any]] = [
    never_falls_over,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]


_asked: dict[str, set[str]] = {"user": set(), "admin": set()}
"""The routes that answered each of the two."""


def tried() -> dict[str, int]:
    """How many routes were asked by both, of how many there are."""
    return {"routes": len(_asked["user"] & _asked["admin"]), "of_routes": _routes()}


@cache
def _routes() -> int:
    return len(list(schema.get_all_operations()))


RUN = settings(
    max_examples=CASES,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)


def sign_in(name: str) -> dict[str, Any]:
    """Tokens of a user of a name, who is made at the first time."""
    login = requests.get(f"{BASE}/auth/callback/debug", params={"code": name}, timeout=HANG)
    found: dict[str, Any] = login.json()
    return found


def signed(tokens: dict[str, Any]) -> dict[str, str]:
    return {"Authorization": f"Bearer {tokens['access_token']['access_token']}"}


@pytest.fixture(scope="module")
def first_admin() -> dict[str, str]:
    """The mesh's own admin."""
    body = {"username": "admin", "password": os.environ["CONFORMANCE_ADMIN"]}
    return signed(requests.post(f"{BASE}/auth/login", json=body, timeout=HANG).json())


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    """Of each route's own users: some routes end a session, or delete the account."""
    return f"schemathesis{crc32(request.node.name.encode())}"


@pytest.fixture
def user(name: str) -> dict[str, str]:
    return signed(sign_in(name))


@pytest.fixture
def admin(name: str, first_admin: dict[str, str]) -> dict[str, str]:
    me = requests.get(f"{BASE}/account", headers=signed(sign_in(name)), timeout=HANG).json()
    role = f"{BASE}/admin/users/{me['id']}/role"
    made = requests.put(role, json={"role": "admin"}, headers=first_admin, timeout=HANG)
    made.raise_for_status()
    return signed(sign_in(name))


def send(case: Any, headers: dict[str, str], who: str) -> None:
    """Send a generated request, and look at what comes."""
    schema.config.max_stream_events = 2 if case.operation.path == ENDLESS else None
    response = case.call(headers=headers, timeout=HANG, allow_redirects=False)
    case.validate_response(response, checks=CHECKS)
    _asked[who].add(case.operation.label)


@schema.parametrize()  # type: ignore[untyped-decorator]
@RUN
def test_a_route(case: Any, user: dict[str, str]) -> None:
    send(case, user, "user")


@schema.parametrize()  # type: ignore[untyped-decorator]
@RUN
def test_a_route_for_admins(case: Any, admin: dict[str, str]) -> None:
    send(case, admin, "admin")
