"""A model that rests and is slow to come back, or never does: nobody waits for its worker alone."""

from tests.acceptance.conftest import Process, Processes, until
from tests.acceptance.reading import Reading, said
from tests.acceptance.test_switching import state
from tests.truth import truth_of

TOKENS = 10
NEVER = 3600.0


class Sleepy(Process):
    module = "tests.acceptance.sleepy"


def resting(processes: Processes, loads: float, *flags: str) -> Sleepy:
    """A worker `w1` whose model rests and takes so many seconds to be loaded again."""
    env = processes.env | {"LOAD_AGAIN": str(loads)}
    arguments = ["worker", "--worker-name", "w1", "--engine", "echo", "--idle-unload", "0.5"]
    started = Sleepy("w1", [*arguments, *flags], env, processes.folder)
    processes.started.append(started)
    processes.await_workers(1)
    until("it rests", lambda: state(processes, "w1") == "resting")
    return started


def asked(processes: Processes, count: int) -> list[Reading]:
    """Readers of answers for which `w1` loads its model again."""
    readings = [Reading(processes.url, TOKENS) for _ in range(count)]
    for reading in readings:
        reading.start()
    until("it is loading", lambda: state(processes, "w1") == "loading")
    return readings


def finish(processes: Processes, readings: list[Reading], claimed: list[str]) -> None:
    for reading in readings:
        reading.finish()
        assert reading.texts == said(TOKENS), reading.last
    truth = truth_of(processes.broker)
    truth.check()
    assert list(truth.claims.values()) == [claimed] * len(readings)


def test_what_waits_for_a_model_goes_to_a_worker_that_has_it(processes: Processes) -> None:
    processes.gateway("--queue-timeout", "60")
    resting(processes, NEVER)
    readings = asked(processes, 5)
    processes.worker("w2")
    processes.await_workers(2)
    later = [Reading(processes.url, TOKENS) for _ in range(5)]
    for reading in later:
        reading.start()
    finish(processes, readings + later, ["w2"])


def test_the_only_worker_is_waited_for(processes: Processes) -> None:
    """Longer than it holds on to the request, which is nobody's meanwhile."""
    processes.gateway()
    worker = resting(processes, 8.0)
    readings = asked(processes, 3)
    finish(processes, readings, ["w1"])
    assert worker.log.read_text().count("again: it is asked for") == 1


def test_a_worker_whose_model_does_not_come_back_leaves(processes: Processes) -> None:
    processes.gateway()
    worker = resting(processes, NEVER, "--first-token-limit", "3")
    readings = asked(processes, 2)
    assert worker.popen.wait(60) == 1
    assert "is not loaded again after 3 s" in worker.log.read_text()
    processes.worker("w2")
    finish(processes, readings, ["w2"])
