"""What is anybody's is nobody else's: ids of real objects, asked for with another's token.

Of every operation that the OpenAPI document lists with an id in its path; 404, as if there were no
such thing, and never 403, which would say that there is.
"""

import re
from collections.abc import Iterator, Mapping
from itertools import product
from secrets import token_hex
from typing import Any

import httpx
import pytest

from mesh.protocol.accounts import Role
from tests.network import PARAMETER, Join, call, ordered
from tests.network import admin as admin
from tests.network import document as document
from tests.network import guarded as guarded
from tests.network import join as join
from tests.network import network as network
from tests.network import sign_in as sign_in
from tests.owned import Person, body_of, filled, owner_of_all
from tests.permissions import Rule
from tests.whole_mesh import Mesh

ID = re.compile(r"[0-9a-f]{32}")
SECRET = re.compile(r"[\w-]{43}")
RANKS: tuple[Role, ...] = ("user", "operator", "admin")


@pytest.mark.parametrize("role", RANKS)
def test_what_is_anothers_is_404_for_everybody_else(
    guarded: Mapping[str, Rule], join: Join, role: Role
) -> None:
    """With real ids, and a path of several also with one's own among them."""
    owner, other = owner_of_all(join("user")), owner_of_all(join(role))
    asked = 0
    for operation, rule in guarded.items():
        allowed = rule.above is not None and RANKS.index(role) >= RANKS.index(rule.above)
        if rule.role == "user" and rule.ids and rule.owned and not allowed:
            for path in foreign(rule, owner, other):
                ids = [each.ids[kind] for each, kind in path]
                status = call(other.http, operation, *ids, body=body_of(operation, owner))
                told = [(kind, each is owner) for each, kind in path]
                assert status == 404, (operation, status, told)
                asked += 1
    assert asked > 50
    for operation, rule in guarded.items():
        if operation.startswith("GET ") and rule.role == "user" and rule.ids and rule.owned:
            ids = [owner.ids[kind] for kind in rule.ids]
            assert call(owner.http, operation, *ids) < 300, f"{operation}: it was touched"


def test_a_guest_on_loopback_finds_nothing_of_anybodys(
    guarded: Mapping[str, Rule], mesh: Mesh
) -> None:
    signed_in = httpx.get(
        f"{mesh.url}/auth/callback/debug", params={"code": "not-a-guest"}, timeout=60
    ).json()
    headers = {"Authorization": f"Bearer {signed_in['access_token']['access_token']}"}
    with (
        httpx.Client(base_url=mesh.url, timeout=60, headers=headers) as http,
        httpx.Client(base_url=mesh.url, timeout=60) as guest,
    ):
        owner = owner_of_all(http)
        for operation, rule in guarded.items():
            if rule.asks and rule.ids and rule.owned:
                ids = [owner.ids[kind] for kind in rule.ids]
                status = call(guest, operation, *ids, body=body_of(operation, owner))
                assert status == 404, (operation, status)


def foreign(rule: Rule, owner: Person, other: Person) -> Iterator[list[tuple[Person, str]]]:
    """Whose each id of a path may be, and of what kind, with something of the owner's in it.

    Where an answer is wanted, a question of the owner's is not there either.
    """
    for kinds in {rule.ids, tuple("question" if each == "answer" else each for each in rule.ids)}:
        for whose in product((owner, other), repeat=len(kinds)):
            path = list(zip(whose, kinds, strict=True))
            if any(each is owner and kind != "anybody" for each, kind in path):
                yield path


def test_what_is_ones_own_is_there(guarded: Mapping[str, Rule], join: Join) -> None:
    """So that the ids above are real, and the bodies valid enough to be looked at."""
    owner = owner_of_all(join("user"))
    for operation in ordered(guarded):
        rule = guarded[operation]
        if rule.role == "user" and rule.ids and rule.owned:
            ids, body = [owner.ids[kind] for kind in rule.ids], body_of(operation, owner)
            status = call(owner.http, operation, *ids, body=body)
            assert status not in (401, 403, 404, 500), (operation, status)


FOREIGN = {
    "a question under another's answer": (
        "POST /chats/{chat_id}/messages",
        {"content": "x", "parent_id": "$answer"},
    ),
    "an answer to another's question": (
        "POST /chats/{chat_id}/assistant_message",
        {"parent_id": "$question"},
    ),
    "drafts for another's question": (
        "POST /chats/{chat_id}/drafts",
        {"parent_id": "$question", "n": 1},
    ),
    "a run by another's assistant": (
        "POST /v1/threads/{thread_id}/runs",
        {"assistant_id": "$assistant"},
    ),
    "a message in another's assistant's name": (
        "POST /v1/threads/{thread_id}/messages",
        {"content": "x", "role": "assistant", "assistant_id": "$assistant"},
    ),
    "a message in another's thread": (
        "POST /v1/messages",
        {"content": "x", "thread_id": "$thread"},
    ),
    "a run on another's thread": (
        "POST /v1/runs",
        {"thread_id": "$thread", "assistant_id": "$assistant"},
    ),
    "what follows another's response": (
        "POST /v1/responses",
        {"model": "echo", "input": "x", "previous_response_id": "$response"},
    ),
}
"""What names another's object in its body, and one's own in its path."""


def test_what_is_anothers_is_as_if_it_were_not_there_in_a_body_too(
    guarded: Mapping[str, Rule], join: Join
) -> None:
    owner, other = owner_of_all(join("user")), owner_of_all(join("user"))
    nobody = Person(owner.http, {kind: nowhere(name) for kind, name in owner.ids.items()})
    for what, (operation, said) in FOREIGN.items():
        ids = [other.ids[kind] for kind in guarded[operation].ids]
        told = [refusal(other.http, operation, ids, filled(said, each)) for each in (owner, nobody)]
        assert told[0] == told[1], what


def nowhere(name: str) -> str:
    """An id of the same form that leads nowhere."""
    return ID.sub(lambda _: token_hex(16), name)


def refusal(http: httpx.Client, operation: str, ids: list[str], body: Any) -> tuple[int, str]:
    """The status and the sentences, without the ids in them."""
    method, path = operation.split(" ")
    given = iter(ids)
    response = http.request(method, PARAMETER.sub(lambda _: next(given), path), json=body)
    assert response.status_code in (400, 404), (operation, response.text)
    found = response.json()
    found.pop("request_id", None)
    return response.status_code, ID.sub("ID", str(found))


def test_no_id_is_to_be_guessed(join: Join) -> None:
    """Each has 128 random bits in it, or is a link's secret of 256; a name is a name."""
    owner = owner_of_all(join("user"))
    ids = {kind: name for kind, name in owner.ids.items() if kind not in ("tool_name", "call")}
    assert all(ID.search(name) or SECRET.fullmatch(name) for name in ids.values()), ids
