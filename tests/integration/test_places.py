"""Places in the queue are true at every gateway, also at one that was started just now."""

from collections.abc import Callable

import httpx

from tests.chatting import ask, events, new_chat, ok, pending
from tests.conftest import Broker
from tests.whole_mesh import SINGLE, Mesh


async def queue(http: httpx.AsyncClient) -> tuple[str, str]:
    chat = await new_chat(http)
    return chat, (await ask(http, chat, "/repeat x", model=SINGLE))["assistant_message"]["id"]


async def test_a_restarted_gateway_knows_who_waits(new_mesh: Callable[..., Mesh]) -> None:
    mesh = new_mesh()
    mesh.start("store", "gateway", SINGLE)
    async with await mesh.client("queuer") as http:
        running, *waiting = [await queue(http) for _ in range(4)]
        await events(http, *running, most=1)
    mesh.stop("gateway")
    mesh.start("gateway")
    async with await mesh.client("queuer") as http:
        assert [await pending(http, *each) for each in waiting] == [(0, 3), (1, 3), (2, 3)]
        chat, message = waiting[0]
        ok(await http.post(f"/chats/{chat}/messages/{message}/cancel"))
        assert [await pending(http, *each) for each in waiting[1:]] == [(0, 2), (1, 2)]


async def test_gateways_know_of_each_others_requests(
    new_mesh: Callable[..., Mesh], broker: Broker
) -> None:
    one, two = new_mesh(), new_mesh(gateway_name="gw2")
    one.start("store", "gateway", SINGLE)
    two.start("gateway")
    async with await one.client("both") as here, await two.client("both") as there:
        running = await queue(here)
        await events(here, *running, most=1)
        first, second = await queue(here), await queue(there)
        third = await queue(here)
        for http in (here, there):
            assert await pending(http, *first, at=(0, 3)) == (0, 3)
            assert await pending(http, *second, at=(1, 3)) == (1, 3)
            assert await pending(http, *third, at=(2, 3)) == (2, 3)
        ok(await there.post(f"/chats/{first[0]}/messages/{first[1]}/cancel"))
        assert await pending(there, *second, at=(0, 2)) == (0, 2)
