"""What ends before a worker took it leaves the queue at once, and makes room for the next."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable

import pytest

from mesh.bus.api import ApiError
from mesh.bus.appender import append_event, new_uid
from mesh.bus.connection import Bus, Silence
from mesh.bus.follow import Track
from mesh.bus.jetstream import JetStream
from mesh.bus.presence import Fleet
from mesh.bus.pull import Item, Puller, ack
from mesh.bus.topology import declare, declare_model
from mesh.cli.fleet import look
from mesh.gateway.crowd import Crowd
from mesh.gateway.lanes import Lanes
from mesh.gateway.queue import Queue
from mesh.gateway.requests import Requests
from mesh.gateway.resume import Resumer
from mesh.gateway.waiting import WaitingRoom
from mesh.protocol import subjects
from mesh.protocol.codec import encode
from mesh.protocol.errors import ErrorCode, MeshError
from mesh.protocol.events import Cancelled, Claim, Failed
from mesh.protocol.request import Prompt, Request
from mesh.protocol.subjects import Writer
from mesh.settings import Limits
from mesh.worker.claim import Claims, Settled
from tests.conftest import Broker
from tests.limiting import unlimited
from tests.queued import items_under

MOST = 4


async def connect(broker: Broker, user: str) -> Bus:
    return await Bus.connect([broker.url], *broker.credentials(user), f"test {user}")


@pytest.fixture
async def js(broker: Broker) -> AsyncIterator[JetStream]:
    bus = await connect(broker, "gateway")
    js = JetStream(bus)
    await declare(js, Limits(req_max_per_tenant=MOST))
    await declare_model(js, "m", 30.0)
    yield js
    await bus.close()


@pytest.fixture
async def requests(js: JetStream) -> AsyncIterator[Requests]:
    queue = Queue(js, Crowd(WaitingRoom(), 100), Lanes(Fleet(js.bus, js)), time.time)
    requests = Requests(js.bus, js, "gw1", lambda where, event, seq: None, queue, unlimited())
    await requests.start()
    yield requests
    await requests.close()


def a_request(waits: float = 600.0) -> Request:
    """Of the one tenant there is; given up after so many seconds if nobody claims it."""
    now = time.time()
    return Request(
        rid=new_uid(),
        reply="gw1",
        tenant="t",
        model="m",
        messages=(),
        created=now,
        deadline=now + 600,
        queue_deadline=now + waits,
    )


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not holds():
            await asyncio.sleep(0.02)


async def claimed(js: JetStream, track: Track, worker: Writer) -> None:
    """As if a worker had taken it."""
    await until(lambda: track.run.queued is not None)
    claim = Claim(uid=new_uid(), n=1, item=track.item, ack_reply="", model="m")
    await append_event(js, "gw1", track.rid, worker, claim, track.run.last)
    await until(lambda: track.run.n == 1)


class Electing(JetStream):
    """A cluster whose leader dies when it has stored a prompt: the answer is lost, and the next

    leader says at first that it is not done with that prompt.
    """

    tries = 0

    async def append(self, subject: str, data: bytes, headers: dict[str, str] | None = None) -> int:
        self.tries += 1
        if self.tries == 2:
            raise ApiError(10158, "duplicate message id is in process")
        item = await super().append(subject, data, headers)
        if self.tries == 1:
            raise Silence("nobody answered")
        return item


async def test_a_prompt_that_a_cluster_is_still_storing_is_not_refused(js: JetStream) -> None:
    electing, request = Electing(js.bus), a_request()
    queue = Queue(electing, Crowd(WaitingRoom(), 100), Lanes(Fleet(js.bus, js)), time.time)
    assert await queue.put(request, 1, None) is None
    assert await items_under(js, subjects.REQ_ALL) == {request.rid}
    assert (await js.stream_info(subjects.REQ_STREAM)).state.messages == 1


class Exhausted(JetStream):
    """A broker without room for any stream."""

    async def append(self, subject: str, data: bytes, headers: dict[str, str] | None = None) -> int:
        raise ApiError(10023, "insufficient resources")


async def test_whatever_else_the_broker_refuses_a_prompt_for_is_said_at_once(js: JetStream) -> None:
    queue = Queue(Exhausted(js.bus), Crowd(WaitingRoom(), 100), Lanes(Fleet(js.bus, js)), time.time)
    async with asyncio.timeout(5):
        assert await queue.put(a_request(), 1, None) is ErrorCode.QUEUE_FULL


async def test_more_at_once_than_the_queue_ever_takes_are_refused_for_good(js: JetStream) -> None:
    queue = Queue(js, Crowd(WaitingRoom(), 100), Lanes(Fleet(js.bus, js)), time.time)
    await queue.check_room("m", "t", "normal", MOST)
    await queue.put(a_request(), 1, None)
    for count, code, param in (
        (MOST, ErrorCode.SHARE_FULL, None),
        (MOST + 1, ErrorCode.BAD_REQUEST, "prompt"),
    ):
        with pytest.raises(MeshError) as refused:
            await queue.check_room("m", "t", "normal", count, "prompt")
        assert (refused.value.code, refused.value.param) == (code, param)
    assert f"No more than {MOST} of your requests" in refused.value.detail
    assert f"{MOST + 1} can never be" in refused.value.detail


@pytest.mark.parametrize("how", ["cancelled", "not taken in time"])
async def test_what_ends_while_it_waits_makes_room_at_once(
    js: JetStream, requests: Requests, how: str
) -> None:
    running = await requests.submit(a_request())
    await claimed(js, running, requests.writer)
    waits = 6.0 if how == "not taken in time" else 600.0
    waiting = [await requests.submit(a_request(waits)) for _ in range(MOST - 1)]
    with pytest.raises(MeshError) as full:
        await requests.submit(a_request())
    assert full.value.code is ErrorCode.SHARE_FULL
    if how == "cancelled":
        await asyncio.gather(*(requests.endings.cancel(track) for track in waiting))
    await until(lambda: all(track.run.end is not None for track in waiting))
    assert {type(track.run.end) for track in waiting} == {
        Cancelled if how == "cancelled" else Failed
    }
    async with asyncio.timeout(10):
        while await items_under(js, subjects.REQ_ALL) != {running.rid}:
            await asyncio.sleep(0.02)
    last = await requests.submit(a_request())
    assert await items_under(js, subjects.REQ_ALL) == {running.rid, last.rid}


async def test_what_runs_keeps_its_item_when_it_is_cancelled(
    js: JetStream, requests: Requests
) -> None:
    """Should its holder die, the one to end it is the next who is handed it."""
    running = await requests.submit(a_request())
    await claimed(js, running, requests.writer)
    await requests.endings.cancel(running)
    assert await items_under(js, subjects.REQ_ALL) == {running.rid}


async def test_another_ones_item_under_the_same_number_is_left_alone(
    js: JetStream, requests: Requests
) -> None:
    """The queue was restored from a backup meanwhile: its numbers mean other requests."""
    first, second = [await requests.submit(a_request()) for _ in range(2)]
    first.item = second.item
    await requests.endings.cancel(first)
    assert await items_under(js, subjects.REQ_ALL) == {first.rid, second.rid}


async def test_a_worker_that_has_it_in_hand_finds_that_there_is_nothing_to_do(
    broker: Broker, js: JetStream, requests: Requests
) -> None:
    await js.bus.serve(subjects.RESUME_ALL, Resumer(js).answer, "gateways")
    bus = await connect(broker, "w1")
    handed: asyncio.Queue[Item] = asyncio.Queue()
    puller = Puller(bus, "m", lambda: 1, handed.put_nowait, lambda reply, why: None)
    pulling = asyncio.create_task(puller.run())
    track = await requests.submit(a_request())
    item = await asyncio.wait_for(handed.get(), 15)
    await requests.endings.cancel(track)
    assert await items_under(js, subjects.REQ_ALL) == set()
    with pytest.raises(Settled) as settled:
        await Claims(bus, JetStream(bus), Writer("w1", new_uid()), "print").claim(item)
    assert settled.value.ack
    await ack(bus, item.ack_reply)
    next_ = await requests.submit(a_request())
    handed_next = await asyncio.wait_for(handed.get(), 15)
    assert handed_next.prompt.request.rid == next_.rid
    pulling.cancel()
    await bus.close()


async def test_what_has_ended_and_lies_there_still_is_not_shown_as_waiting(
    broker: Broker, js: JetStream, requests: Requests
) -> None:
    over, waiting, running = [await requests.submit(a_request()) for _ in range(3)]
    await claimed(js, running, requests.writer)
    over.item = 0  # accepted by another gateway, which is gone
    await requests.endings.cancel(over)
    forgotten = Prompt(queued=1, request=a_request())
    await js.append(subjects.req("m", "t"), encode(forgotten))
    assert len(await items_under(js, subjects.REQ_ALL)) == 4
    operator = await connect(broker, "operator")
    seen = await look(JetStream(operator))
    await operator.close()
    assert {(each.rid, each.state) for each in seen.requests} == {
        (waiting.rid, "waiting"),
        (running.rid, "running"),
    }
    (queue,) = seen.queues
    assert (queue.waiting, queue.in_work, seen.unfinished) == (1, 1, 2)
