"""A request that takes its workers down does not reach a third, and is kept with its history."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

import pytest

from mesh.protocol.errors import ErrorCode
from mesh.protocol.events import Failed
from tests.acceptance.conftest import Process, Processes, until
from tests.acceptance.reading import SLOW, Reading, said
from tests.chaos.story import read_stories
from tests.chaos.wires import Wire
from tests.truth import truth_of


def dlq(processes: Processes, *words: str) -> Any:
    told = subprocess.run(
        [sys.executable, "-m", "mesh", "dlq", *words, "--json"],
        env=os.environ | processes.env,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert told.returncode == 0, told.stderr
    return json.loads(told.stdout)


def claims(processes: Processes) -> list[str]:
    """Who claimed the one request there is."""
    return next(iter(truth_of(processes.broker).claims.values()), [])


def kill_who_claims(processes: Processes, count: int) -> None:
    """Worker after worker is killed after its claim; none says a word."""
    for number in range(1, count + 1):
        worker = processes.worker(f"w{number}", "--echo-delay", "1000")
        until("it was claimed", lambda: len(claims(processes)) == number)  # noqa: B023
        worker.kill()


class Held(NamedTuple):
    """A worker, and its wire to the broker."""

    process: Process
    wire: Wire


async def cut(held: Held) -> None:
    """For a second, of which the broker tells at once."""
    held.wire.broken = True
    held.wire.cut()
    await asyncio.sleep(1.0)
    held.wire.broken = False


async def freeze(held: Held) -> None:
    """For longer than the queue is patient."""
    held.process.send(signal.SIGSTOP)
    await asyncio.sleep(5.0)
    held.process.send(signal.SIGCONT)


def test_a_request_that_kills_two_workers_never_reaches_a_third(processes: Processes) -> None:
    processes.gateway("--worker-wait", "50")
    reading = Reading(processes.url, 20)
    make_known(processes)
    reading.start()
    kill_who_claims(processes, 2)
    processes.worker("w3", *SLOW)
    reading.finish()
    assert "2 workers were lost" in reading.last["error"]
    truth = truth_of(processes.broker)
    truth.check()
    ((rid, run),) = truth.runs.items()
    assert isinstance(run.end, Failed) and run.end.code is ErrorCode.WORKER_LOST
    until("it is a dead letter", lambda: bool(dlq(processes, "list")))
    (letter,) = dlq(processes, "list")
    assert (letter["rid"], letter["workers"]) == (rid, ["w1", "w2", "w3"])
    shown = dlq(processes, "show", rid)
    assert shown["request"]["messages"][0]["content"].startswith("/repeat")
    assert [attempt.get("lost", False) for attempt in shown["attempts"]] == [False, True, True]
    outcome = dlq(processes, "retry", rid)
    until("it was asked again", lambda: len(truth_of(processes.broker).runs) == 2)
    again: str = outcome["asked_again_as"]
    until("it is answered", lambda: truth_of(processes.broker).runs[again].end is not None)
    assert truth_of(processes.broker).runs[again].texts == said(20)
    assert dlq(processes, "list") == []


async def test_the_row_stands_whoever_else_has_weighed_it_since(processes: Processes) -> None:
    """Two are killed at one place. The third asks whether they are back and is cut off, the fourth
    is told to leave meanwhile: the fifth, whom the third answers again, counts two."""
    await asyncio.to_thread(processes.gateway, "--worker-wait", "50")
    reading = Reading(processes.url, 20)
    await asyncio.to_thread(make_known, processes)
    reading.start()
    await asyncio.to_thread(kill_who_claims, processes, 2)
    wire = Wire(processes.broker.port)
    await wire.start()
    try:
        way = ("--nats", f"nats://127.0.0.1:{wire.port}")
        await asyncio.to_thread(processes.worker, "w3", *SLOW, *way)
        await claimed(processes, 3)
        wire.broken = True
        wire.cut()
        leaving = await asyncio.to_thread(processes.worker, "w4", *SLOW, "--grace", "0")
        await claimed(processes, 4)
        await asyncio.to_thread(leaving.stop)
        wire.broken = False
        await asyncio.to_thread(processes.worker, "w5", *SLOW)
        await asyncio.to_thread(reading.finish)
    finally:
        await wire.close()
    assert "2 workers were lost" in reading.last["error"]
    (told,) = await read_stories(processes.broker)
    assert [(each.writer.user, each.lost, each.place) for each in told.claims][:4] == [
        ("w1", False, 0),
        ("w2", True, 0),
        ("w3", True, 0),
        ("w4", True, 0),
    ]
    assert not any(each.lost for each in told.claims[4:]), "who is told to leave is not lost"


async def claimed(processes: Processes, times: int) -> None:
    """Wait until the one request was claimed so often."""
    while len(await asyncio.to_thread(claims, processes)) < times:
        await asyncio.sleep(0.05)


@pytest.mark.parametrize("trouble", [cut, freeze])
async def test_who_was_away_for_a_moment_has_not_died_of_it(
    processes: Processes, trouble: Callable[[Held], Awaitable[None]]
) -> None:
    """Two workers are lost in a row before the first token, and both come back."""
    await asyncio.to_thread(processes.gateway, "--ack-wait", "3")
    wires = [Wire(processes.broker.port) for _ in range(3)]
    for wire in wires:
        await wire.start()
    held = {
        f"w{n}": Held(
            processes.worker(
                f"w{n}", *SLOW, "--echo-delay", "12", "--nats", f"nats://127.0.0.1:{wire.port}"
            ),
            wire,
        )
        for n, wire in enumerate(wires)
    }
    try:
        await asyncio.to_thread(processes.await_workers, 3)
        reading = Reading(processes.url, 20)
        reading.start()
        for number in (1, 2):
            await claimed(processes, number)
            holder = (await asyncio.to_thread(claims, processes))[-1]
            await trouble(held[holder])
        await asyncio.to_thread(reading.finish)
    finally:
        for wire in wires:
            await wire.close()
    assert reading.texts == said(20), reading.last
    truth = await asyncio.to_thread(truth_of, processes.broker)
    truth.check()
    ((_, run),) = truth.runs.items()
    assert len(run.losses) == 2, "both were taken for lost"


def make_known(processes: Processes) -> None:
    """Make the model known, without anybody who serves it."""
    worker = processes.worker("w0")
    processes.await_workers(1)
    worker.kill()


def test_one_that_makes_progress_is_innocent(processes: Processes) -> None:
    """Three workers are killed while they answer it, each further on than the one before."""
    processes.gateway("--worker-wait", "50")
    worker = processes.worker("w0", *SLOW)
    processes.await_workers(1)
    reading = Reading(processes.url, 900)
    reading.start()
    for number in range(1, 4):
        reading.await_tokens(30 * number)
        worker.kill()
        worker = processes.worker(f"w{number}", *SLOW)
    reading.finish()
    assert reading.texts == said(900)
    assert len(claims(processes)) == 4
    assert dlq(processes, "list") == []


def test_one_that_takes_worker_after_worker_further_on_each_time_is_bounded(
    processes: Processes,
) -> None:
    """It gains some tokens before each death, and still reaches no fourth engine."""
    processes.gateway("--worker-wait", "50")
    bounded = (*SLOW, "--poison-in-all", "3")
    worker = processes.worker("w0", *bounded)
    processes.await_workers(1)
    reading = Reading(processes.url, 900)
    reading.start()
    for number in range(1, 4):
        reading.await_tokens(len(reading.texts) + 20)
        worker.kill()
        worker = processes.worker(f"w{number}", *bounded)
    reading.finish()
    assert "3 workers were lost" in reading.last["error"]
    assert 60 <= len(reading.texts) < 900 and reading.texts == said(len(reading.texts))
    truth_of(processes.broker).check()
    assert claims(processes) == ["w0", "w1", "w2", "w3"]
    until("it is a dead letter", lambda: bool(dlq(processes, "list")))
    (letter,) = dlq(processes, "list")
    shown = dlq(processes, "show", letter["rid"])
    assert [attempt.get("lost", False) for attempt in shown["attempts"]] == [
        False,
        True,
        True,
        True,
    ]


def test_an_engine_that_fails_again_and_again_makes_a_dead_letter_too(
    processes: Processes,
) -> None:
    processes.gateway()
    worker = processes.worker("w1", "--echo-fail-after", "1")
    processes.await_workers(1)
    reading = Reading(processes.url, 20)
    reading.start()
    reading.finish()
    assert "failed" in reading.last["error"]
    until("it is a dead letter", lambda: bool(dlq(processes, "list")))
    (letter,) = dlq(processes, "list")
    assert letter["workers"] == ["w1"] * 3
    assert dlq(processes, "drop", letter["rid"]) == {
        "rid": letter["rid"],
        "dropped": True,
        "asked_again_as": None,
    }
    assert dlq(processes, "list") == []
    assert worker.running


def test_workers_that_were_drained_are_no_engines_that_failed(processes: Processes) -> None:
    """Two leave in good order, then the engine of a third fails: a fourth goes on."""
    processes.gateway("--ack-wait", "30")
    reading = Reading(processes.url, 300)
    sound = ("--echo-rate", "15", "--grace", "0")
    leaving = processes.worker("w1", *sound)
    processes.await_workers(1)
    reading.start()
    failing = ("--echo-rate", "10", "--echo-fail-after", "40")
    for name, flags in (("w2", sound), ("w3", failing)):
        reading.await_tokens(len(reading.texts) + 10)
        following = processes.worker(name, *flags)
        processes.await_workers(2)
        leaving.stop()
        until("it was claimed", lambda: claims(processes)[-1] == name)  # noqa: B023
        leaving = following
    processes.worker("w4")
    until("its engine fails", lambda: "The engine failed on" in leaving.log.read_text())
    leaving.kill()  # it might be given the request again
    reading.finish()
    assert reading.texts == said(300), reading.last
    assert claims(processes)[:3] == ["w1", "w2", "w3"] and claims(processes)[-1] == "w4"
    assert dlq(processes, "list") == []
