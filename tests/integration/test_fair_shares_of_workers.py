"""Who floods several worker processes does not keep them from who asks singly, by the log's times.

All is told in ratios: of a machine that is twice as slow both sides are.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import httpx
import pytest
from msgspec import Struct

from mesh.bus.connection import Bus
from mesh.bus.entries import read_event
from mesh.bus.jetstream import JetStream
from mesh.protocol import subjects
from mesh.protocol.events import Claim, Queued
from mesh.protocol.subjects import lane
from tests.chatting import ask, events, new_chat, ok
from tests.conftest import Broker
from tests.fleet import Fleet, fleet

WORKERS = ("left", "right")
FLOOD, SINGLY = 24, 3
WORDS = "one two three four five six seven eight"
"""An answer's words: 0.4 s of a slot at 20 tokens a second, far longer than a claim takes."""


class Waited(Struct):
    """From asking to a worker's claim. passed: how many claims of others lay between."""

    question: str
    worker: str
    seconds: float
    passed: int


@asynccontextmanager
async def user(mesh: Fleet, name: str) -> AsyncIterator[httpx.AsyncClient]:
    """A client signed in by name."""
    async with httpx.AsyncClient(base_url=mesh.url, timeout=120.0) as http:
        tokens = ok(await http.get("/auth/callback/debug", params={"code": name}))
        http.headers["Authorization"] = f"Bearer {tokens['access_token']['access_token']}"
        yield http


async def stranger_to(mesh: Fleet, other: str, stack: AsyncExitStack) -> httpx.AsyncClient:
    """A user of another lane than somebody's."""
    taken = lane(other)
    for number in range(50):
        http = await stack.enter_async_context(user(mesh, f"single{number}"))
        if lane(ok(await http.get("/auth/check"))) != taken:
            return http
    raise AssertionError("the hash of users does not spread them")


async def begin(http: httpx.AsyncClient, question: str) -> tuple[str, str]:
    """Ask in a new chat: the chat, and the answer that was begun."""
    chat = await new_chat(http)
    message: str = (await ask(http, chat, question))["assistant_message"]["id"]
    return chat, message


async def waits(broker: Broker) -> list[Waited]:
    """What waited how long, in the order of the claims."""
    bus = await Bus.connect([broker.url], *broker.credentials("gateway"), "waits")
    js, asked = JetStream(bus), {}
    found: list[Waited] = []
    async for batch in js.read(
        subjects.RUN_STREAM, subjects.RUN_EVENTS, 1, await js.end(subjects.RUN_STREAM)
    ):
        for stored in batch:
            run = subjects.parse_run(stored.subject)
            match read_event(stored):
                case Queued(request=request):
                    asked[run.rid] = (request.messages[-1].content, stored.at, len(found))
                case Claim(n=1):
                    question, at, before = asked[run.rid]
                    passed = len(found) - before
                    found.append(Waited(question, run.writer.user, stored.at - at, passed))
    await bus.close()
    return found


async def flooded(mesh: Fleet, *, as_one: bool) -> tuple[list[Waited], list[Waited]]:
    """How long those of the flood waited, and those that were asked singly meanwhile.

    Both slots are held until all of the flood waits, and one that was asked singly behind it.
    as_one: the same user asks for both.
    """
    async with AsyncExitStack() as stack:
        greedy = await stack.enter_async_context(user(mesh, "greedy"))
        who = ok(await greedy.get("/auth/check"))
        single = greedy if as_one else await stranger_to(mesh, who, stack)
        held = [await begin(greedy, "/repeat word") for _ in WORKERS]
        for answering in held:
            await events(greedy, *answering, most=1)
        flood = [await begin(greedy, f"flood {WORDS}") for _ in range(FLOOD)]
        first = await begin(single, f"single {WORDS}")
        for chat, message in held:
            ok(await greedy.post(f"/chats/{chat}/messages/{message}/cancel"))
        await events(single, *first)
        for _ in range(SINGLY - 1):
            await events(single, *await begin(single, f"single {WORDS}"))
        await asyncio.gather(*(events(greedy, *answering) for answering in flood))
    told = await waits(mesh.broker)
    of_flood = [one for one in told if one.question.startswith("flood")]
    of_single = [one for one in told if one.question.startswith("single")]
    assert (len(of_flood), len(of_single)) == (FLOOD, SINGLY)
    return of_flood, of_single


@pytest.mark.parametrize("as_one", [False, True], ids=["of two users", "of one user"])
async def test_who_asks_singly_waits_for_a_fraction_of_what_a_flood_waits_for(
    tmp_path: Path, as_one: bool
) -> None:
    """Of one user the single questions stand behind the flood: so the measure can tell."""
    with fleet(tmp_path) as mesh:
        mesh.gateway()
        mesh.store()
        for name in WORKERS:
            mesh.worker(name, "--echo-rate", "20", "--slots", "1")
        flood, single = await flooded(mesh, as_one=as_one)
    assert {one.worker for one in flood} == set(WORKERS)
    longest, passed = max(one.seconds for one in flood), max(one.passed for one in single)
    fair = max(one.seconds for one in single) <= longest / 4 and passed <= FLOOD / 6
    assert fair is not as_one, (longest, single)
