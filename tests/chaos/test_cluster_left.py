"""A node is cut off from its cluster, not from its clients, for as long as a test likes: who was
connected to it leaves it, and goes on at another one.
"""

import asyncio
import os
import random
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from mesh.bus.connection import Bus, BusError
from mesh.bus.jetstream import JetStream
from mesh.bus.seclusion import Seclusion
from mesh.protocol import subjects
from tests.chaos.__main__ import report
from tests.chaos.campaign import Outcome
from tests.chaos.checker import check
from tests.chaos.clients import People
from tests.chaos.cluster import Cluster
from tests.chaos.mesh import ROOT, Service, workers_present
from tests.chaos.plan import Ask
from tests.chaos.story import settle
from tests.chaos.test_cluster_cut import SECLUDED, all_have_begun, cluster_of
from tests.conftest import free_port

PATIENCE = 120.0
"""Seconds in which an answer has to come from a cluster of which one node is secluded. A leader
that is cut off takes itself for one for twenty; on a quiet machine it is ten to forty in all."""

ASKS = [Ask(number, 0.0, "reader", 60, 1) for number in range(24)]
WARM_UP, MEANWHILE, AFTERWARDS = (Ask(number, 0.0, "reader", 5, 1) for number in range(100, 103))


class Here(People):
    """People who say which of them were not answered."""

    def unanswered(self) -> list[int]:
        return [each.number for each in self.transcripts if each.ended != "done"]


@asynccontextmanager
async def mesh_on(cluster: Cluster, folder: Path) -> AsyncIterator[tuple[Here, Service]]:
    """Clients of a gateway at the node that is to be secluded, where one of two workers is as well;
    and the other worker."""
    port = free_port()
    environment = os.environ | {
        "MESH_REPLICAS": "3",
        "MESH_ACK_WAIT": "30",
        "MESH_WORKER_WAIT": "30",
        "MESH_DATA_DIR": str(cluster.folder.data),
        "MESH_CHAOS_CLOCK": "0",
        "MESH_LOG_LEVEL": "info",
        "PYTHONPATH": str(ROOT),
    }
    # Told of one address they begin there; they hear of the others' from the broker.
    there = environment | {"MESH_NATS": cluster.url_of(SECLUDED)}
    elsewhere = environment | {"MESH_NATS": cluster.url_of((SECLUDED + 1) % 3)}
    worker = ["worker", "--engine", "echo", "--echo-rate", "40", "--slots", "16", "--worker-name"]
    services = [Service("gw1", ["gateway", "--port", str(port)], there, folder)]
    services.append(Service("w1", [*worker, "w1"], there, folder))
    services.append(Service("w2", [*worker, "w2"], elsewhere, folder))
    url = f"http://127.0.0.1:{port}"
    try:
        await workers_present(url, 2)
        yield Here([url], random.Random(1), patience=PATIENCE), services[-1]
    finally:
        for service in services:
            service.end()


async def nobody_speaks_for_the_log(cluster: Cluster) -> None:
    """Wait until a secluded node has noticed. It has a copy of the log, and tells of it."""
    bus = await Bus.connect([cluster.url_of(SECLUDED)], *cluster.credentials("gateway"))
    bus.seclusion = Seclusion(lambda: False)
    try:
        async with asyncio.timeout(PATIENCE):
            with pytest.raises(BusError):
                while True:
                    await JetStream(bus).stream_info(subjects.RUN_STREAM)
                    await asyncio.sleep(1.0)
    finally:
        await bus.close()


@pytest.mark.timeout(500)
async def test_who_is_at_a_secluded_node_leaves_it(tmp_path: Path) -> None:
    async with cluster_of(tmp_path) as cluster, mesh_on(cluster, tmp_path) as (people, other):
        await people.ask(WARM_UP)
        async with asyncio.TaskGroup() as group:
            asking = [group.create_task(people.ask(one)) for one in ASKS]
            async with asyncio.timeout(60):
                while not all_have_begun(people.transcripts):
                    await asyncio.sleep(0.02)
            async with cluster.seclusion(SECLUDED):
                await asyncio.wait(asking)
                assert not people.unanswered()
                await people.ask(MEANWHILE)
                assert not people.unanswered()
                await asyncio.to_thread(other.end)
                await people.ask(AFTERWARDS)  # of the worker that was at the secluded node
                assert not people.unanswered()
                await nobody_speaks_for_the_log(cluster)
        stories = await settle(cluster, 60)
        asks = [WARM_UP, *ASKS, MEANWHILE, AFTERWARDS]
        verdict = check(stories, asks, people.transcripts, None)
        assert verdict.clean, report(Outcome(verdict=verdict, faults=Counter()))
