"""Who reads slowly in a campaign keeps its gateway waiting, and misses nothing by that."""

import random

import pytest

from tests.acceptance.conftest import Processes
from tests.chaos.checker import Transcript
from tests.chaos.clients import People
from tests.chaos.plan import FILLING, Ask, Client
from tests.chaos.wires import Wire

PACE = ("--echo-rate", "60")
"""As in a campaign."""


async def answered(processes: Processes, client: Client) -> tuple[People, Transcript]:
    """What such a client of a campaign has read, over a wire of a campaign."""
    wire = Wire(processes.port)
    await wire.start()
    try:
        url = f"http://127.0.0.1:{wire.port}"
        narrow = {url: f"http://127.0.0.1:{await wire.narrow()}"}
        people = People([url], random.Random(1), narrow=narrow)
        await people.ask(Ask(1, 0.0, client, FILLING, 5))
    finally:
        await wire.close()
    (transcript,) = people.transcripts
    return people, transcript


@pytest.mark.parametrize(("client", "pressed"), [("slow", {1}), ("reader", set())])
async def test_a_gateway_has_to_wait_for_a_slow_reader_who_reads_all_the_same(
    processes: Processes, client: Client, pressed: set[int]
) -> None:
    processes.gateway()
    processes.worker("w1", *PACE)
    processes.await_workers(1)
    people, transcript = await answered(processes, client)
    assert people.pressed == pressed
    assert transcript.ended == "done" and people.door.cuts == []
    assert [number for number, _ in transcript.pieces] == list(range(FILLING))
