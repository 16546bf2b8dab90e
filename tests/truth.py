"""The truth about a mesh, read from its log alone and held against what others say."""

import asyncio
from collections import defaultdict
from contextlib import suppress

from mesh.bus.connection import Bus, NoResponders, Silence
from mesh.bus.entries import apply, read_event
from mesh.bus.jetstream import JetStream
from mesh.bus.stored import Stored
from mesh.protocol import subjects
from mesh.protocol.events import Cancelled, Claim, Done, Failed, Queued
from mesh.protocol.run import Run
from mesh.protocol.tool_story import WRITER
from tests.conftest import Broker


class Truth:
    """Every request's story as the log has it. claims: who claimed a request, in order."""

    def __init__(self) -> None:
        self.runs: dict[str, Run] = {}
        self.claims: defaultdict[str, list[str]] = defaultdict(list)
        self.ends: defaultdict[str, int] = defaultdict(int)

    def add(self, stored: Stored) -> None:
        where = subjects.parse_run(stored.subject)
        if where.kind == "evt":
            match read_event(stored):
                case Queued():
                    self.runs.setdefault(where.rid, Run())
                case Claim() if where.writer.user != WRITER:
                    self.claims[where.rid].append(where.writer.user)
                case Done() | Failed() | Cancelled():
                    self.ends[where.rid] += 1
                case _:
                    pass
        apply(self.runs, stored)

    def check(self) -> None:
        """Every request has exactly one end, and its seal fits what was written."""
        for rid, run in self.runs.items():
            assert run.end is not None and run.end_writer is not None, f"{rid} has no end"
            assert self.ends[rid] == 1, f"{rid} has {self.ends[rid]} ends"
            assert run.sealed(), f"the seal of {rid} does not fit its {len(run.texts)} pieces"
            if run.end.seal is not None or run.end_writer.user == WRITER:
                assert run.end.text == run.text


async def read_truth(broker: Broker) -> Truth:
    """Read the whole log as the gateway may."""
    name, password = broker.credentials("gateway")
    bus = await Bus.connect([broker.url], name, password, "truth")
    try:
        js = JetStream(bus, timeout=5.0)
        for _ in range(20):
            with suppress(NoResponders, Silence):
                return await _read(js)
            await asyncio.sleep(0.1)
        return await _read(js)
    finally:
        await bus.close()


async def _read(js: JetStream) -> Truth:
    """A broker that reads its users anew says for a moment that nobody answers there, and one on a
    busy machine may be late."""
    truth = Truth()
    last = await js.end(subjects.RUN_STREAM)
    async for batch in js.read(subjects.RUN_STREAM, subjects.RUN_ALL, 1, last):
        for stored in batch:
            truth.add(stored)
    return truth


def truth_of(broker: Broker) -> Truth:
    """`read_truth` for tests that have no event loop."""
    return asyncio.run(read_truth(broker))
