"""What lies in the queue is known for sure, and of each item's body but once."""

import time
from math import inf

import pytest
from msgspec.structs import replace

from mesh.bus.api import StreamInfo
from mesh.bus.jetstream import JetStream
from mesh.bus.queue import Inventory
from mesh.bus.stored import Stored
from mesh.protocol import subjects
from mesh.protocol.codec import encode
from mesh.protocol.request import Prompt
from tests.integration.bus.conftest import a_request

PLACE = subjects.req("m", "t")


class Queue:
    """The queue and its inventory. reads: how many items were read; alive: whose are not over."""

    def __init__(self, js: JetStream) -> None:
        self.js = js
        self.inventory = Inventory(js)
        self.reads = 0
        self.alive: set[str] = set()

    async def put(self, rid: str, place: str = PLACE) -> int:
        self.alive.add(rid)
        prompt = Prompt(queued=1, request=a_request(rid))
        return await self.js.append(place, encode(prompt))

    async def take_out(self, seq: int) -> None:
        await self.js.delete(subjects.REQ_STREAM, seq)

    async def info(self) -> StreamInfo:
        return await self.js.stream_info(subjects.REQ_STREAM, subjects.REQ_ALL)

    async def look(self, *rids: str, place: int = 0, until: float = inf) -> tuple[str, int]:
        """Look for some in one round; those that are there, and how many items were read for it.
        "?" in the place of one: there was no time."""
        before = self.reads
        self.inventory.begin(await self.info(), self.alive)
        told = {rid: await self.inventory.has(rid, (PLACE,), place, until) for rid in rids}
        said = {True: 1, False: 0}
        found = "".join("?" if has is None else rid * said[has] for rid, has in told.items())
        return found, self.reads - before


@pytest.fixture
def queue(js: JetStream, monkeypatch: pytest.MonkeyPatch) -> Queue:
    found, read, get = Queue(js), js.next, js.get

    async def counted(stream: str, subject: str, start: int) -> Stored | None:
        item = await read(stream, subject, start)
        found.reads += item is not None
        return item

    async def counted_too(stream: str, seq: int) -> Stored | None:
        found.reads += 1
        return await get(stream, seq)

    monkeypatch.setattr(js, "next", counted)
    monkeypatch.setattr(js, "get", counted_too)
    return found


async def test_each_item_is_read_once_to_know_whose_it_is(queue: Queue) -> None:
    for rid in "abc":
        await queue.put(rid)
    assert await queue.look("a", "b", "c", "d") == ("abc", 3)
    assert queue.inventory.knows("a") and not queue.inventory.knows("d")
    await queue.put("d")
    assert await queue.look("d") == ("d", 1)


async def test_whether_one_still_lies_there_takes_one_reading_of_it(queue: Queue) -> None:
    places = [await queue.put(rid) for rid in "abc"]
    await queue.look("a")
    await queue.take_out(places[1])
    await queue.put("d")  # as many as before
    assert await queue.look("b", "c") == ("c", 3)
    await queue.put("b")
    assert await queue.look("b") == ("b", 1)


async def test_one_that_is_over_and_not_acknowledged_hides_none(queue: Queue) -> None:
    places = [await queue.put(rid) for rid in "ab"]
    await queue.look("a", "b")
    queue.alive.remove("b")
    await queue.take_out(places[0])
    assert (await queue.look("a"))[0] == ""


async def test_who_is_said_to_lie_somewhere_is_looked_for_there_first(queue: Queue) -> None:
    places = [await queue.put(rid) for rid in "abc"]
    assert await queue.look("c", place=places[2]) == ("c", 1)
    assert await queue.look("a", place=places[1]) == ("a", 4), "it was said of another's"
    assert (await queue.look("b", place=2**63))[0] == "b", "nobody can lie there"


async def test_what_lies_where_nobody_comes_is_not_there(queue: Queue) -> None:
    place = await queue.put("a", subjects.req("another", "t"))
    assert (await queue.look("a", place=place))[0] == ""


async def test_what_the_log_is_not_known_to_tell_of_yet_is_not_forgotten(queue: Queue) -> None:
    await queue.put("a")
    queue.alive.clear()
    await queue.look("b")
    queue.alive.add("a")
    assert await queue.look("a") == ("a", 1)


async def test_many_are_looked_at_bit_by_bit(queue: Queue) -> None:
    for rid in "abc":
        await queue.put(rid)
    over = time.monotonic()
    assert [await queue.look("d", until=over) for _ in range(4)] == [
        ("?", 1),
        ("?", 1),
        ("?", 1),
        ("", 0),
    ]


async def test_a_queue_that_was_replaced_is_looked_at_anew(queue: Queue) -> None:
    await queue.put("a")
    await queue.look("a")
    info = await queue.info()
    queue.inventory.begin(replace(info, created="another"), queue.alive)
    assert not queue.inventory.knows("a")
    assert await queue.inventory.has("a", (PLACE,), 0, inf)
    queue.inventory.begin(replace(info, state=replace(info.state, last_seq=0)), queue.alive)
    assert not queue.inventory.knows("a"), "what is given out again are others' sequences"


async def test_what_cannot_be_read_is_nobodys(queue: Queue) -> None:
    await queue.js.append(PLACE, b"of another version")
    await queue.put("a")
    assert await queue.look("a") == ("a", 2)
    assert await queue.look("a") == ("a", 1)
