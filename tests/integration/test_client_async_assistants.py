"""`mesh_client.async_assistants` against a real mesh: the same as its blocking twin."""

import inspect
import threading
from collections.abc import AsyncIterator
from secrets import token_hex

import pytest

from mesh_client import AsyncClient, MemoryStore, Rejected
from mesh_client.assistant_calls import Function
from mesh_client.assistants import (
    Assistants,
    RunContent,
    RunEvent,
    RunFailed,
    RunStatus,
    TalkThread,
)
from mesh_client.async_assistants import AsyncAssistants, AsyncTalkThread
from tests.whole_mesh import ECHO, FAILING, SLOW, Mesh


@pytest.fixture
async def client(mesh: Mesh) -> AsyncIterator[AsyncClient]:
    name = f"assistants-{token_hex(4)}"
    async with AsyncClient(mesh.url, username=name, store=MemoryStore()) as client:
        yield client


def content(events: list[RunEvent]) -> str:
    return "".join(event.content for event in events if isinstance(event, RunContent))


async def heard(thread: AsyncTalkThread, assistant: str, *functions: Function) -> list[RunEvent]:
    return [event async for event in thread.ask(assistant, functions)]


def test_the_twins_have_the_same_names_and_take_the_same() -> None:
    for one, other in ((Assistants, AsyncAssistants), (TalkThread, AsyncTalkThread)):
        methods = {name: method for name, method in vars(one).items() if name[0] != "_"}
        assert methods.keys() == {name for name in vars(other) if name[0] != "_"}
        for name, method in methods.items():
            twin = inspect.signature(getattr(other, name)).parameters
            assert inspect.signature(method).parameters == twin, name


async def test_functions_of_either_kind_are_called_here(client: AsyncClient) -> None:
    loop = threading.get_ident()

    async def get_weather(city: str) -> str:
        """The weather in a city."""
        assert threading.get_ident() == loop
        return f"It rains in {city}."

    def blocking() -> bool:
        """Whether it keeps the loop waiting."""
        return threading.get_ident() == loop

    async def broken() -> str:
        raise ValueError("no radar")

    functions = (get_weather, blocking, broken)
    assistants = AsyncAssistants(client)
    ada = await assistants.create(model=ECHO, functions=functions)
    thread = await assistants.thread()
    for call, outcome in (
        ('get_weather {"city": "Oslo"}', "It rains in Oslo."),
        ("blocking {}", "false"),
        ("broken {}", "ERROR: no radar"),
    ):
        await thread.say(f"/call {call}")
        assert content(await heard(thread, ada, *functions)) == outcome
    same = assistants.open(thread.id)
    said = await same.messages()
    assert [each.role for each in said] == ["user", "assistant", "tool", "assistant"] * 3
    await same.unsay(said[0].id)
    assert await thread.messages() == said[1:]
    await assistants.delete(ada)
    with pytest.raises(Rejected, match="no such assistant"):
        await heard(thread, ada)


async def test_a_run_is_stopped_and_one_that_fails_says_why(client: AsyncClient) -> None:
    assistants = AsyncAssistants(client)
    thread = await assistants.thread()
    await thread.say("/repeat a b")
    events: list[RunEvent] = []
    async for event in thread.ask(await assistants.create(model=SLOW)):
        if isinstance(event, RunContent) and not content(events):
            (run_id,) = {each.run_id for each in events if isinstance(each, RunStatus)}
            await thread.cancel(run_id)
        events.append(event)
    last = (await thread.messages())[-1]
    assert (last.role, last.status, last.content) == ("assistant", "incomplete", content(events))
    await thread.say("/repeat a")
    *_, error, _ = await heard(thread, await assistants.create(model=FAILING))
    assert isinstance(error, RunFailed) and error.code == "engine_failed"
