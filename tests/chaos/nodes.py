"""What befalls the nodes of a cluster, one at a time; each is repaired before the next."""

import asyncio
import time

from mesh.protocol import subjects
from tests.chaos.cluster import NODES, Cluster

STEP = 1.0
"""Seconds that each node is away when all are restarted."""


async def befall(cluster: Cluster, action: str, what: str, number: int, seconds: float) -> float:
    """Let one fault happen, and wait until all nodes have the whole log again.

    what: `leader` of the log; `follower`, one of the others by number; `nodes`, all in turn.
    Returns when it struck, Unix time.
    """
    leader = await cluster.leader(subjects.RUN_STREAM)
    struck = time.time()
    if what == "nodes":
        for node in NODES:
            await _away(cluster, node, STEP)
        return struck
    node = leader if what == "leader" else (leader + 1 + number % 2) % len(NODES)
    match action:
        case "kill" | "stop":
            return await _away(cluster, node, seconds, kill=action == "kill")
        case "pause":
            cluster.pause(node)
            try:
                await asyncio.sleep(seconds)
            finally:
                cluster.resume(node)
        case "seclude" | "isolate":
            async with cluster.seclusion(node):
                await asyncio.sleep(seconds)
    await cluster.in_step(subjects.RUN_STREAM)
    return struck


async def _away(cluster: Cluster, node: int, seconds: float, kill: bool = False) -> float:
    """Kill or stop a node, and start it again after so many seconds; returns when it was gone."""
    await asyncio.to_thread(cluster.kill if kill else cluster.stop, node)
    gone = time.time()
    await asyncio.sleep(seconds)
    cluster.start(node)
    await asyncio.to_thread(cluster.wait, node)
    await cluster.in_step(subjects.RUN_STREAM)
    return gone
