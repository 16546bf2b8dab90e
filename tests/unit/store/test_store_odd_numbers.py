"""Answers whose end counts what nobody can have used are kept, and so are those after them."""

import msgspec
import pytest
from msgspec.structs import replace

from mesh.protocol.chats import GetRun, RunRow
from mesh.protocol.numbers import MOST_TOKENS
from mesh.protocol.request import Charge
from mesh.protocol.subjects import Writer
from mesh.store.usage import MOST, added
from tests.unit.store import story
from tests.unit.store.conftest import Store

W1 = Writer("w1", "i1")


async def ended(store: Store, rid: str, said: dict[str, object]) -> RunRow:
    """An answer whose end says this on the wire, as the store has it."""
    asked = replace(story.queued(rid), charge=Charge(client="shop"))
    store.log.append(asked, rid)
    store.log.append(story.claim(), rid, W1)
    end = msgspec.to_builtins(story.done("hello back")) | said
    store.log.append(msgspec.json.encode(end), rid, W1)
    await store.follower.caught_up()
    return await store.ask(GetRun(rid=rid, min_seq=0), RunRow)


@pytest.mark.parametrize("count", [-1, 2**63 - 1, 2**70, 10**400])
async def test_an_answer_with_a_strange_count_is_kept_and_so_are_the_next(
    store: Store, count: int
) -> None:
    strange = {"prompt_tokens": count, "completion_tokens": count, "cached_tokens": count}
    run = await ended(store, "r1", {"usage": strange})
    assert (run.state, run.text) == ("done", "hello back")
    assert run.usage is not None and 0 <= run.usage.prompt_tokens <= MOST_TOKENS
    for rid in ("r2", "r3"):
        run = await ended(store, rid, {"usage": {"prompt_tokens": 3}})
        assert (run.state, run.text) == ("done", "hello back")
    assert (await store.rows())["skipped_events"] == []


@pytest.mark.parametrize("time", [-1.0, 1e308])
async def test_so_is_one_with_a_strange_time(store: Store, time: float) -> None:
    strange = {"queue": time, "first_token": time, "generate": time}
    run = await ended(store, "r1", {"timings": strange})
    assert (run.state, run.text) == ("done", "hello back")


def test_a_sum_that_is_as_high_as_it_goes_stays_there() -> None:
    assert added(MOST - 1, MOST_TOKENS) == MOST
    assert added(3, 4) == 7
