"""Who may call what, asked of every operation that the OpenAPI document lists, on a network.

So a new one is tested the day it is made: without a rule of its own in `tests/permissions.py`, or
with an id of which `tests/owned.py` makes none, it fails here.
"""

from collections.abc import Mapping
from contextlib import nullcontext
from typing import Any

import httpx
import msgspec
import pytest

from mesh.gateway.errors import status_of
from mesh.gateway.refusals import kind_of
from mesh.protocol.accounts import Role
from mesh.protocol.errors import ErrorCode
from mesh.protocol.keys import SCOPES
from mesh.worker.app import Drained
from tests.network import PARAMETER, Join, asked, call, ordered
from tests.network import admin as admin
from tests.network import document as document
from tests.network import guarded as guarded
from tests.network import join as join
from tests.network import network as network
from tests.network import sign_in as sign_in
from tests.owned import BODIES, body_of, owner_of_all
from tests.permissions import GUESTS, RULES, Rule
from tests.whole_mesh import SINGLE, Mesh


def test_every_operation_has_a_rule_of_its_own(document: Mapping[str, bool]) -> None:
    """And every rule an operation, that is guarded exactly if the rule says so."""
    assert {name: rule.needs is not None for name, rule in RULES.items()} == document


def test_every_id_in_a_path_is_of_a_kind(guarded: Mapping[str, Rule]) -> None:
    for operation, rule in guarded.items():
        assert len(PARAMETER.findall(operation)) == len(rule.ids), operation


OF_GUESTS = (ErrorCode.NOT_AUTHENTICATED, ErrorCode.FORBIDDEN)


def refused(operation: str, code: ErrorCode) -> int:
    """The status of a refusal."""
    return status_of(code, kind_of(operation.partition(" ")[2]))


@pytest.mark.parametrize("token", ["", "guest", "x.y.z", "sk-mesh-guessed"])
def test_without_a_valid_token_every_guarded_operation_is_refused(
    network: Mesh, guarded: Mapping[str, Rule], token: str
) -> None:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    with httpx.Client(base_url=network.url, timeout=30, headers=headers) as nobody:
        found = {operation: call(nobody, operation) for operation in guarded}
    code = ErrorCode.INVALID_TOKEN if token else ErrorCode.NOT_AUTHENTICATED
    assert found == {where: refused(where, code) for where in guarded}


def test_a_guest_on_loopback_may_ask_and_no_more(guarded: Mapping[str, Rule], mesh: Mesh) -> None:
    with httpx.Client(base_url=mesh.url, timeout=30) as guest:
        for operation, rule in guarded.items():
            with asked(guest, operation, body=BODIES.get(operation)) as response:
                if rule.asks or operation in GUESTS:
                    assert response.status_code not in (401, 403), operation
                    continue
                body = msgspec.json.decode(response.read(), type=dict[str, Any])
            code = ErrorCode(body.get("error", body)["code"])
            assert code in (OF_GUESTS[:1] if rule.role == "user" else OF_GUESTS), operation
            assert response.status_code == refused(operation, code), operation


def test_a_key_opens_nothing_beyond_its_scopes(
    network: Mesh, guarded: Mapping[str, Rule], admin: httpx.Client
) -> None:
    for scope in SCOPES:
        made = admin.post("/account/keys", json={"name": scope, "scopes": [scope]})
        headers = {"Authorization": f"Bearer {made.raise_for_status().json()['secret']}"}
        with httpx.Client(base_url=network.url, timeout=30, headers=headers) as key:
            for operation, rule in guarded.items():
                if not (rule.needs or frozenset()) <= {scope}:
                    assert call(key, operation) == 403, (operation, scope)


def test_a_key_with_every_scope_but_one_opens_nothing_that_takes_that_one(
    network: Mesh, guarded: Mapping[str, Rule], admin: httpx.Client
) -> None:
    """Be it an admin's: so what is below `/admin` is closed to a key without the scope `admin`,
    and the admin's own account to one without `account`."""
    assert all(
        "admin" in (rule.needs or ()) for name, rule in guarded.items() if " /admin/" in name
    )
    me: str = admin.get("/auth/check").raise_for_status().json()
    for lacking in SCOPES:
        scopes = [scope for scope in SCOPES if scope != lacking]
        made = admin.post("/account/keys", json={"name": "most", "scopes": scopes})
        headers = {"Authorization": f"Bearer {made.raise_for_status().json()['secret']}"}
        with httpx.Client(base_url=network.url, timeout=30, headers=headers) as key:
            for operation, rule in guarded.items():
                if lacking in (rule.needs or ()):
                    ids = [me if kind == "user" else kind for kind in rule.ids]
                    assert call(key, operation, *ids) == 403, (operation, lacking)


@pytest.mark.parametrize("role", ["user", "operator"])
def test_what_is_for_operators_and_admins_is_403_for_others(
    guarded: Mapping[str, Rule], join: Join, role: Role
) -> None:
    """Whatever the ids: who may not ask does not hear what is there."""
    too_low = {"user": ("operator", "admin"), "operator": ("admin",)}[role]
    owner, other = owner_of_all(join("user")), join(role)
    owner.ids["worker"] = SINGLE
    ranked = {operation: rule for operation, rule in guarded.items() if rule.role in too_low}
    assert ranked
    for operation, rule in ranked.items():
        ids, body = [owner.ids[kind] for kind in rule.ids], body_of(operation, owner)
        assert call(other, operation, *ids, body=body) == 403, operation
        assert call(other, operation) == 403, operation


@pytest.mark.parametrize("role", ["operator", "admin"])
def test_who_has_the_role_is_let_in(
    network: Mesh, guarded: Mapping[str, Rule], join: Join, role: Role
) -> None:
    """Somebody is there to be ordered about, and a worker to be sent away."""
    network.start(SINGLE)
    owner, boss = owner_of_all(join("user")), join(role)
    owner.ids["worker"] = SINGLE
    for operation in ordered(guarded):
        rule = guarded[operation]
        if rule.role == role:
            ids, body = [owner.ids[kind] for kind in rule.ids], body_of(operation, owner)
            status = call(boss, operation, *ids, body=body)
            assert status not in (401, 403, 404, 500), (operation, status)
    with pytest.raises(Drained) if role == "operator" else nullcontext():
        network.stop(SINGLE)
