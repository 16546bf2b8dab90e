"""Workers' access to the mesh, as admins give and take it over HTTP (A27)."""

import asyncio
from collections.abc import AsyncIterator
from secrets import token_hex

import httpx
import pytest

from mesh.bus.connection import Bus
from mesh.cli import broker as process
from mesh.cli.enrol import Credential
from mesh.cli.names import name_held
from mesh.cli.registrar import Registrar
from tests.chatting import ok, refusal
from tests.integration.test_accounts import PASSWORD, add, admin, make_key, signed_in
from tests.whole_mesh import ECHO, Mesh
from tests.wire import Wire


@pytest.fixture
async def registered(mesh: Mesh) -> AsyncIterator[Mesh]:
    """The shared mesh, whose broker's folder is kept by somebody who answers."""
    broker = mesh.broker
    bus = await Bus.connect([broker.url], *broker.credentials("operator"))
    await Registrar(bus, broker.folder, [broker.url]).serve()
    yield mesh
    await bus.close()


@pytest.fixture
def attic() -> str:
    """The name of a worker that nobody else has."""
    return f"attic-{token_hex(4)}"


def accepts(mesh: Mesh, name: str, password: str) -> bool:
    credential = Credential(name, password)
    return process.accepts(mesh.broker.host, mesh.broker.port, credential)


async def enrol(http: httpx.AsyncClient, name: str) -> str:
    """The key of a worker that is let in."""
    response = await http.put("/admin/workers", json={"name": name, "trusted": False})
    made = ok(response)
    assert (made["id"], made["name"], made["trusted"], made["nats_ca"]) == (name, name, True, "")
    assert response.headers["cache-control"] == "no-store"
    key: str = made["api_key"]
    return key


async def test_a_worker_is_let_in_listed_and_put_out(registered: Mesh, attic: str) -> None:
    async with admin(registered) as http:
        key = await enrol(http, attic)
        assert accepts(registered, attic, key)
        listed = {worker["name"]: worker for worker in ok(await http.get("/admin/workers"))}
        assert listed[ECHO]["present"] and not listed[attic]["present"]
        assert {worker["api_key"] for worker in listed.values()} == {None}
        assert listed[attic]["elsewhere"] and not listed[ECHO]["elsewhere"]
        broker = registered.broker
        with Wire(broker.host, broker.port, Credential(attic, key)) as wire:
            assert wire.may_publish(f"mesh.hello.{attic}") and not wire.may_publish("m1.enrol")
            assert (await http.delete(f"/admin/workers/{attic}")).status_code == 200
            wire.wait_until_hung_up()
        assert not accepts(registered, attic, key)
        refusal(await http.delete(f"/admin/workers/{attic}"), 404, "not_found")


@pytest.mark.parametrize("said", [{}, {"trusted": True}, {"trusted": False}])
async def test_a_worker_is_trusted_whatever_is_said(
    registered: Mesh, attic: str, said: dict[str, bool]
) -> None:
    async with admin(registered) as http:
        made = ok(await http.put("/admin/workers", json={"name": attic} | said))
        assert (made["name"], made["trusted"]) == (attic, True)


async def test_enrolling_again_ends_the_old_key(registered: Mesh, attic: str) -> None:
    async with admin(registered) as http:
        old, new = await enrol(http, attic), await enrol(http, attic)
    assert old != new
    assert not accepts(registered, attic, old) and accepts(registered, attic, new)


async def test_of_two_changes_at_once_one_is_told_when_to_come_again(
    registered: Mesh, attic: str
) -> None:
    async with admin(registered) as http:
        asked = [http.put("/admin/workers", json={"name": f"{attic}-{n}"}) for n in range(2)]
        made, busy = sorted(await asyncio.gather(*asked), key=lambda each: each.status_code)
        ok(made)
        refusal(busy, 422, "conflict")
        assert busy.headers["retry-after"] == "1"


async def test_names_that_cannot_be_are_refused(registered: Mesh) -> None:
    process.admit(registered.broker.folder, [registered.broker.url], "clock", tools=("clock",))
    async with admin(registered) as http:
        for name in ("", "a b", "gateway", "operator", "../x", "fleet"):
            response = await http.put("/admin/workers", json={"name": name})
            assert refusal(response, 400, "bad_request"), name
        response = await http.put("/admin/workers", json={"name": "clock"})
        assert "serves tools" in refusal(response, 422, "conflict")
        refusal(await http.delete("/admin/workers/clock"), 404, "not_found")
        with name_held(registered.broker.folder, "here"):
            response = await http.put("/admin/workers", json={"name": "here"})
            assert "runs on this machine" in refusal(response, 422, "conflict")


async def test_only_admins_let_workers_in(registered: Mesh) -> None:
    name, _ = await add(registered, "operator")
    async with signed_in(registered, name, PASSWORD) as http:
        refusal(await http.put("/admin/workers", json={"name": "mine"}), 403, "forbidden")
        refusal(await http.get("/admin/workers"), 403, "forbidden")
        refusal(await http.delete(f"/admin/workers/{ECHO}"), 403, "forbidden")
    async with admin(registered) as http:
        _, usual = await make_key(http)
        _, account = await make_key(http, scopes=["ask", "chats", "mesh", "account"])
        _, administers = await make_key(http, scopes=["admin"])
    async with registered.anonymous() as http:
        http.headers["Authorization"] = f"Bearer {usual}"
        refusal(await http.get("/admin/workers"), 403, "forbidden")
        http.headers["Authorization"] = f"Bearer {account}"
        refusal(await http.put("/admin/workers", json={"name": "mine"}), 403, "forbidden")
        http.headers["Authorization"] = f"Bearer {administers}"
        assert ECHO in {worker["name"] for worker in ok(await http.get("/admin/workers"))}


async def test_a_key_lets_no_worker_in_for_its_own_would_outlive_it(
    registered: Mesh, attic: str
) -> None:
    async with admin(registered) as http:
        _, secret = await make_key(http, scopes=["ask", "chats", "mesh", "account", "admin"])
        async with registered.anonymous() as by_key:
            by_key.headers["Authorization"] = f"Bearer {secret}"
            said = await by_key.put("/admin/workers", json={"name": attic})
            assert "sign in" in refusal(said, 403, "forbidden")
            assert attic not in {each["name"] for each in ok(await by_key.get("/admin/workers"))}
            own = await enrol(http, attic)
            said = await by_key.put("/admin/workers", json={"name": attic})
            refusal(said, 403, "forbidden")
            assert accepts(registered, attic, own)
            assert (await by_key.delete(f"/admin/workers/{attic}")).status_code == 200
    assert not accepts(registered, attic, own)


async def test_where_nobody_keeps_the_brokers_users_it_is_said(mesh: Mesh) -> None:
    async with admin(mesh) as http:
        response = await http.put("/admin/workers", json={"name": "attic"})
        assert "mesh join" in refusal(response, 503, "broker_unavailable")
