"""What lies in the queue though nobody has to work on it is taken out; nothing else is."""

import time

from mesh.bus.appender import append_event, new_uid
from mesh.bus.connection import Bus
from mesh.bus.history import last_event
from mesh.bus.jetstream import JetStream
from mesh.gateway.leftovers import LINGER, MOST, Leftovers
from mesh.protocol import subjects
from mesh.protocol.codec import decode, encode
from mesh.protocol.events import Cancelled, Deleted, Queued
from mesh.protocol.request import Prompt
from mesh.protocol.subjects import Writer
from tests.integration.bus.conftest import a_request
from tests.queued import items_under

LATER = 2 * LINGER


async def queue(
    js: JetStream, writer: Writer, ended: bool, known: bool = True, deleted: bool = False
) -> str:
    """Put a request into the queue, which has ended or not, and which the log knows or not."""
    request, seq = a_request(), 0
    event = Queued(uid=new_uid(), request=request)
    if known:
        seq = await append_event(js, request.reply, request.rid, writer, event, 0)
    if ended:
        over = Cancelled(uid=new_uid(), text="")
        seq = await append_event(js, request.reply, request.rid, writer, over, seq)
    if deleted:
        gone = Deleted(uid=new_uid())
        await append_event(js, request.reply, request.rid, writer, gone, seq)
    place = subjects.req(request.model, request.tenant)
    await js.append(place, encode(Prompt(queued=seq, request=request)))
    return request.rid


async def test_leftovers_are_taken_out_of_the_queue(gateway: Bus, js: JetStream) -> None:
    writer = Writer("gateway", new_uid())
    over = await queue(js, writer, ended=True)
    waits = await queue(js, writer, ended=False)
    also_over = await queue(js, writer, ended=True, deleted=True)
    forgotten = await queue(js, writer, ended=False, known=False)
    await js.append(subjects.req("m", "t"), b"of another version")
    everything = {over, waits, also_over, forgotten}

    clearing = Leftovers(js)
    await clearing.clear(time.time())
    assert await items_under(js, subjects.REQ_ALL) == everything, "a worker may be at it"
    await clearing.clear(time.time() + LATER)
    assert await items_under(js, subjects.REQ_ALL) == {waits}
    assert (await js.stream_info(subjects.REQ_STREAM)).state.messages == 2


async def test_a_leftover_behind_many_that_wait_is_found(gateway: Bus, js: JetStream) -> None:
    """One go looks at so many and no more, the next one goes on, and in the end it begins anew."""
    writer, now = Writer("gateway", new_uid()), time.time() + LATER
    for _ in range(MOST):
        await queue(js, writer, ended=False)
    over = await queue(js, writer, ended=True)
    clearing = Leftovers(js)
    await clearing.clear(now)
    assert over in await items_under(js, subjects.REQ_ALL)
    await clearing.clear(now)
    left = await items_under(js, subjects.REQ_ALL)
    assert len(left) == MOST and over not in left

    oldest = await js.next(subjects.REQ_STREAM, subjects.REQ_ALL, 1)
    assert oldest is not None
    rid = decode(oldest.data, Prompt).request.rid
    event = Cancelled(uid=new_uid(), text="")
    last = await last_event(js, rid)
    assert last is not None
    await append_event(js, "gw1", rid, writer, event, last.seq)
    await clearing.clear(now)
    assert rid not in await items_under(js, subjects.REQ_ALL)
