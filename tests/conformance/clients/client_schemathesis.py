"""schemathesis: generated requests, right and wrong ones, to every route of the OpenAPI document.

No answer may be a 500, of a status or of a shape that the document does not have, or not come.
CONFORMANCE_CASES: how many requests to each route.
"""

import os
from collections.abc import Callable
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
CASES = int(os.environ.get("CONFORMANCE_CASES", "5"))
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


@pytest.fixture
def signed_in(request: pytest.FixtureRequest) -> dict[str, str]:
    """A user of each route's own: some of them end a session, or delete the account."""
    code = f"schemathesis{crc32(request.node.name.encode())}"
    login = requests.get(f"{BASE}/auth/callback/debug", params={"code": code}, timeout=HANG)
    return {"Authorization": f"Bearer {login.json()['access_token']['access_token']}"}


@schema.parametrize()  # type: ignore[untyped-decorator]
@settings(
    max_examples=CASES,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def test_a_route(case: Any, signed_in: dict[str, str]) -> None:
    schema.config.max_stream_events = 2 if case.operation.path == ENDLESS else None
    response = case.call(headers=signed_in, timeout=HANG, allow_redirects=False)
    case.validate_response(response, checks=CHECKS)
