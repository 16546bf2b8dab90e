"""A worker and its gateway are cut off together, and another worker takes over: when both are back,
what the first had still to say is not taken for the answer by anybody.
"""

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from mesh.bus.connection import Bus, BusError
from mesh.bus.follow import TRUST, Follower
from mesh.bus.jetstream import JetStream
from mesh.bus.replay import Replays
from mesh.bus.seclusion import Seclusion
from mesh.bus.topology import declare
from mesh.bus.tracks import BELIED
from mesh.protocol.events import Done, Failed
from mesh.settings import Limits
from tests.chaos.test_cluster_cut import SECLUDED, cluster_of, lead_elsewhere
from tests.integration.bus.test_follow import Author


async def say(author: Author, accent: str, count: int) -> None:
    """Write words that nobody else would write."""
    for _ in range(count):
        text = f"{len(author.said)}{accent} "
        await author.say(text)


async def declared(js: JetStream) -> None:
    """Declare the streams; a cluster that has just begun may have no leader yet."""
    while True:
        try:
            return await declare(js, Limits(replicas=3))
        except BusError:
            await asyncio.sleep(0.5)


@pytest.mark.timeout(200)
async def test_words_of_one_who_has_lost_the_pen_unheard_are_not_read(tmp_path: Path) -> None:
    async with cluster_of(tmp_path) as cluster, AsyncExitStack() as stack:

        async def at(node: int, user: str) -> Bus:
            bus = await Bus.connect([cluster.url_of(node)], *cluster.credentials(user))
            bus.seclusion = Seclusion(lambda: False)  # whoever is cut off stays there
            stack.push_async_callback(bus.close)
            return bus

        near = await at(0, "gateway")
        async with asyncio.timeout(60):
            await declared(JetStream(near))
            await lead_elsewhere(cluster)
        far = await at(SECLUDED, "gateway")
        follower = Follower(far, JetStream(far), "gw1")
        await follower.start()
        watching = asyncio.create_task(follower.watch())
        first = Author(JetStream(near), JetStream(await at(SECLUDED, "w1")), "r1")
        second = Author(JetStream(near), JetStream(await at(0, "w2")), "r1")
        track = follower.track("r1")
        track.readers += 1
        await first.queue()
        last = await first.claim()
        await say(first, "a", 3)
        await asyncio.sleep(1.5)
        assert track.run.count == 3
        async with cluster.seclusion(SECLUDED):
            await asyncio.sleep(1)
            late = asyncio.create_task(say(first, "a", 2))
            await second.claim(2, last, tuple(first.said))
            await say(second, "b", 2)
            await asyncio.sleep(TRUST + 1)
        async with asyncio.timeout(60):
            await late  # it has lost the pen, and nobody refuses its frames
            await say(second, "b", 2)
            await second.finish()
            while track.run.end is None:
                await track.changed()
        assert track.run.queued is not None
        whole = await Replays(JetStream(near)).run("r1", track.run.queued, track.run.queued_at)
        if isinstance(track.run.end, Done):
            assert track.run.texts == whole.texts and track.run.sealed()
        else:  # a leader that has just become one may say that nothing was missed
            assert isinstance(track.run.end, Failed) and track.run.end.detail == BELIED
        watching.cancel()
        first.leave()
