"""A dead letter that is asked again is asked once, whoever dies in between, and not lost."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from mesh.bus.appender import append_event, new_uid, persist
from mesh.bus.connection import Bus
from mesh.bus.dlq import letters
from mesh.bus.jetstream import JetStream
from mesh.bus.presence import Fleet
from mesh.bus.topology import declare
from mesh.gateway import dead_letters
from mesh.gateway.crowd import Crowd
from mesh.gateway.dead_letters import DeadLetters
from mesh.gateway.lanes import Lanes
from mesh.gateway.queue import Queue
from mesh.gateway.requests import Requests
from mesh.gateway.waiting import WaitingRoom
from mesh.protocol import subjects
from mesh.protocol.codec import encode
from mesh.protocol.errors import ErrorCode, MeshError
from mesh.protocol.events import Failed, Queued
from mesh.protocol.letters import AskAgain
from mesh.protocol.request import Charge, Request
from mesh.protocol.subjects import Writer
from mesh.settings import Limits
from tests.conftest import Broker
from tests.limiting import unlimited
from tests.queued import items_under

NOTE, CHARGE = "what the route wants to find", Charge(client="acme", user="ada")


@pytest.fixture
async def js(broker: Broker) -> AsyncIterator[JetStream]:
    bus = await Bus.connect([broker.url], *broker.credentials("gateway"))
    js = JetStream(bus)
    await declare(js, Limits(req_max_per_tenant=1))
    yield js
    await bus.close()


@asynccontextmanager
async def gateway(js: JetStream) -> AsyncIterator[tuple[Requests, DeadLetters]]:
    """One that is started, and stops as one that is killed: it says nothing more."""
    queue = Queue(js, Crowd(WaitingRoom(), 100), Lanes(Fleet(js.bus, js)), time.time)
    requests = Requests(js.bus, js, "gw1", lambda where, event, seq: None, queue, unlimited())
    await requests.start()
    yield requests, DeadLetters(js, requests, 600.0, 300.0)
    await requests.close()


async def poisoned(js: JetStream) -> str:
    """A request that has ended as poison; returns its id."""
    rid, now, writer = new_uid(), time.time(), Writer("gateway", new_uid())
    request = Request(
        rid=rid, reply="gw1", tenant="t", model="m", messages=(), created=now, deadline=now + 600
    )
    queued = Queued(uid=new_uid(), request=request, note=NOTE, charge=CHARGE)
    seq = await append_event(js, "gw1", rid, writer, queued, 0)
    code = ErrorCode.WORKER_LOST
    over = Failed(uid=new_uid(), code=code, detail="2 workers were lost.", poison=True)
    await append_event(js, "gw1", rid, writer, over, seq)
    return rid


async def kept(js: JetStream) -> list[str]:
    return [letter.request.rid for _, letter in await letters(js)]


def asked(rid: str) -> tuple[str, bytes]:
    return subjects.revive("operator"), encode(AskAgain(rid=rid))


async def test_it_is_asked_as_it_was_and_is_nobodys_orphan(js: JetStream) -> None:
    rid = await poisoned(js)
    async with gateway(js) as (_, letters_):
        await letters_.keep(rid)
        again = (await letters_.ask_again(*asked(rid))).rid
    assert again != rid and await kept(js) == []
    async with gateway(js) as (restarted, _):
        await restarted.take_back(again)
        run = await restarted.logs.look(again)
    assert run is not None and run.queued is not None and run.end is None
    assert (run.queued.note, run.queued.charge) == (NOTE, CHARGE)
    assert await items_under(js, subjects.REQ_ALL) == {again}


async def test_nothing_is_kept_of_who_was_deleted_before_the_sweeper_came(js: JetStream) -> None:
    rid = await poisoned(js)
    async with gateway(js) as (requests, _):
        of_gone = DeadLetters(js, requests, 600.0, 300.0, is_gone=lambda tenant: tenant == "t")
        await of_gone.keep(rid)
        assert await kept(js) == []
        of_other = DeadLetters(js, requests, 600.0, 300.0, is_gone=lambda tenant: tenant == "u")
        await of_other.keep(rid)
    assert await kept(js) == [rid]


class Killed(Exception):
    """The gateway is no more."""


async def test_who_dies_before_the_letter_is_gone_leaves_it_and_it_is_asked_once(
    js: JetStream, monkeypatch: pytest.MonkeyPatch
) -> None:
    rid = await poisoned(js)

    async def killed(*about: object) -> int:
        raise Killed

    async with gateway(js) as (_, letters_):
        await letters_.keep(rid)
        monkeypatch.setattr(dead_letters, "persist", killed)
        with pytest.raises(Killed):
            await letters_.ask_again(*asked(rid))
    assert await kept(js) == [rid]
    monkeypatch.setattr(dead_letters, "persist", persist)
    (queued,) = await items_under(js, subjects.REQ_ALL)
    async with gateway(js) as (_, letters_):
        assert (await letters_.ask_again(*asked(rid))).rid == queued
    assert await items_under(js, subjects.REQ_ALL) == {queued}
    assert await kept(js) == []


async def test_what_is_refused_stays_a_letter_and_is_asked_anew(js: JetStream) -> None:
    rid, other = await poisoned(js), await poisoned(js)
    async with gateway(js) as (requests, letters_):
        for each in (rid, other):
            await letters_.keep(each)
        first = (await letters_.ask_again(*asked(other))).rid
        for _ in range(2):
            with pytest.raises(MeshError) as refused:
                await letters_.ask_again(*asked(rid))
            assert refused.value.code is ErrorCode.SHARE_FULL
            assert await kept(js) == [rid]
        track = await requests.logs.find(first)
        assert track is not None
        await requests.endings.cancel(track)
        again = (await letters_.ask_again(*asked(rid))).rid
        assert await items_under(js, subjects.REQ_ALL) == {again}
        run = await requests.logs.look(again)
    assert run is not None and run.end is None
    assert await kept(js) == []
