"""Tasks that run as long as their service: none of them dies unnoticed."""

import asyncio
import logging

import pytest

from mesh.bus import lasting as of_lasting
from mesh.bus.lasting import Lasting
from mesh.protocol.errors import ErrorCode, MeshError


async def broken() -> None:
    raise RuntimeError("on purpose")


async def forever() -> None:
    await asyncio.Event().wait()


async def test_one_that_fails_ends_its_service_and_says_why(
    caplog: pytest.LogCaptureFixture,
) -> None:
    lasting = Lasting()
    lasting.start(broken())
    async with asyncio.timeout(5):
        await lasting.failed.wait()
    with pytest.raises(MeshError, match="broken failed") as caught:
        lasting.check()
    assert caught.value.code is ErrorCode.INTERNAL
    (record,) = caplog.records
    assert record.exc_info is not None and isinstance(record.exc_info[1], RuntimeError)


async def test_one_that_is_cancelled_by_what_it_waits_for_has_failed_as_well() -> None:
    async def waiting() -> None:
        other = asyncio.get_running_loop().create_future()
        other.cancel()
        await other

    lasting = Lasting()
    lasting.start(waiting())
    async with asyncio.timeout(5):
        await lasting.failed.wait()
    with pytest.raises(MeshError, match="waiting failed"):
        lasting.check()


async def test_one_that_returns_or_is_cancelled_by_its_owner_has_not(
    caplog: pytest.LogCaptureFixture,
) -> None:
    lasting = Lasting()
    lasting.start(asyncio.sleep(0))
    lasting.start(forever()).cancel()
    await asyncio.sleep(0.01)
    left = lasting.start(forever())
    await lasting.close()
    assert left.cancelled() and not lasting.failed.is_set() and not caplog.records
    lasting.check()


async def test_what_may_be_started_again_is_with_growing_pauses_and_each_failure_is_told(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.ERROR)
    monkeypatch.setattr(of_lasting, "PAUSE", 0.01)
    monkeypatch.setattr(of_lasting, "LONGEST_PAUSE", 0.04)
    lasting, times = Lasting(), list[float]()
    well = asyncio.Event()

    async def now_and_then() -> None:
        times.append(asyncio.get_running_loop().time())
        if len(times) < 5:
            raise RuntimeError("on purpose")
        well.set()
        await forever()

    lasting.start_again(now_and_then)
    async with asyncio.timeout(5):
        await well.wait()
    await lasting.close()
    assert not lasting.failed.is_set()
    assert len([each for each in caplog.records if each.exc_info]) == 4
    pauses = [after - before for before, after in zip(times, times[1:], strict=False)]
    assert all(a >= b for a, b in zip(pauses, [0.01, 0.02, 0.04, 0.04], strict=True))
