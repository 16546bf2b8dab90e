"""A worker is noticed while the broker does not answer. Only the broker is made up."""

import asyncio
from typing import Any, TypeVar, cast

import pytest

from mesh.bus.connection import Silence
from mesh.bus.jetstream import JetStream
from mesh.bus.presence import Fleet
from mesh.gateway import models
from mesh.gateway.models import Models
from mesh.protocol.errors import ErrorCode, MeshError
from mesh.protocol.worker_info import ModelCard, WorkerInfo

T = TypeVar("T")

CARD = ModelCard(name="tiny", fingerprint="f", engine="echo", context_length=512)
WORKER = WorkerInfo(
    name="w1", inc="a", protocol=1, version="1", models=(CARD,), slots=1, started=0.0
)


class Deaf:
    """A broker that leaves the first calls unanswered."""

    def __init__(self, calls: int) -> None:
        self.left = calls
        self.declared: list[str] = []

    async def api(self, verb: str, query: object, kind: type[T]) -> T:
        if self.left:
            self.left -= 1
            raise Silence(f"{verb} was not answered")
        self.declared.append(verb)
        return kind()


class OneWorker:
    """A fleet in which the worker is, once it has been noticed."""

    workers: dict[str, WorkerInfo]

    def __init__(self) -> None:
        self.workers = {}

    def answering(self) -> list[WorkerInfo]:
        return list(self.workers.values())


async def test_a_worker_that_comes_while_the_broker_is_silent_is_used_and_its_lanes_are_declared(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(models, "RETRY", 0.01)
    broker, fleet = Deaf(calls=3), OneWorker()
    known = Models(cast(JetStream, broker), cast(Fleet, fleet), "tiny", 6.0, worker_wait=30.0)
    known._known.add("tiny")
    waiting = asyncio.create_task(cast(Any, known).choose("tiny"))
    await asyncio.sleep(0)
    fleet.workers["w1.a"] = WORKER
    async with asyncio.timeout(60):
        await known.noticed(WORKER)
        assert await waiting == "tiny"
    assert not broker.left
    assert any("tiny" in verb for verb in broker.declared)


async def test_who_waited_for_a_worker_in_vain_may_come_back_after_as_long_again() -> None:
    fleet = cast(Fleet, OneWorker())
    known = Models(cast(JetStream, Deaf(0)), fleet, "", 6.0, worker_wait=0.02)
    for name in (None, "tiny"):
        with pytest.raises(MeshError) as caught:
            await known.choose(name)
        assert (caught.value.code, caught.value.retry_after) == (ErrorCode.NO_WORKER, 0.02)
        known._known.add("tiny")
