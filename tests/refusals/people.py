"""Who asks in these tests, and what is theirs: made once, over HTTP."""

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from secrets import token_hex
from typing import Any, get_args

import httpx

from mesh.protocol.accounts import Scope
from tests.calling import CALL, WEATHER
from tests.owned import Person, owner_of_all
from tests.whole_mesh import ECHO, Mesh

FORWARDED = {"X-Forwarded-For": "192.0.2.7"}
"""What a proxy adds: with it a gateway on loopback serves a network, and knows no guests."""


USED = "used"
"""A key that leads to an answer already."""

SCOPES: tuple[Scope, ...] = ("ask", "chats", "mesh", "account")
"""Those that everybody's keys may have."""


@dataclass(frozen=True)
class People:
    """Clients by who they are, and the ids of what is the owner's and what is somebody else's."""

    clients: Mapping[str, httpx.Client]
    owner: Person
    other: Person

    def by(self, who: str) -> httpx.Client:
        return self.clients[who]


def people_of(mesh: Mesh, stack: ExitStack) -> People:
    """Somebody who owns one of everything, somebody else who does, the admin, and keys."""

    def client(headers: Mapping[str, str] | None = None) -> httpx.Client:
        return stack.enter_context(httpx.Client(base_url=mesh.url, timeout=60, headers=headers))

    def bearer(token: str) -> httpx.Client:
        return client({"Authorization": f"Bearer {token}"})

    nobody = client()
    signed = {name: _token(nobody, name) for name in ("owner", "other")}
    pair = nobody.post("/auth/login", json={"username": "admin", "password": mesh.admin_password})
    admin = bearer(pair.raise_for_status().json()["access_token"]["access_token"])
    owner, other = (owner_of_all(bearer(signed[name])) for name in ("owner", "other"))
    clients = {"nobody": nobody, "owner": owner.http, "admin": admin}
    every: tuple[Scope, ...] = get_args(Scope)
    clients |= {f"{scope} key": bearer(_key(owner.http, scope)) for scope in SCOPES}
    clients["full key"] = bearer(_key(owner.http, *SCOPES))
    clients["admin's full key"] = bearer(_key(admin, *every))
    owner.ids.update(_more(owner.http))
    owner.ids.update(_shared(other, owner))
    owner.ids.update({f"another {kind}": id for kind, id in other.ids.items()})
    owner.ids["another tool"] = _tool(owner.http)
    said = {"model": ECHO, "messages": [{"role": "user", "content": "hello"}]}
    keyed = {"Idempotency-Key": USED}
    owner.http.post("/v1/chat/completions", json=said, headers=keyed).raise_for_status()
    owner.http.get("/next_chat_id").raise_for_status()  # once the store has read all of the log
    owner.ids["access_token"] = signed["owner"]
    owner.ids["admin_password"] = mesh.admin_password
    owner.ids["admin"] = admin.get("/account").json()["id"]
    return People(clients, owner, other)


def _token(http: httpx.Client, name: str) -> str:
    pair = http.get("/auth/callback/debug", params={"code": f"{name}-{token_hex(4)}"})
    token: str = pair.raise_for_status().json()["access_token"]["access_token"]
    return token


def _key(http: httpx.Client, *scopes: Scope) -> str:
    """A key that may be used for these alone."""
    made = http.post("/account/keys", json={"name": "a key", "scopes": scopes})
    secret: str = made.raise_for_status().json()["secret"]
    return secret


def _tool(http: httpx.Client) -> str:
    """The name of another tool."""
    name = f"tool_{token_hex(4)}"
    return str(_post(http, "/v1/tools", function={"name": name})["name"])


def _more(http: httpx.Client) -> dict[str, str]:
    """A chat and a thread in which nothing was said; and a run that was stopped as it waited."""
    run = _post(
        http, "/v1/runs", model=ECHO, messages=[{"role": "user", "content": CALL}], tools=[WEATHER]
    )
    http.get(f"/v1/runs/{run['id']}", params={"wait": 30}).raise_for_status()
    over = _post(http, f"/v1/runs/{run['id']}/cancel")
    (action,) = over["actions"]
    return {
        "empty chat": _post(http, "/chats")["id"],
        "empty thread": _post(http, "/v1/threads")["id"],
        "over run": run["id"],
        "over action": action["id"],
        "over call": action["tool_call_id"],
    }


def _shared(other: Person, owner: Person) -> dict[str, str]:
    """A thread of somebody else's with a message of theirs, and their assistant, which the owner
    may use."""
    user = owner.ids["user"]
    thread = _post(other.http, "/v1/threads", participant_ids=[user])["id"]
    message = _post(other.http, f"/v1/threads/{thread}/messages", content="hello")["id"]
    assistant = _post(other.http, "/v1/assistants", model=ECHO)["id"]
    other.http.post(f"/v1/users/{user}/assistants/{assistant}").raise_for_status()
    return {"shared thread": thread, "shared message": message, "shared assistant": assistant}


def _post(http: httpx.Client, path: str, **body: Any) -> Any:
    return http.post(path, json=body).raise_for_status().json()
