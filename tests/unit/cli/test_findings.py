"""What `mesh doctor` makes of facts that no test machine should have."""

import pytest

import mesh
from mesh.cli import findings
from mesh.cli.findings import Finding
from mesh.cli.fleet import Queue
from mesh.protocol.chats import Health
from mesh.protocol.worker_info import WorkerInfo

MIB, GIB = 1 << 20, 1 << 30


def states(found: list[Finding]) -> dict[str, str]:
    return {finding.check: finding.state for finding in found}


def worker(draining: bool = False, version: str = mesh.__version__) -> WorkerInfo:
    return WorkerInfo(
        name="w1",
        inc="i1",
        protocol=1,
        version=version,
        models=(),
        slots=4,
        draining=draining,
        started=0.0,
    )


@pytest.mark.parametrize(
    ("used", "state"), [(0, "ok"), (59, "ok"), (60, "warn"), (79, "warn"), (80, "fail")]
)
def test_a_budget_is_warned_of_before_it_is_spent(used: int, state: str) -> None:
    found = findings.budget("log", used, 100, f"The log holds {used} of 100 B", "raise it.")
    assert found.state == state
    assert ("raise it" in found.sentence) == (state != "ok")


@pytest.mark.parametrize(
    ("used", "refused_at", "said"),
    [
        (60, 0.8, "From 80% on new requests are refused: raise it."),
        (79, 0.8, "From 80% on new requests are refused: raise it."),
        (80, 0.8, "New requests are refused: raise it."),
        (60, 1.0, "New requests are refused where there is no room left for them: raise it."),
        (80, 1.0, "New requests are refused where there is no room left for them: raise it."),
        (99, 1.0, "New requests are refused where there is no room left for them: raise it."),
        (100, 1.0, "New requests are refused: raise it."),
    ],
)
def test_requests_are_said_to_be_refused_where_they_are(
    used: int, refused_at: float, said: str
) -> None:
    found = findings.budget("queue", used, 100, f"It holds {used}", "raise it.", refused_at)
    assert found.sentence == f"It holds {used} ({used}%). {said}"


def test_without_a_limit_there_is_no_budget() -> None:
    assert findings.budget("log", 10**12, -1, "The log holds much", "raise it.").state == "ok"


@pytest.mark.parametrize(
    ("free", "state"), [(10 * GIB, "ok"), (3 * GIB, "warn"), (GIB // 4, "fail")]
)
def test_a_disk_must_have_the_room_that_the_streams_may_take(free: int, state: str) -> None:
    assert findings.disk(free, 3 * GIB, "/data").state == state


@pytest.mark.parametrize(
    ("skew", "state"), [(0.5, "ok"), (-1.9, "ok"), (3, "warn"), (-3, "warn"), (40, "fail")]
)
def test_clocks_must_agree(skew: float, state: str) -> None:
    found = findings.clock(skew)
    assert found.state == state
    if state != "ok":
        assert ("ahead of" if skew > 0 else "behind") in found.sentence


@pytest.mark.parametrize(("behind", "state"), [(0, "ok"), (60, "warn"), (4000, "fail")])
def test_a_store_must_not_fall_behind(behind: float, state: str) -> None:
    health = Health(applied=1, database_bytes=1, free_bytes=10 * GIB)
    assert states(findings.store(health, behind, 7200.0))["store"] == state


def test_what_the_store_could_not_understand_is_told() -> None:
    health = Health(applied=1, database_bytes=1, free_bytes=10 * GIB, skipped=3)
    assert any(
        found.state == "warn" and found.sentence.startswith("3 messages")
        for found in findings.store(health, 0.0, 7200.0)
    )


@pytest.mark.parametrize(
    ("used", "free", "state"),
    [(GIB, 9 * GIB, "ok"), (4 * GIB, 3 * GIB, "warn"), (0, GIB // 8, "fail")],
)
def test_a_database_needs_room_to_grow(used: int, free: int, state: str) -> None:
    health = Health(applied=1, database_bytes=used, free_bytes=free)
    assert states(findings.store(health, 0.0, 7200.0))["database"] == state


@pytest.mark.parametrize(("used", "state"), [(MIB, "ok"), (7 * MIB, "warn"), (20 * MIB, "warn")])
def test_a_database_is_warned_of_before_it_has_all_that_it_may(used: int, state: str) -> None:
    health = Health(
        applied=1, database_bytes=used, database_max_bytes=10 * MIB, free_bytes=10 * GIB
    )
    assert states(findings.store(health, 0.0, 7200.0))["database"] == state


def test_workers_that_all_leave_are_as_good_as_none() -> None:
    assert states(findings.workers([])) == {"workers": "fail"}
    assert states(findings.workers([worker(draining=True)])) == {"workers": "fail"}
    assert states(findings.workers([worker()])) == {"workers": "ok"}


def test_a_worker_of_another_version_is_told() -> None:
    assert findings.workers([worker(version="0.0.1")])[-1].state == "warn"


@pytest.mark.parametrize(
    ("waiting", "workers", "state"), [(0, 1, "ok"), (9, 1, "ok"), (0, 0, "warn"), (1, 0, "fail")]
)
def test_a_queue_needs_a_worker(waiting: int, workers: int, state: str) -> None:
    queue = Queue(model="tiny", waiting=waiting, in_work=0, workers=workers, slots=workers)
    assert states(findings.queues([queue], 0, 5_000)) == {"model tiny": state}


@pytest.mark.parametrize(
    ("waiting", "state", "said"),
    [
        (59, "ok", "59 waiting, 4 in work, 4 slots."),
        (60, "warn", "refused where there is no room"),
        (80, "fail", "refused where there is no room"),
        (100, "fail", "New requests are refused: add workers"),
    ],
)
def test_a_model_is_told_for_which_almost_all_wait_that_may(
    waiting: int, state: str, said: str
) -> None:
    for ahead in (0, 3):  # what a worker has beside what it is at waits as well
        queue = Queue(model="tiny", waiting=waiting - ahead, in_work=4 + ahead, workers=1, slots=4)
        (found,) = findings.queues([queue], 0, 100)
        assert (found.check, found.state) == ("model tiny", state)
        assert said in found.sentence
        assert (f"{waiting} of 100 wait" in found.sentence) == (state != "ok")


def test_prompts_that_nobody_will_ever_get_are_told() -> None:
    assert states(findings.queues([], 2, 5_000)) == {"queue": "fail"}


def test_exposure_is_told() -> None:
    (alone,) = findings.exposure(None, False, None)
    assert alone.state == "ok" and "proxy" in alone.sentence, "which nobody here can see"
    told = findings.exposure("192.0.2.7:8000", True, "192.0.2.7:4222")
    assert [finding.state for finding in told] == ["warn", "fail", "warn"]
