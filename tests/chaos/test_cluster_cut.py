"""A node is cut off from its cluster, not from its clients: what it missed, nothing tells of.

The other two go on storing what workers write. A gateway at the secluded node keeps its connection
and hears nothing, and nobody repeats it afterwards: only by its look at the log's end, once a
second, does it learn of it. (It would leave that node after a while, and read on elsewhere:
`test_cluster_left.py`. Here it stays.)
"""

import asyncio
import os
import random
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from mesh.bus.connection import BusError
from mesh.protocol import subjects
from tests.chaos.__main__ import report
from tests.chaos.campaign import Outcome
from tests.chaos.checker import Transcript, Verdict, check
from tests.chaos.clients import People
from tests.chaos.cluster import Cluster
from tests.chaos.mesh import ROOT, Service, workers_present
from tests.chaos.plan import Ask
from tests.chaos.story import read_stories, settle
from tests.conftest import free_port

SECLUDED = 2
TRIES = 3
"""On a busy machine all may be answered before the node is cut off: then it has missed nothing."""

STAYING = "the-leaving-of-a-secluded-node"

WARM_UP = Ask(10_000, 0.0, "reader", 5, 1)
ASKS = [Ask(number, 0.0, "reader", 60, 1) for number in range(24)]


@asynccontextmanager
async def cluster_of(folder: Path) -> AsyncIterator[Cluster]:
    cluster = Cluster(folder, ("w1", "w2"), wired=True)
    try:
        await cluster.begin()
        yield cluster
    finally:
        await cluster.end()


@asynccontextmanager
async def mesh_on(cluster: Cluster, folder: Path, *missing: str) -> AsyncIterator[People]:
    """Clients of a gateway that stays at the secluded node, lacking a mechanism besides; workers at
    the others."""
    port = free_port()
    environment = os.environ | {
        "MESH_REPLICAS": "3",
        "MESH_ACK_WAIT": "30",
        "MESH_WORKER_WAIT": "30",
        "MESH_DATA_DIR": str(cluster.folder.data),
        "MESH_CHAOS_CLOCK": "0",
        "PYTHONPATH": str(ROOT),
    }
    there = environment | {"MESH_NATS": cluster.url_of(SECLUDED)}
    others = ",".join(cluster.url_of(node) for node in range(3) if node != SECLUDED)
    words = [word for each in (STAYING, *missing) for word in ("--without", each)]
    services = [Service("gw1", [*words, "gateway", "--port", str(port)], there, folder)]
    for name in ("w1", "w2"):
        flags = ["worker", "--engine", "echo", "--echo-rate", "40", "--worker-name", name]
        flags += ["--slots", "16"]
        services.append(Service(name, flags, environment | {"MESH_NATS": others}, folder))
    url = f"http://127.0.0.1:{port}"
    try:
        await workers_present(url, 2)
        yield People([url], random.Random(1), patience=20.0)
    finally:
        for service in services:
            service.end()


async def lead_elsewhere(cluster: Cluster) -> None:
    """Have the log led by a node that is not the secluded one."""
    while await cluster.leader(subjects.RUN_STREAM) == SECLUDED:
        await asyncio.to_thread(cluster.kill, SECLUDED)
        await asyncio.sleep(5.0)  # the others agree on another leader
        cluster.start(SECLUDED)
        await asyncio.to_thread(cluster.wait, SECLUDED)


def all_have_begun(transcripts: list[Transcript]) -> bool:
    return all(each.pieces for each in transcripts) and len(transcripts) > len(ASKS)


async def all_have_ended(cluster: Cluster) -> None:
    """Wait until the nodes that are left have stored every end, and nothing else is to come."""
    async with asyncio.timeout(60):
        while True:
            with suppress(BusError):  # of the nodes that are left one may lag behind
                if all(story.run.end for story in await read_stories(cluster)):
                    return
            await asyncio.sleep(0.2)


async def secluded_amid(folder: Path, *missing: str) -> Verdict:
    """What is found after a node was cut off while all answers of its gateway were written."""
    async with cluster_of(folder) as cluster, mesh_on(cluster, folder, *missing) as people:
        await asyncio.wait_for(people.ask(WARM_UP), 90)
        await lead_elsewhere(cluster)
        await asyncio.wait_for(people.ask(WARM_UP), 90)
        async with asyncio.TaskGroup() as group:
            for one in ASKS:
                group.create_task(people.ask(one))
            async with asyncio.timeout(60):
                while not all_have_begun(people.transcripts):
                    await asyncio.sleep(0.02)
            async with cluster.seclusion(SECLUDED):
                await all_have_ended(cluster)
        stories = await settle(cluster, 30)
        return check(stories, [*ASKS, WARM_UP], people.transcripts, None)


def told(verdict: Verdict) -> str:
    return report(Outcome(verdict=verdict, faults=Counter()))


@pytest.mark.timeout(300)
async def test_what_a_secluded_node_missed_is_found_by_looking(tmp_path: Path) -> None:
    verdict = await secluded_amid(tmp_path)
    assert verdict.clean, told(verdict)


@pytest.mark.timeout(300)
async def test_without_the_look_at_the_end_it_is_noticed(tmp_path: Path) -> None:
    for attempt in range(TRIES):
        folder = tmp_path / str(attempt)
        folder.mkdir()
        verdict = await secluded_amid(folder, "the-look-at-the-end")
        if verdict.never_ended > 0:
            return
    pytest.fail(told(verdict))
