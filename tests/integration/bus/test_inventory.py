"""What lies in the queue is known for sure, and of each item's body but once."""

import time
from math import inf

import pytest
from msgspec.structs import replace

from mesh.bus.jetstream import JetStream, Stored, StreamInfo
from mesh.bus.queue import Inventory
from mesh.protocol import subjects
from mesh.protocol.codec import encode
from mesh.protocol.messages import Prompt
from tests.integration.bus.conftest import a_request

PLACE = subjects.req("m", "t")


class Queue:
    """The queue and its inventory. reads: how many items were read; alive: whose are not over."""

    def __init__(self, js: JetStream) -> None:
        self.js = js
        self.inventory = Inventory(js)
        self.reads = 0
        self.alive: set[str] = set()

    async def put(self, rid: str) -> int:
        self.alive.add(rid)
        prompt = Prompt(queued=1, request=a_request(rid))
        return await self.js.append(PLACE, encode(prompt))

    async def take_out(self, seq: int) -> None:
        await self.js.delete(subjects.REQ_STREAM, seq)

    async def info(self) -> StreamInfo:
        return await self.js.stream_info(subjects.REQ_STREAM, subjects.REQ_ALL)

    async def look(self, until: float = inf) -> tuple[set[str] | None, int]:
        """What is found, and how many items were read for it."""
        before = self.reads
        found = await self.inventory.under(PLACE, await self.info(), self.alive, until)
        return found, self.reads - before


@pytest.fixture
def queue(js: JetStream, monkeypatch: pytest.MonkeyPatch) -> Queue:
    found, read = Queue(js), js.next

    async def counted(stream: str, subject: str, start: int) -> Stored | None:
        item = await read(stream, subject, start)
        found.reads += item is not None
        return item

    monkeypatch.setattr(js, "next", counted)
    return found


async def test_each_item_is_read_once(queue: Queue) -> None:
    for rid in "abc":
        await queue.put(rid)
    assert await queue.look() == ({"a", "b", "c"}, 3)
    assert await queue.look() == ({"a", "b", "c"}, 0)
    await queue.put("d")
    assert await queue.look() == ({"a", "b", "c", "d"}, 1)


async def test_what_is_taken_out_though_it_is_not_over_is_missed_at_once(queue: Queue) -> None:
    places = [await queue.put(rid) for rid in "abc"]
    await queue.look()
    await queue.take_out(places[1])
    assert await queue.look() == ({"a", "c"}, 2)
    await queue.take_out(places[0])
    await queue.put("d")  # as many as before
    assert await queue.look() == ({"c", "d"}, 3)  # the new one, and then both anew


async def test_what_is_over_goes_without_being_looked_for(queue: Queue) -> None:
    places = [await queue.put(rid) for rid in "abc"]
    await queue.look()
    queue.alive.remove("b")
    assert (await queue.look())[1] == 0, "its worker has not acknowledged it yet"
    await queue.take_out(places[1])
    assert await queue.look() == ({"a", "c"}, 0)


async def test_what_the_log_is_not_known_to_tell_of_yet_is_not_forgotten(queue: Queue) -> None:
    await queue.put("a")
    queue.alive.clear()
    await queue.look()
    queue.alive.add("a")
    assert await queue.look() == ({"a"}, 0)


async def test_many_are_looked_at_bit_by_bit(queue: Queue) -> None:
    for rid in "abc":
        await queue.put(rid)
    over = time.monotonic()
    assert [await queue.look(over) for _ in range(4)] == [
        (None, 1),
        (None, 1),
        (None, 1),
        ({"a", "b", "c"}, 0),
    ]


async def test_a_queue_that_was_replaced_is_looked_at_anew(queue: Queue) -> None:
    await queue.put("a")
    await queue.look()
    other = replace(await queue.info(), created="another")
    assert await queue.inventory.under(PLACE, other, queue.alive, inf) == {"a"}
    assert queue.reads == 2
    queue.inventory.forget_all_but([])
    assert await queue.look() == ({"a"}, 1)


async def test_what_cannot_be_read_counts_and_is_nobodys(queue: Queue) -> None:
    await queue.js.append(PLACE, b"of another version")
    await queue.put("a")
    assert await queue.look() == ({"", "a"}, 2)
    assert await queue.look() == ({"", "a"}, 0)
