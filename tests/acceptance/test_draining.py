"""A worker that leaves: its readers notice a pause at most, and nothing is asked of it any more."""

import asyncio
import json
import os
import signal
import subprocess
import sys

from mesh.bus.asking import Says, ask
from mesh.bus.connection import Bus
from mesh.bus.jetstream import JetStream
from mesh.protocol import subjects
from tests.acceptance.conftest import Process, Processes, until
from tests.acceptance.reading import LASTING, SLOW, Reading, holder, said
from tests.acceptance.whole import Mesh
from tests.chaos.wires import Wire
from tests.truth import truth_of


def drain(processes: Processes, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "mesh", "drain", *words],
        env=os.environ | processes.env,
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_a_drained_worker_hands_its_answers_over_and_leaves(processes: Processes) -> None:
    processes.gateway("--ack-wait", "30")
    leaving = processes.worker("w1", *SLOW)
    processes.await_workers(1)
    reading = Reading(processes.url, LASTING)
    reading.start()
    reading.await_tokens(20)
    processes.worker("w2")  # which goes on, and is done at once
    processes.await_workers(2)
    told = drain(processes, "w1", "--grace", "0.3", "--json")
    assert told.returncode == 0, told.stderr
    found = json.loads(told.stdout)
    assert (found["worker"], found["left"]) == ("w1", True)
    assert leaving.popen.wait(60) == 79
    reading.finish()
    assert reading.texts == said(LASTING)
    truth = truth_of(processes.broker)
    truth.check()
    assert list(truth.claims.values()) == [["w1", "w2"]]


async def ask_who_leaves(processes: Processes, worker: Process, rid: str) -> Says:
    """Stop a worker, and ask it about a request as soon as its goodbye stands in the log."""
    broker = processes.broker
    bus = await Bus.connect([broker.url], *broker.credentials("gateway"))
    left: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    def hear(subject: str, data: bytes) -> None:
        if b"worker_stopped" in data and not left.done():
            left.set_result(subject)

    try:
        await bus.listen(subjects.live(subjects.FLEET), lambda msg: hear(msg.subject, msg.data))
        await JetStream(bus).end(subjects.RUN_STREAM)  # answered: the broker knows we listen
        worker.send(signal.SIGTERM)
        writer = subjects.parse_run(await asyncio.wait_for(left, 60)).writer
        return await ask(bus, writer, rid, 2.0)
    finally:
        await bus.close()


def test_who_leaves_answers_those_who_read_the_log_before_its_goodbye(
    processes: Processes,
) -> None:
    """Who takes over asks what became of the claim: it was handed over, and is not lost."""
    processes.gateway()
    worker = processes.worker("w1", *SLOW, "--grace", "0")
    processes.await_workers(1)
    reading = Reading(processes.url, 20_000)
    reading.start()
    reading.await_tokens(5)
    (rid,) = truth_of(processes.broker).runs
    assert asyncio.run(ask_who_leaves(processes, worker, rid)) is Says.HANDED_OVER
    assert worker.popen.wait(60) == 0


def test_a_drained_worker_may_finish_within_its_grace(processes: Processes) -> None:
    processes.gateway()
    workers = {name: processes.worker(name, *SLOW) for name in ("w1", "w2")}
    processes.await_workers(2)
    reading = Reading(processes.url, 120)
    reading.start()
    reading.await_tokens(10)
    leaving = holder(processes, workers)
    told = drain(processes, leaving.name, "--no-wait")
    assert "will leave (" in told.stdout
    later = Reading(processes.url, 5)
    later.start()
    later.finish()
    reading.finish()
    assert reading.texts == said(120)
    claims = sorted(truth_of(processes.broker).claims.values())
    staying = ({"w1", "w2"} - {leaving.name}).pop()
    assert claims == sorted([[leaving.name], [staying]])


async def test_who_is_connecting_again_is_told_when_it_is_back(processes: Processes) -> None:
    """And who does not come back was not told, which is said."""
    await asyncio.to_thread(processes.gateway)
    wire = Wire(processes.broker.port)
    await wire.start()
    worker = processes.worker("w1", *SLOW, "--nats", f"nats://127.0.0.1:{wire.port}")
    try:
        await asyncio.to_thread(processes.await_workers, 1)
        wire.broken = True
        wire.cut()
        told = await asyncio.to_thread(drain, processes, "w1")
        assert told.returncode != 0
        assert "w1 was not told to leave" in told.stderr and worker.running
        draining = asyncio.create_task(asyncio.to_thread(drain, processes, "w1", "--json"))
        await asyncio.sleep(2.0)
        wire.broken = False
        told = await draining
        assert told.returncode == 0, told.stderr
        assert json.loads(told.stdout)["left"]
        assert await asyncio.to_thread(worker.popen.wait, 10) == 79
    finally:
        await wire.close()


def test_draining_somebody_who_is_not_there_says_who_is(processes: Processes) -> None:
    processes.gateway()
    processes.worker("w1")
    processes.await_workers(1)
    told = drain(processes, "w7")
    assert told.returncode == 78
    assert "no worker 'w7'" in told.stderr and "are: w1." in told.stderr


def test_a_drained_worker_of_mesh_up_stays_away(mesh: Mesh) -> None:
    mesh.start()
    assert mesh.run("drain", "w1").returncode == 0
    mesh.wait_for("was drained, and stays away")
    assert "worker" not in mesh.children()
    assert mesh.stop() == 0


def test_a_stalled_engine_loses_its_answer_to_another_worker(processes: Processes) -> None:
    """One worker makes a step in a thousand seconds; it leaves, and the other goes on."""
    processes.gateway("--ack-wait", "30")
    stuck = processes.worker(
        "w1", "--echo-rate", "0.001", "--stall-limit", "3", "--first-token-limit", "3"
    )
    processes.await_workers(1)
    reading = Reading(processes.url, 30)
    reading.start()
    reading.await_tokens(1)
    processes.worker("w2", *SLOW)
    reading.finish()
    assert reading.texts == said(30)
    assert stuck.popen.wait(60) == 1
    assert "stalled on all it had to do" in stuck.log.read_text()
    truth = truth_of(processes.broker)
    truth.check()
    assert list(truth.claims.values()) == [["w1", "w2"]]


def test_an_engine_that_gives_no_first_token_loses_the_request(processes: Processes) -> None:
    processes.gateway("--ack-wait", "30")
    stuck = processes.worker("w1", "--echo-delay", "3000", "--first-token-limit", "1")
    processes.await_workers(1)
    reading = Reading(processes.url, 10)
    reading.start()
    until("it was claimed", lambda: bool(truth_of(processes.broker).claims))
    processes.worker("w2", *SLOW)
    reading.finish()
    assert reading.texts == said(10)
    assert stuck.popen.wait(60) == 1


def test_a_worker_that_leaves_is_not_sent_new_requests_meanwhile(processes: Processes) -> None:
    processes.gateway("--worker-wait", "0.5")
    worker = processes.worker("w1", *SLOW)
    processes.await_workers(1)
    reading = Reading(processes.url, 150)
    reading.start()
    reading.await_tokens(5)
    worker.send(signal.SIGTERM)
    until("it says that it leaves", lambda: refused(processes))
    reading.finish()
    assert reading.texts == said(150)


def refused(processes: Processes) -> bool:
    asking = Reading(processes.url, 1)
    asking.start()
    asking.finish()
    return "No worker serves" in asking.last.get("error", "")
