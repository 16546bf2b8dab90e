"""Every subject of a running mesh gets spoilt messages, from those who may publish there.

What is asked is answered or refused, what is stored is passed over, and the mesh goes on. Subjects
and messages are the catalogue's, so a new one is covered by standing there.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from random import Random
from typing import Any

import msgspec
import pytest
from msgspec import Struct

from mesh.bus.api import ApiError
from mesh.bus.connection import Bus, BusError, NoResponders
from mesh.bus.jetstream import JetStream
from mesh.bus.presence import present
from mesh.protocol.catalogue import CHANNELS, Channel, Kind, Role
from mesh.protocol.errors import ErrorCode
from mesh.protocol.questions import CancelRun, Drain, LoadModel, Refused
from tests.chatting import answer, new_chat, ok
from tests.hostile import SEED, rounds, spoilt
from tests.unit.protocol.test_fuzz import golden
from tests.whole_mesh import ECHO, SINGLE, Mesh

MAD = "mad"
"""A worker's user that is used by hand."""

USERS = {Role.GATEWAY: "gateway", Role.OPERATOR: "operator", Role.WORKER: MAD, Role.STORE: "store"}
RUNNING = {Role.GATEWAY, Role.STORE, Role.WORKER}
MEANT = (Drain, LoadModel)
"""Orders that do what they say, spoilt or not: who gets one may be gone."""

UNANSWERED = (CancelRun,)
"""An order that is carried out without a word, among others that are answered."""

PATIENCE = 30.0
"""Seconds for an answer, on the busiest machine."""


@pytest.fixture
def two_workers(new_mesh: Callable[..., Mesh]) -> Mesh:
    mesh = new_mesh()
    mesh.start("store", "gateway", ECHO, SINGLE)
    return mesh


@pytest.fixture
async def buses(two_workers: Mesh) -> AsyncIterator[dict[Role, Bus]]:
    """A connection for each role."""
    broker = two_workers.broker
    found = {
        role: await Bus.connect([broker.url], *broker.credentials(user))
        for role, user in USERS.items()
    }
    yield found
    for bus in found.values():
        await bus.close()


async def spoil(bus: Bus, user: str, channel: Channel, tokens: dict[str, str]) -> list[str]:
    """Send spoilt messages on a channel; returns what is wrong with the answers."""
    rng = Random(f"{SEED} {channel.pattern}")
    complaints = []
    for kind in channel.messages:
        if kind in MEANT:
            continue
        for _ in range(rounds(6)):
            data = spoilt(rng, rng.choice(golden(kind)))
            subject = channel.example(user=user, query=str(kind.__struct_config__.tag), **tokens)
            asks = bool(channel.answers) and kind not in UNANSWERED
            found = await say(bus, channel, subject, data, asks)
            if found:
                complaints.append(f"{subject} {data[:200]!r}: {found}")
    return complaints


async def say(bus: Bus, channel: Channel, subject: str, data: bytes, asks: bool) -> str:
    """Send one message; what is wrong with its answer, if one is due and comes."""
    try:
        if channel.kind is Kind.STREAM:
            await JetStream(bus, PATIENCE).append(subject, data)
        elif asks:
            reply = await bus.request(subject, data, PATIENCE)
            return wrong(reply.data, channel.answers)
        else:
            await bus.publish(subject, data)
    except ApiError:
        pass  # a queue may have its own reasons
    except NoResponders as error:
        return str(error) if RUNNING & set(channel.subscribers) else ""
    except BusError as error:
        return f"{type(error).__name__}: {error}"
    return ""


def wrong(data: bytes, kinds: tuple[type[Struct], ...]) -> str:
    """Whether an answer is none of its kind, or a failure inside."""
    reply: Any = msgspec.json.decode(data)
    if reply.get("type") not in {kind.__struct_config__.tag for kind in kinds} | {"refused"}:
        return f"an answer of another kind: {reply}"
    internal = reply["type"] == "refused" and (
        msgspec.convert(reply, Refused).code is ErrorCode.INTERNAL
    )
    return "it failed inside" if internal else ""


@pytest.mark.timeout(400)
async def test_nobody_falls_over_whatever_is_said(
    two_workers: Mesh, buses: dict[Role, Bus], caplog: pytest.LogCaptureFixture
) -> None:
    print(f"MESH_FUZZ_SEED={SEED}")
    workers = await present(JetStream(buses[Role.OPERATOR]))
    single = next(worker for worker in workers if worker.name == SINGLE)
    tokens = {"worker": SINGLE, "model": ECHO, "reply": "gateway"}
    complaints: list[str] = []
    for channel in CHANNELS:
        for role in set(channel.publishers) & USERS.keys():
            inc = single.inc if "<worker>" in channel.pattern else "i1"
            spelled = tokens | {"inc": inc}
            complaints += await spoil(buses[role], USERS[role], channel, spelled)
    await asyncio.sleep(2.5)  # everybody looks at what was said at least once
    async with await two_workers.client("after garbage") as http:
        told = await answer(http, await new_chat(http), "still there")
        assert told["content"] == "still there"
        health = ok(await http.get("/v1/health"))
        assert (health["broker"], health["store"]) == ("ok", "ok")
        assert ok(await http.get("/workers"))
    crashed = [each for each in caplog.records if each.exc_info and each.levelno >= logging.ERROR]
    complaints += [f"crashed: {each.getMessage()} {each.exc_info}" for each in crashed]
    assert not complaints, "\n".join([f"{len(complaints)} complaints", *complaints[:30]])
