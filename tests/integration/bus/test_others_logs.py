"""A gateway follows others' logs as long as somebody reads there, and no longer."""

import asyncio

import pytest

from mesh.bus.appender import append_event, new_uid
from mesh.bus.connection import Bus
from mesh.bus.jetstream import JetStream
from mesh.bus.lasting import Lasting
from mesh.gateway import logs as following
from mesh.gateway.logs import Logs
from mesh.protocol.events import Cancelled, Queued
from mesh.protocol.subjects import Writer
from tests.integration.bus.conftest import a_request

GATEWAY = Writer("gateway", "a")


async def test_what_nobody_reads_is_let_go_and_is_found_again(
    gateway: Bus, js: JetStream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "LOOK", 0.05)
    monkeypatch.setattr(following, "UNREAD", 0.2)
    lasting = Lasting()
    logs = Logs(gateway, js, "gw1", lambda where, event, seq: None, lasting)
    await logs.start()
    before = len(gateway.client._subs)
    request = a_request(reply="gw2")
    queued = Queued(uid=new_uid(), request=request)
    seq = await append_event(js, "gw2", request.rid, GATEWAY, queued, 0)
    track = await logs.find(request.rid)
    assert track is not None
    track.readers += 1
    await asyncio.sleep(0.5)
    assert len(gateway.client._subs) == before + 1, "it is being read"
    await append_event(js, "gw2", request.rid, GATEWAY, Cancelled(uid=new_uid()), seq)
    while track.run.end is None:
        await track.changed()
    logs.release(track)
    await asyncio.sleep(0.5)
    assert len(gateway.client._subs) == before
    again = await logs.find(request.rid)
    assert again is not None and isinstance(again.run.end, Cancelled)
    await lasting.close()
