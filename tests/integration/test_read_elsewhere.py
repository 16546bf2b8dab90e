"""What one gateway has told is read at every other, however far the store is behind."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import httpx
import pytest

from mesh.store import follower
from tests.chatting import ask, events, get_message, messages, new_chat
from tests.conftest import Broker
from tests.whole_mesh import SLOW, Mesh


@pytest.fixture(autouse=True)
def idle(monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that applies nothing by itself while the test lasts, unless somebody asks for it."""
    monkeypatch.setattr(follower, "GATHER", 120.0)


@asynccontextmanager
async def two(
    new_mesh: Callable[..., Mesh],
) -> AsyncIterator[tuple[httpx.AsyncClient, httpx.AsyncClient]]:
    """The same person at two gateways."""
    one, other = new_mesh(), new_mesh(gateway_name="gw2")
    one.start("store", "gateway", SLOW)
    other.start("gateway")
    async with await one.client("both") as here, await other.client("both") as there:
        yield here, there


FEW = {"max_new_tokens": 6}


async def told(http: httpx.AsyncClient, chat: str, words: str, parent: str | None = None) -> str:
    """Ask, and read the answer to its end as it comes: so the store is asked for nothing."""
    asked = await ask(http, chat, words, model=SLOW, parent=parent, sampling_parameters=FEW)
    message: str = asked["assistant_message"]["id"]
    assert (await events(http, chat, message))[-1].kind == "message"
    return message


async def test_an_answer_that_one_has_ended_is_no_other_s_pending_one(
    new_mesh: Callable[..., Mesh], broker: Broker
) -> None:
    async with two(new_mesh) as (here, there):
        chat = await new_chat(here)
        asked = await ask(here, chat, "/repeat a", model=SLOW, sampling_parameters=FEW)
        message = asked["assistant_message"]["id"]
        assert (await get_message(there, chat, message))["state"] in ("pending", "in_progress")
        await events(here, chat, message)
        found = await get_message(there, chat, message)
        assert (found["state"], found["content"]) == ("complete", "a " * 6)


async def test_what_was_said_at_one_stands_in_the_tree_at_the_other(
    new_mesh: Callable[..., Mesh], broker: Broker
) -> None:
    async with two(new_mesh) as (here, there):
        chat, parent = await new_chat(here), None
        for count in (1, 2, 3):
            parent = await told(here, chat, f"/repeat {count}", parent)
            tree = await messages(there, chat)
            assert [each["state"] for each in tree] == ["manual", "complete"] * count
            assert tree[-1]["content"].split() == [str(count)] * 6
