"""Whether what is left after a campaign is seen: open files, memory, and slots that are lost."""

from pathlib import Path

import pytest

from tests.chaos.campaign import SETTINGS
from tests.chaos.mesh import Mesh
from tests.chaos.plan import ECHO
from tests.chaos.remains import FILES, MEMORY, grown, remains
from tests.chaos.web import send

MIB = 1 << 20
BEFORE = {"gw1": (30, 100 * MIB), "broker": (40, 20 * MIB)}

SLOTS = 4


@pytest.mark.parametrize(
    ("name", "files", "memory", "said"),
    [
        ("gw1", 30 + FILES, 200 * MIB + MEMORY, []),
        ("gw1", 31 + FILES, 100 * MIB, [f"gw1 has {31 + FILES} open files, 30 before"]),
        ("gw1", 30, 201 * MIB + MEMORY, ["gw1 has 401 MiB, 100 before"]),
        ("broker", 40 + FILES, 140 * MIB + MEMORY, []),
        ("broker", 41 + FILES, 20 * MIB, [f"broker has {41 + FILES} open files, 40 before"]),
        ("broker", 40, 141 * MIB + MEMORY, ["broker has 341 MiB, 20 before"]),
    ],
)
def test_who_has_grown_too_much_is_told_of(
    name: str, files: int, memory: int, said: list[str]
) -> None:
    assert grown(BEFORE, BEFORE | {name: (files, memory)}, {"broker": 100 * MIB}) == said


@pytest.mark.parametrize(
    ("without", "said"),
    [
        ([], []),
        (
            ["the-freeing-of-a-slot"],
            [f"1 of {SLOTS} slots took no answer when all were asked at once"],
        ),
    ],
    ids=["free", "leaked"],
)
async def test_a_slot_that_an_engine_has_lost_is_told_of(
    without: list[str], said: list[str], tmp_path: Path
) -> None:
    mesh = Mesh(tmp_path, SETTINGS, {"worker": without})
    try:
        await mesh.start(1, 1, False, "--echo-rate", "60", "--slots", str(SLOTS))
        before = mesh.sizes()
        assert {"gw1", "w1", "broker"} == set(before)
        body = {"prompt": "hello", "model": ECHO}
        async with send("POST", f"{mesh.urls[0]}/generate", body) as response:
            assert [event async for _, event in response.events()][-1]["done"]
        assert await remains(mesh, before, SLOTS) == said
    finally:
        await mesh.end()
