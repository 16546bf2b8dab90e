"""A worker that has gone mad writes to the requests of others what nobody can mean.

It may spoil what it has taken. But that has its end by its deadline, is kept and counted, nobody
else is held up, and nothing is written where the worker may not write.
"""

import asyncio
import time
from typing import Any

import httpx
import msgspec

from mesh.bus.connection import Bus
from mesh.bus.history import anchor, last_event
from mesh.bus.jetstream import JetStream
from mesh.bus.stored import fence
from mesh.protocol import subjects
from mesh.protocol.chats import GetRun, RunRow
from mesh.protocol.codec import decode
from mesh.protocol.events import Cancelled, Done, Failed
from mesh.protocol.numbers import EXACT, MOST_TOKENS
from mesh.protocol.subjects import Writer
from tests.acceptance.conftest import Processes
from tests.acceptance.reading import SLOW, Reading
from tests.truth import truth_of

MAD = Writer("mad", "i1")
DEADLINE = 5.0
SWEEPING = subjects.lease("sweeping")
LONG = 20_000
TOO_LARGE = (-1, EXACT, 2**63, 10**400, 10**4300 - 1)
COUNTS = ("prompt_tokens", "completion_tokens", "cached_tokens", "reasoning_tokens")
TIMES = ("queue", "first_token", "generate", "gap")

Said = dict[str, Any]


def claim(n: int, ack_reply: str = "x", **more: object) -> Said:
    said = {"type": "claim", "uid": "c", "n": n, "item": 1, "ack_reply": ack_reply, "model": "echo"}
    return said | more


def done(count: int, seconds: float, **more: object) -> Said:
    said = {"type": "done", "uid": "d", "finish": "stop", "text": "mad", "n": 2}
    measured = {"usage": dict.fromkeys(COUNTS, count), "timings": dict.fromkeys(TIMES, seconds)}
    return said | measured | more


HOLDING = [claim(2, SWEEPING)]
"""Takes a request, and says nothing of it any more."""

BESIDE = "another-gateway"
"""An address that is not that of the request."""

HOSTILE = {
    "claims that nobody can read": [claim(n) for n in TOO_LARGE] + [claim(2, item=10**400)],
    "claims that count for nothing": [claim(0), claim(1), claim(EXACT - 1), *HOLDING],
    "ends that nobody can read": [*HOLDING, *(done(1, 1.0, n=n) for n in TOO_LARGE)],
    "an end that counts too much": [*HOLDING, done(2**63 - 1, 1e308)],
    "an end that counts far too much": [*HOLDING, done(10**400, 1e308)],
    "an end that counts backwards": [*HOLDING, done(-1, -1e308)],
    "what befalls workers": [
        *HOLDING,
        {"type": "worker_stopped", "uid": "s", "name": "mad", "inc": "i1", "reason": "stopped"},
    ],
    "a word at another's address": [*HOLDING, {"type": "cancel", "uid": "s", "reply": BESIDE}],
    "an end at another's address": [*HOLDING, done(1, 1.0, reply=BESIDE)],
    "a claim at another's address": [*HOLDING, claim(3, reply=BESIDE)],
}
"""What it writes to a request that another is at work on, in order."""


async def spoil(processes: Processes, rid: str, messages: list[Said]) -> None:
    """Write to a request's story as a worker may, each message behind the last one."""
    broker = processes.broker
    mad = await Bus.connect([broker.url], *broker.credentials(MAD.user), name=str(MAD))
    gateway = await Bus.connect([broker.url], *broker.credentials("gateway"))
    try:
        for message in messages:
            began = await anchor(JetStream(gateway), rid)
            assert began is not None
            own = began[1].request.reply
            last = await last_event(JetStream(gateway), rid, own)
            assert last is not None
            subject = subjects.event(message.get("reply", own), rid, MAD)
            headers = fence(last.seq, subjects.events_of(rid, own))
            await JetStream(mad).append(subject, msgspec.json.encode(message), headers)
        await asyncio.sleep(1.0)
    finally:
        await mad.close()  # which is when its requests are given to others
        await gateway.close()


async def what_is_kept(processes: Processes, rids: list[str]) -> list[RunRow]:
    """What the store has of requests."""
    gateway = await Bus.connect([processes.broker.url], *processes.broker.credentials("gateway"))
    try:
        found = [await gateway.ask(subjects.store("get_run"), GetRun(rid=rid)) for rid in rids]
        return [decode(answer.data, RunRow) for answer in found]
    finally:
        await gateway.close()


async def leases(processes: Processes) -> list[bytes]:
    """Whatever was written of who sweeps."""
    gateway = await Bus.connect([processes.broker.url], *processes.broker.credentials("gateway"))
    try:
        stream = JetStream(gateway).read(subjects.LEASES_STREAM, SWEEPING, 1, 2**62)
        return [stored.data async for batch in stream for stored in batch]
    finally:
        await gateway.close()


def test_what_nobody_can_mean_holds_nobody_up(processes: Processes) -> None:
    flags = ("--request-timeout", str(DEADLINE), "--ack-wait", "2")
    gateway = processes.gateway(*flags)
    processes.store()
    processes.worker("w1", *SLOW, "--slots", "16")
    processes.await_workers(1)
    processes.await_store()
    rids: dict[str, str] = {}
    for what in HOSTILE:
        reading = Reading(processes.url, LONG, key=what)
        reading.start()
        reading.await_tokens(5)
        (rids[what],) = truth_of(processes.broker).runs.keys() - set(rids.values())
    began = time.monotonic()

    async def spoil_all() -> None:
        await asyncio.gather(
            *(spoil(processes, rids[what], said) for what, said in HOSTILE.items())
        )

    asyncio.run(spoil_all())
    innocent = Reading.whole(processes.url, 20, key="innocent")
    assert innocent.last

    def without_end() -> list[str]:
        runs = truth_of(processes.broker).runs
        return [what for what, rid in rids.items() if runs[rid].end is None]

    while lacking := without_end():
        assert time.monotonic() - began < DEADLINE + 15, lacking
        time.sleep(0.3)
    Reading.whole(processes.url, 20, key="afterwards")

    time.sleep(1.0)  # the store follows
    runs = truth_of(processes.broker).runs
    rows = asyncio.run(what_is_kept(processes, list(runs)))
    states = {Done: "done", Failed: "failed", Cancelled: "cancelled"}
    for (rid, run), row in zip(runs.items(), rows, strict=True):
        assert run.end is not None and row.state == states[type(run.end)], rid
        assert row.text == run.end.text and 0 <= row.usage.prompt_tokens <= MOST_TOKENS
    for what, rid in rids.items():
        mad = "an end that counts" in what
        assert isinstance(runs[rid].end, Done) == mad, f"{what}: {runs[rid].end}"
    assert b"-NAK" not in asyncio.run(leases(processes))
    assert "mesh_requests_ended" in httpx.get(f"{processes.url}/metrics").text
    assert "Traceback" not in gateway.log.read_text()
