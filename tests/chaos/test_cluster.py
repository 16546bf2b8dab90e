"""Three brokers: a leader dies, a node is away, all are restarted in turn. Nothing is lost."""

import asyncio
import os
import random
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from mesh.protocol import subjects
from tests.chaos.__main__ import report
from tests.chaos.campaign import Outcome
from tests.chaos.checker import check
from tests.chaos.clients import People
from tests.chaos.cluster import Cluster
from tests.chaos.mesh import ROOT, Service, workers_present
from tests.chaos.plan import Ask
from tests.chaos.story import settle
from tests.conftest import free_port

SETTINGS = {
    "MESH_REPLICAS": "3",
    "MESH_ACK_WAIT": "30",
    "MESH_POISON_AFTER": "1000",
    "MESH_POISON_IN_ALL": "1000",
    "MESH_WORKER_WAIT": "30",
    "PYTHONPATH": str(ROOT),
}


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[Cluster]:
    cluster = Cluster(tmp_path, ("w1", "w2"))
    try:
        await cluster.begin()
        yield cluster
    finally:
        await cluster.end()


@pytest.fixture
async def people(cluster: Cluster, tmp_path: Path) -> AsyncIterator[People]:
    """Clients of a gateway and two workers that know all nodes."""
    port = free_port()
    environment = os.environ | SETTINGS | {
        "MESH_DATA_DIR": str(cluster.folder.data),
        "MESH_NATS": cluster.urls,
        "MESH_CHAOS_CLOCK": "0",
    }  # fmt: skip
    worker = ["worker", "--engine", "echo", "--echo-rate", "40", "--worker-name"]
    services = [Service("gw1", ["gateway", "--port", str(port)], environment, tmp_path)]
    services += [Service(name, [*worker, name], environment, tmp_path) for name in ("w1", "w2")]
    url = f"http://127.0.0.1:{port}"
    try:
        await workers_present(url, 2)
        yield People([url], random.Random(1), patience=90.0)
    finally:
        for service in services:
            service.end()


async def trouble(cluster: Cluster) -> None:
    """The leader of the log dies; a node is away for a while; all are restarted in turn."""
    await asyncio.sleep(2.0)
    leader = await cluster.leader(subjects.RUN_STREAM)
    await asyncio.to_thread(cluster.kill, leader)
    await asyncio.sleep(5.0)
    cluster.start(leader)
    await asyncio.to_thread(cluster.wait, leader)
    await asyncio.sleep(3.0)
    for node in range(3):
        await asyncio.to_thread(cluster.stop, node)
        await asyncio.sleep(1.0)
        cluster.start(node)
        await asyncio.to_thread(cluster.wait, node)
        await asyncio.sleep(4.0)


@pytest.mark.timeout(400)
async def test_a_cluster_of_brokers_loses_nothing(cluster: Cluster, people: People) -> None:
    asks = [Ask(number, 0.0, "reader", 60, 1) for number in range(120)]
    await asyncio.wait_for(people.ask(Ask(10_000, 0.0, "reader", 5, 1)), 90)

    async def ask(one: Ask) -> None:
        await asyncio.sleep(0.2 * one.number)
        await people.ask(one)

    await asyncio.gather(trouble(cluster), *(ask(one) for one in asks))
    stories = await settle(cluster, 60)
    verdict = check(stories, [*asks, Ask(10_000, 0.0, "reader", 5, 1)], people.transcripts, None)
    said = report(Outcome(verdict=verdict, faults=Counter()))
    assert verdict.clean, said
    assert set(verdict.ends) == {"done"}, said
