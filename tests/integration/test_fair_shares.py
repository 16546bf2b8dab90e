"""One user's many prompts do not delay another's one: in a real mesh, by the claims in the log."""

from collections import Counter
from collections.abc import Callable

import httpx

from mesh.bus.connection import Bus
from mesh.bus.entries import read_event
from mesh.bus.jetstream import JetStream
from mesh.protocol import subjects
from mesh.protocol.events import Claim, Queued
from mesh.protocol.subjects import lane
from tests.chatting import ask, events, new_chat, ok, pending
from tests.conftest import Broker
from tests.integration.test_accounts import admin, bearer, make_key
from tests.integration.test_limits_hold import until_limited
from tests.whole_mesh import SINGLE, Mesh

Answer = tuple[str, str]


class User:
    """Somebody who asks, in a lane of their own."""

    def __init__(self, http: httpx.AsyncClient, user_id: str) -> None:
        self.http = http
        self.id = user_id

    async def ask(self, content: str = "x", **headers: str) -> Answer:
        self.http.headers.update(headers)
        chat = await new_chat(self.http)
        return chat, (await ask(self.http, chat, content, model=SINGLE))["assistant_message"]["id"]


async def users(mesh: Mesh, count: int) -> list[User]:
    """So many users, of different lanes."""
    found: dict[str, User] = {}
    for number in range(200):
        http = await mesh.client(f"sharer{number}")
        user_id = ok(await http.get("/auth/check"))
        if lane(user_id) in found:
            await http.aclose()
            continue
        found[lane(user_id)] = User(http, user_id)
        if len(found) == count:
            return list(found.values())
    raise AssertionError("the hash of users does not spread them")


async def claims(broker: Broker) -> list[str]:
    """Who asked for what was claimed, in the order of the claims."""
    name, password = broker.credentials("gateway")
    bus = await Bus.connect([broker.url], name, password, "claims")
    js, who, found = JetStream(bus), {}, []
    upto = await js.end(subjects.RUN_STREAM)
    async for batch in js.read(subjects.RUN_STREAM, subjects.RUN_EVENTS, 1, upto):
        for stored in batch:
            rid = subjects.parse_run(stored.subject).rid
            match read_event(stored):
                case Queued(request=request):
                    who[rid] = request.tenant
                case Claim(n=1):
                    found.append(who[rid])
    await bus.close()
    return found


async def test_of_the_next_claims_nobody_gets_a_second_before_each_got_one(
    new_mesh: Callable[..., Mesh], broker: Broker
) -> None:
    mesh = new_mesh()
    mesh.start("store", "gateway", SINGLE)
    greedy, *others = await users(mesh, 4)
    chat, running = await greedy.ask("/repeat word")
    await events(greedy.http, chat, running, most=1)
    waiting = [await greedy.ask() for _ in range(12)]
    late = [await user.ask() for user in others for _ in range(2)]
    last = await others[0].ask(**{"X-Priority": "low"})
    await pending(others[0].http, *last, at=(18, 19))
    await pending(greedy.http, *waiting[-1], at=(17, 19))  # whoever asks for less comes first
    assert (await pending(others[0].http, *late[0]))[0] < 4
    ok(await greedy.http.post(f"/chats/{chat}/messages/{running}/cancel"))
    for user, answer in zip([user for user in others for _ in "12"], late, strict=True):
        await events(user.http, *answer)
    await events(others[0].http, *last)
    order = await claims(broker)
    rounds = [Counter(order[1 + 4 * n : 5 + 4 * n]) for n in range(2)]
    everybody = Counter(user.id for user in (greedy, *others))
    assert rounds == [everybody, everybody]
    assert order[9:] == [greedy.id] * 10 + [others[0].id]
    for user in (greedy, *others):
        await user.http.aclose()


async def test_turns_are_shared_by_the_weights_of_users_and_keys(
    new_mesh: Callable[..., Mesh], broker: Broker
) -> None:
    """Where one has the weight 3 and the other 1, claims are as 3 to 1, at any time."""
    mesh = new_mesh()
    mesh.start("store", "gateway", SINGLE)
    light, heavy = await users(mesh, 2)
    said = {"weight": 3, "tokens": 10**6}  # a limit shows in headers once it is known
    async with admin(mesh) as http:
        for user in (light, heavy):
            ok(await http.put(f"/admin/users/{user.id}/limits", json=said))
    key, secret = await make_key(light.http)
    ok(await light.http.put(f"/account/keys/{key}/limits", json={"weight": 1, "requests": 10**6}))
    light.http.headers.update(bearer(secret))
    await until_limited(light.http, "requests")
    await until_limited(heavy.http, "tokens")
    chat, running = await light.ask("/repeat word")
    await events(light.http, chat, running, most=1)
    few = [await light.ask() for _ in range(5)]
    many = [await heavy.ask() for _ in range(12)]
    await pending(light.http, *few[-1], at=(16, 17))
    ok(await light.http.post(f"/chats/{chat}/messages/{running}/cancel"))
    for user, answers in ((light, few), (heavy, many)):
        for answer in answers:
            await events(user.http, *answer)
    order = await claims(broker)
    assert Counter(order[1:17]) == {light.id: 4, heavy.id: 12}
    for count in range(1, 17):
        assert abs(order[1 : 1 + count].count(heavy.id) - 0.75 * count) <= 1, order
    for user in (light, heavy):
        await user.http.aclose()


async def test_who_was_given_less_than_the_usual_share_delays_no_usual_one(
    new_mesh: Callable[..., Mesh], broker: Broker
) -> None:
    """Not even who would share a lane with them, had they the usual share."""
    mesh = new_mesh()
    mesh.start("store", "gateway", SINGLE)
    usual, light = await users(mesh, 2)
    mate = await lane_mate(mesh, light)
    async with admin(mesh) as http:
        said = {"weight": 0.1, "tokens": 10**6}
        ok(await http.put(f"/admin/users/{light.id}/limits", json=said))
    await until_limited(light.http, "tokens")
    chat, running = await usual.ask("/repeat word")
    await events(usual.http, chat, running, most=1)
    asked = [(light, await light.ask()) for _ in range(4)]
    asked += [(usual, await usual.ask()) for _ in range(4)]
    asked.append((mate, await mate.ask()))
    assert (await pending(mate.http, *asked[-1][1]))[0] <= 2
    ok(await usual.http.post(f"/chats/{chat}/messages/{running}/cancel"))
    for user, answer in asked:
        await events(user.http, *answer)
    order = await claims(broker)
    assert order.index(mate.id, 1) <= 3, order  # of the next three each has one
    assert order[-1] == light.id
    for user in (usual, light, mate):
        await user.http.aclose()


async def lane_mate(mesh: Mesh, other: User) -> User:
    """Somebody whose id's hash is that of another's."""
    for number in range(200):
        http = await mesh.client(f"mate{number}")
        user_id = ok(await http.get("/auth/check"))
        if lane(user_id) == lane(other.id):
            return User(http, user_id)
        await http.aclose()
    raise AssertionError("the hash of users does not spread them")
