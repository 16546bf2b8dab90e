"""Many requests are taken back together, and what befalls one costs the others nothing."""

import asyncio
from typing import cast

import pytest

from mesh.bus.connection import Silence
from mesh.gateway import recovery
from mesh.gateway.requests import Requests


class Odd:
    """Of the requests one is never taken back, one fails, and one is not to be had just now."""

    def __init__(self) -> None:
        self.taken: list[str] = []

    async def take_back(self, rid: str) -> None:
        match rid:
            case "stuck":
                await asyncio.Event().wait()
            case "broken":
                raise ValueError("nobody foresaw that")
            case "away":
                raise Silence("later")
        self.taken.append(rid)


async def test_one_that_cannot_be_taken_back_costs_the_others_nothing(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(recovery, "TAKING", 0.05)
    monkeypatch.setattr(recovery, "AT_ONCE", 2)
    odd = Odd()
    async with asyncio.timeout(5):
        with pytest.raises(Silence):
            await recovery.take_back_all(
                cast(Requests, odd), ["stuck", "one", "broken", "away", "two", "three"]
            )
    assert odd.taken == ["one", "two", "three"]
    said = [record.getMessage() for record in caplog.records]
    assert said == ["stuck could not be taken back in 0.05 s", "broken could not be taken back"]
