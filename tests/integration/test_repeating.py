"""The same request once more, as `Requests` finds it: nothing is left behind, nobody waits on."""

import asyncio
import time
from collections.abc import AsyncIterator

import pytest
from msgspec.structs import replace

from mesh.bus.appender import append_event, new_uid
from mesh.bus.connection import Bus
from mesh.bus.follow import Follower
from mesh.bus.jetstream import JetStream
from mesh.bus.presence import Fleet
from mesh.bus.topology import declare
from mesh.gateway import requests as accepting
from mesh.gateway.crowd import Crowd
from mesh.gateway.lanes import Lanes
from mesh.gateway.queue import Queue
from mesh.gateway.requests import Requests
from mesh.gateway.waiting import WaitingRoom
from mesh.protocol import subjects
from mesh.protocol.codec import encode
from mesh.protocol.errors import ErrorCode, MeshError
from mesh.protocol.events import Cancelled, Queued
from mesh.protocol.request import Message, Prompt, Request
from mesh.protocol.subjects import Writer
from mesh.settings import Limits
from tests.conftest import Broker
from tests.limiting import unlimited

REQUEST = Request(
    rid=new_uid(),
    reply="gw1",
    tenant="t",
    model="m",
    messages=(Message(role="user", content="x"),),
    created=0.0,
    deadline=4e9,
)
BODY = "digest"


@pytest.fixture
async def js(broker: Broker) -> AsyncIterator[JetStream]:
    name, password = broker.credentials("gateway")
    bus = await Bus.connect([broker.url], name, password)
    js = JetStream(bus)
    await declare(js, Limits())
    yield js
    await bus.close()


@pytest.fixture
async def requests(js: JetStream) -> AsyncIterator[Requests]:
    """A gateway that was started when the request had been queued already."""
    writer = Writer(js.bus.user, new_uid())
    queued = Queued(uid=new_uid(), request=REQUEST, body=BODY)
    await append_event(js, "gw1", REQUEST.rid, writer, queued, 0)
    queue = Queue(js, Crowd(WaitingRoom(), 100), Lanes(Fleet(js.bus, js)), time.time)
    requests = Requests(js.bus, js, "gw1", lambda where, event, seq: None, queue, unlimited())
    await requests.start()
    yield requests
    await requests.close()


@pytest.mark.parametrize("way", ["gateway started again", "asked again"])
async def test_what_waits_in_a_full_queue_is_not_failed_by_being_found_there(
    js: JetStream, requests: Requests, way: str
) -> None:
    """It was put there longer ago than the broker knows repetitions by their id."""
    found = await requests.logs.look(REQUEST.rid)
    assert found is not None
    item = Prompt(queued=found.last, request=REQUEST)
    await declare(js, Limits(req_max_per_tenant=1))
    await js.append(subjects.req(REQUEST.model, REQUEST.tenant), encode(item))
    if way == "asked again":
        assert await requests.again(REQUEST.rid, BODY) is not None
    else:
        await requests.take_back(REQUEST.rid)
    found = await requests.logs.look(REQUEST.rid)
    assert found is not None and found.end is None


@pytest.mark.parametrize("body", [BODY, "another"])
async def test_an_answer_that_has_ended_is_followed_no_longer_than_it_is_read(
    js: JetStream, requests: Requests, body: str
) -> None:
    last = await requests.logs.look(REQUEST.rid)
    assert last is not None
    ended = Cancelled(uid=new_uid())
    await append_event(js, "gw1", REQUEST.rid, requests.writer, ended, last.last)
    try:
        track = await requests.again(REQUEST.rid, body)
    except MeshError as refused:
        assert (refused.code, body) == (ErrorCode.CONFLICT, "another")
    else:
        assert track is not None and isinstance(track.run.end, Cancelled)
    assert requests.logs.own.tracks.ready(REQUEST.rid) is None


async def test_an_event_that_does_not_come_back_is_not_waited_for_without_end(
    requests: Requests, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(accepting, "PATIENCE", 0.2)
    track = requests.logs.own.track(REQUEST.rid)  # from now on: its first event was before
    track.landed = True  # so that it is believed to be on its way
    with pytest.raises(MeshError) as refused:
        await requests.again(REQUEST.rid, BODY)
    assert refused.value.code is ErrorCode.BROKER_UNAVAILABLE


class InTurn(JetStream):
    """Of the events of requests the first is stored at once, and those behind it when told to."""

    def __init__(self, bus: Bus) -> None:
        super().__init__(bus)
        self._first = True
        self.go = asyncio.Event()

    async def append(self, subject: str, data: bytes, headers: dict[str, str] | None = None) -> int:
        first = self._first
        if ".evt." in subject:
            self._first = False
            if not first:
                await self.go.wait()
        return await super().append(subject, data, headers)


async def test_of_two_tries_at_once_the_late_one_leaves_the_others_track_alone(
    js: JetStream, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first event is stored, and not heard of yet, when the second try learns that it was."""
    monkeypatch.setattr(Follower, "_receive", lambda *_: None)
    in_turn, request = InTurn(js.bus), replace(REQUEST, rid=new_uid())
    queue = Queue(in_turn, Crowd(WaitingRoom(), 100), Lanes(Fleet(js.bus, js)), time.time)
    requests = Requests(js.bus, in_turn, "gw1", lambda *_: None, queue, unlimited())
    await requests.start()
    try:
        tries = [asyncio.create_task(requests.submit(request, body=BODY)) for _ in range(2)]
        (done,), (late,) = await asyncio.wait(tries, return_when=asyncio.FIRST_COMPLETED)
        in_turn.go.set()
        track = await late
        assert track is await done is requests.logs.own.tracks.ready(request.rid)
    finally:
        await requests.close()
