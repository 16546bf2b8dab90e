"""Appends to a real log: of two who want the same, exactly one succeeds; trouble costs nothing."""

import asyncio

import msgspec
import pytest
from msgspec.structs import replace

from mesh.bus.api import ApiError
from mesh.bus.appender import Fenced, append_event, new_uid
from mesh.bus.connection import Bus, BusError
from mesh.bus.entries import apply
from mesh.bus.frames import BACKLOG, FrameWriter, Unwritten
from mesh.bus.history import story
from mesh.bus.jetstream import JetStream
from mesh.bus.stored import fence
from mesh.bus.topology import declare, run_stream
from mesh.protocol import subjects
from mesh.protocol.codec import decode_frame, encode
from mesh.protocol.events import Cancel, Claim, Queued, WorkerStopped
from mesh.protocol.frames import Odds
from mesh.protocol.run import Run
from mesh.protocol.subjects import Writer
from mesh.settings import Limits
from tests.conftest import Broker
from tests.integration.bus.conftest import Connect, a_request
from tests.proxy import Proxy

GATEWAY = Writer("gateway", "a")
AT_ANOTHER = subjects.event("gw2", "r1", Writer("w2", "a"))
RUN: dict[str, object] = msgspec.to_builtins(run_stream(Limits()))


def queued(rid: str, reply: str) -> Queued:
    return Queued(uid=new_uid(), request=replace(a_request(rid), reply=reply))


async def queue(js: JetStream, rid: str, reply: str = "gw1") -> int:
    return await append_event(js, reply, rid, GATEWAY, queued(rid, reply), 0)


def claim(n: int = 1) -> Claim:
    return Claim(uid=new_uid(), n=n, item=1, ack_reply="a", model="m")


async def frames_of(js: JetStream, writer: Writer) -> list[list[str]]:
    """The text of each frame that a writer has stored, piece by piece."""
    found: list[list[str]] = []
    async for batch in js.read(subjects.RUN_STREAM, subjects.tokens("gw1", writer), 1, 1 << 40):
        for stored in batch:
            entries = decode_frame(stored.data).entries
            found.append([text for entry in entries for text in entry.texts])
    return found


async def texts(js: JetStream, writer: Writer) -> list[str]:
    """All text that a writer has stored, piece by piece."""
    return [text for frame in await frames_of(js, writer) for text in frame]


async def test_declaring_again_changes_limits_and_keeps_messages(js: JetStream) -> None:
    await queue(js, "r1")
    await declare(js, Limits(run_max_age=300.0))
    info = await js.stream_info(subjects.RUN_STREAM)
    assert info.state.messages == 1
    assert info.config.max_age == 300 * 10**9


async def test_of_many_claims_on_one_sequence_exactly_one_stands(
    js: JetStream, connect: Connect
) -> None:
    seq = await queue(js, "r1")
    workers = [(JetStream(await connect(f"w{k}")), Writer(f"w{k}", "a")) for k in range(4)]
    outcomes = await asyncio.gather(
        *(append_event(js, "gw1", "r1", writer, claim(), seq) for js, writer in workers),
        return_exceptions=True,
    )
    assert sum(isinstance(outcome, int) for outcome in outcomes) == 1
    assert sum(isinstance(outcome, Fenced) for outcome in outcomes) == 3


async def test_a_request_begins_at_one_address_only(js: JetStream) -> None:
    await queue(js, "r1")
    with pytest.raises(Fenced):
        await queue(js, "r1", "gw2")


async def test_what_somebody_writes_of_it_at_another_stands_in_nobody_s_way(
    js: JetStream, connect: Connect
) -> None:
    """And is none of it, for whoever asks how it stands: neither in front of what was written
    since, nor as its last event, nor as another beginning."""
    mad, sane = JetStream(await connect("w2")), JetStream(await connect("w1"))
    last = await queue(js, "r1")
    stray = await mad.append(AT_ANOTHER, encode(claim()), fence(last, subjects.events_of("r1")))
    last = await append_event(sane, "gw1", "r1", Writer("w1", "a"), claim(), last)
    assert last > stray
    for event in (queued("r1", "gw2"), claim(7), Cancel(uid="c")):
        await mad.append(AT_ANOTHER, encode(event), {})
        run = await story(js, "r1")
        assert run is not None and run.queued is not None
        assert (run.n, run.last, run.cancel, run.queued.request.reply) == (1, last, False, "gw1")
    last = await append_event(js, "gw1", "r1", GATEWAY, Cancel(uid="c"), last)
    run = await story(js, "r1")
    assert run is not None and (run.n, run.last, run.cancel) == (1, last, True)


async def test_what_somebody_writes_of_it_out_of_its_order_hides_nothing(
    js: JetStream, connect: Connect
) -> None:
    """Fenced with nothing, with another request, or told of a worker: whoever is next to write
    has to follow on it, so it is behind the last event for everybody."""
    other = await queue(js, "r0")
    began = last = await queue(js, "r1")
    mad = JetStream(await connect("w2"))
    subject = subjects.event("gw1", "r1", Writer("w2", "a"))
    gone = WorkerStopped(uid="s", name="w2", inc="a", reason="stopped")
    for n, behind in enumerate(("", "r0", "r1")):
        for event in (claim(n + 1), gone):
            seq = other if behind == "r0" else last
            headers = fence(seq, subjects.events_of(behind)) if behind else {}
            last = await mad.append(subject, encode(event), headers)
            run = await story(js, "r1")
            assert run is not None and run.queued is not None
            assert (run.queued_at, run.n, run.last) == (began, n + 1, last)


async def test_however_much_waits_it_is_stored_in_frames_that_the_broker_takes(
    js: JetStream, connect: Connect
) -> None:
    """Pieces with their odds, as many as may wait while the broker is away."""
    writer = Writer("w1", "a")
    frames = FrameWriter(JetStream(await connect("w1")), "gw1", writer)
    odds = Odds(-0.1, tuple((f"token {k}", -0.123456789) for k in range(20)))
    pieces = [f"{k} " for k in range(BACKLOG)]
    assert len(pieces) * len(encode(odds)) > js.bus.max_payload
    for k, piece in enumerate(pieces):
        frames.put("r1", 1, k, piece, (k,), odds)
    writing = asyncio.create_task(frames.run())
    storing = asyncio.create_task(frames.stored("r1", 1))
    await asyncio.wait([writing, storing], return_when=asyncio.FIRST_COMPLETED)
    writing.cancel()
    assert storing.done()
    run = Run()
    run.event(claim(), writer, 1)
    async for batch in js.read(subjects.RUN_STREAM, subjects.tokens("gw1", writer), 1, 1 << 40):
        for stored in batch:
            apply({"r1": run}, stored)
    assert run.texts == pieces
    assert run.ids == [(k,) for k in range(len(pieces))]
    assert run.odds == [odds] * len(pieces)


async def test_an_append_waits_for_a_broker_that_is_away(js: JetStream, broker: Broker) -> None:
    broker.kill()
    appending = asyncio.create_task(queue(js, "r1"))
    await asyncio.sleep(0.3)
    assert not appending.done()
    await asyncio.to_thread(broker.start)
    assert await asyncio.wait_for(appending, 60) == 1


async def test_an_append_whose_answer_was_lost_is_fenced_by_itself(js: JetStream) -> None:
    """The second try of an append that had landed is refused, and names the first."""
    seq = await queue(js, "r1")
    with pytest.raises(Fenced) as caught:
        await queue(js, "r1")
    assert caught.value.found == seq


async def test_frames_keep_every_piece_in_order_through_a_restart(
    connect: Connect, js: JetStream, broker: Broker
) -> None:
    writer = Writer("w1", new_uid())
    frames = FrameWriter(JetStream(await connect("w1")), "gw1", writer)
    running = asyncio.create_task(frames.run())
    for index in range(400):
        frames.put("r1", 1, index, f"{index} ", (index,))
        if index == 200:
            await asyncio.to_thread(broker.kill)
            await asyncio.to_thread(broker.start)
        await asyncio.sleep(0.001)
    await asyncio.wait_for(frames.stored("r1", 1), 60)
    running.cancel()
    assert await texts(js, writer) == [f"{index} " for index in range(400)]


async def test_a_frame_waits_its_turn_but_for_what_an_answer_begins_or_ends_with(
    connect: Connect, js: JetStream, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever is in the middle of an answer waits on, though others do not."""
    monkeypatch.setattr("mesh.bus.frames.PACE", 3600.0)
    writer = Writer("w1", new_uid())
    frames = FrameWriter(JetStream(await connect("w1")), "gw1", writer)
    running = asyncio.create_task(frames.run())
    async with asyncio.timeout(60):
        frames.put("r1", 1, 0, "a", None)
        while await texts(js, writer) != ["a"]:
            await asyncio.sleep(0.01)
        for index, text in enumerate("bcd", 1):
            frames.put("r1", 1, index, text, None)
            await asyncio.sleep(0.05)
        frames.put("r2", 1, 0, "A", None)  # begins
        while len(await frames_of(js, writer)) < 2:
            await asyncio.sleep(0.01)
        frames.put("r2", 1, 1, "B", None)
        frames.put("r1", 1, 4, "e", None)
        assert not frames.idle
        await frames.stored("r1", 1)  # ends
        await frames.stored("r2", 1)
        assert frames.idle
    running.cancel()
    assert await frames_of(js, writer) == [["a"], ["A"], ["b", "c", "d", "e"], ["B"]]


async def test_who_is_in_the_middle_of_an_answer_waits_no_longer_for_others_who_hurry(
    connect: Connect, js: JetStream
) -> None:
    writer = Writer("w1", new_uid())
    frames = FrameWriter(JetStream(await connect("w1")), "gw1", writer)
    running = asyncio.create_task(frames.run())
    async with asyncio.timeout(60):
        frames.put("long", 1, 0, "a", None)
        await frames.stored("long", 1)
        frames.put("long", 1, 1, "b", None)
        for k in range(1000):  # there is always somebody who hurries
            frames.put(f"r{k}", 1, 0, "A", None)
            await frames.stored(f"r{k - 1}", 1)
            if frames._open.keys() <= {(f"r{k}", 1)}:
                break
    running.cancel()
    assert 0 < k < 500


async def test_whoever_waits_for_what_cannot_be_written_is_told(
    connect: Connect, js: JetStream, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: object) -> int:
        raise RuntimeError("out of order")

    broken = JetStream(await connect("w1"))
    monkeypatch.setattr(broken, "append", fail)
    frames = FrameWriter(broken, "gw1", Writer("w1", new_uid()))
    frames.put("r1", 1, 0, "a", None)
    running = asyncio.create_task(frames.run())
    with pytest.raises(Unwritten):
        await asyncio.wait_for(frames.stored("r1", 1), 30)
    with pytest.raises(RuntimeError):
        await running


async def test_a_frame_that_had_landed_is_not_written_twice(broker: Broker, js: JetStream) -> None:
    """A writer that did not hear of its frame tries again, is refused, and goes on behind it."""
    writer = Writer("w1", new_uid())
    name, password = broker.credentials("w1")
    async with Proxy(broker.port) as proxy:
        bus = await Bus.connect([proxy.url], name, password)
        frames = FrameWriter(JetStream(bus), "gw1", writer)
        running = asyncio.create_task(frames.run())
        proxy.deaf = True
        frames.put("r1", 1, 0, "a", None)
        await asyncio.wait_for(proxy.swallowed.wait(), 30)
        proxy.cut()
        frames.put("r1", 1, 1, "b", None)
        await asyncio.wait_for(frames.stored("r1", 1), 60)
        running.cancel()
        await bus.close()
    assert await texts(js, writer) == ["a", "b"]


async def test_pieces_of_unknown_ids_leave_the_ids_of_their_entry_unknown(
    connect: Connect, js: JetStream
) -> None:
    """A list of ids shorter than the texts would give pieces the ids of others."""
    writer = Writer("w1", new_uid())
    frames = FrameWriter(JetStream(await connect("w1")), "gw1", writer)
    for index, ids in enumerate([(1,), None, (3,)]):
        frames.put("r1", 1, index, "a", ids)
    running = asyncio.create_task(frames.run())
    await frames.stored("r1", 1)
    running.cancel()
    stored = await js.last(subjects.RUN_STREAM, subjects.tokens("gw1", writer))
    assert stored is not None
    (entry,) = decode_frame(stored.data).entries
    assert (entry.texts, entry.ids) == (["a", "a", "a"], None)


async def test_what_the_expired_subject_of_a_writer_expects_is_zero(
    connect: Connect, js: JetStream
) -> None:
    writer = Writer("w1", new_uid())
    frames = FrameWriter(JetStream(await connect("w1")), "gw1", writer)
    running = asyncio.create_task(frames.run())
    frames.put("r1", 1, 0, "a", None)
    await frames.stored("r1", 1)
    await js.api("STREAM.UPDATE.RUN", {**RUN, "max_msgs": 1}, dict)  # only the next one stays
    await queue(js, "r2")
    frames.put("r1", 1, 1, "b", None)
    await asyncio.wait_for(frames.stored("r1", 1), 60)
    running.cancel()
    assert await texts(js, writer) == ["b"]


async def test_a_missing_consumer_is_an_error_with_its_code(js: JetStream) -> None:
    with pytest.raises(ApiError) as caught:
        await js.consumer_info(subjects.REQ_STREAM, "nobody")
    assert caught.value.code == 10014  # JSConsumerNotFoundErr


async def test_a_stream_that_does_not_answer_is_not_an_empty_one(connect: Connect) -> None:
    """Else a worker that takes over while the broker restarts would begin from nothing."""
    js = JetStream(await connect("gateway"))
    with pytest.raises(BusError):
        async for _ in js.read(subjects.RUN_STREAM, subjects.RUN_ALL, 1, 10):
            pass


async def test_an_empty_stream_is_read_to_its_end(js: JetStream) -> None:
    assert [batch async for batch in js.read(subjects.RUN_STREAM, subjects.RUN_ALL, 1, 10)] == []
