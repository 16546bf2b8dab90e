"""What writes for an address is let go when nobody writes there, and its chain goes on later."""

import asyncio

from mesh.bus.entries import read_frame
from mesh.bus.frame_writers import FrameWriters
from mesh.bus.jetstream import JetStream
from mesh.bus.lasting import Lasting
from mesh.protocol import subjects
from mesh.protocol.subjects import Writer
from tests.integration.bus.conftest import Connect

WORKER = Writer("w1", "a")


async def test_no_piece_is_lost_between_one_writer_and_the_next(
    js: JetStream, connect: Connect
) -> None:
    lasting = Lasting()
    writers = FrameWriters(JetStream(await connect("w1")), WORKER, lambda rid: None, lasting)
    for turn in range(6):
        reply = f"gw{turn % 2}"
        frames = writers.at(reply)
        frames.put("r", 1, turn, f"{turn} ", None)
        writers.let_go(())
        assert writers.at(reply) is frames, "it has something to write yet"
        while frames._open:
            await asyncio.sleep(0)
        writers.let_go(())
        assert writers.at(reply) is frames, "it does not know yet whether that is stored"
        await frames.stored("r", 1)
        writers.let_go({reply})
        assert writers.at(reply) is frames and len(writers) == 1
        writers.let_go(())
        assert len(writers) == 0
    await asyncio.sleep(0.01)
    said = []
    for reply in ("gw0", "gw1"):
        reading = js.read(subjects.RUN_STREAM, subjects.tokens(reply, WORKER), 1, 100)
        async for batch in reading:
            for stored in batch:
                frame = read_frame(stored)
                said += frame.entries[0].texts if frame is not None else []
    assert said == ["0 ", "2 ", "4 ", "1 ", "3 ", "5 "]
    await lasting.close()
