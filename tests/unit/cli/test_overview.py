"""What `mesh top` draws."""

import re
import time
from typing import Any

import pytest

from mesh.cli.fleet import Queue, Snapshot, Worker
from mesh.cli.lines import Line
from mesh.cli.overview import Overview, bar, curve, draw


def worker(name: str, **changes: Any) -> Worker:
    values: dict[str, Any] = {
        "name": name, "models": ["tiny"], "engine": "echo", "slots": 4, "running": 1,
        "speed": 30.0, "up": 60.0, "draining": False, "host": "here", "hardware": "", "pid": 1,
        "version": "1",
    }  # fmt: skip
    return Worker(**(values | changes))


def snapshot(*workers: Worker, waiting: int = 0) -> Snapshot:
    queue = Queue(model="tiny", waiting=waiting, in_work=1, workers=len(workers), slots=4)
    return Snapshot(at=0.0, workers=list(workers), queues=[queue], requests=[], unfinished=0)


def line(number: int) -> Line:
    return Line(
        seq=number, at=number, event="claim", rid=f"{number:08}abc", worker="w1", by="w1",
        detail=f"tiny, attempt {number}",
    )  # fmt: skip


def plain(picture: str) -> list[str]:
    return re.sub(r"\x1b\[[0-9;]*m", "", picture).split("\n")


def seen(*looks: Snapshot) -> Overview:
    overview = Overview(where="nats://here")
    for look in looks:
        overview.see(look)
    return overview


def test_a_curve_is_as_high_as_its_highest_value() -> None:
    assert curve([0, 1, 2, 4], 10) == "▁▃▅█"
    assert curve([0, 0], 10) == "▁▁" and curve([], 10) == ""
    assert curve(range(100), 3) == curve([97, 98, 99], 3)


@pytest.mark.parametrize(("part", "drawn"), [(0, "░░░░"), (1, "█░░░"), (100, "████")])
def test_a_bar_shows_something_as_soon_as_there_is_something(part: int, drawn: str) -> None:
    assert bar(part, 100, 4) == drawn
    assert bar(0, 0, 4) == "░░░░"


def test_the_screen_tells_workers_queue_and_the_last_events() -> None:
    overview = seen(snapshot(worker("w1"), worker("w2", draining=True), waiting=3))
    text = plain(draw(overview, [line(n) for n in range(100)], 110, 20, time.time()))
    assert len(text) <= 20 and all(len(row) <= 110 for row in text)
    whole = "\n".join(text)
    for said in ("2 workers, 2 of 8 slots busy", "60 tokens/s", "3 waiting", "draining"):
        assert said in whole
    assert "attempt 99" in text[-1] and "attempt 0" not in whole


@pytest.mark.parametrize(("columns", "rows"), [(40, 10), (80, 3), (200, 60)])
def test_it_fits_any_terminal(columns: int, rows: int) -> None:
    overview = seen(snapshot(worker("a-worker-of-a-very-long-name")))
    text = plain(draw(overview, [line(1)], columns, rows, 0.0))
    assert len(text) <= rows and all(len(row) <= columns for row in text)


def test_a_worker_that_left_takes_its_curve_along() -> None:
    overview = seen(snapshot(worker("w1"), worker("w2")), snapshot(worker("w2", speed=5.0)))
    assert list(overview.speeds["w2"]) == [30.0, 5.0] and "w1" not in overview.speeds
    assert list(overview.total) == [60.0, 5.0]


def test_a_workers_name_is_told_whole_and_of_a_requests_id_the_beginning() -> None:
    came = Line(
        seq=1, at=1.0, event="started", rid=None, worker="living-room-2", by="w", detail="tiny"
    )
    text = "\n".join(plain(draw(Overview(), [line(7), came], 100, 20, 0.0)))
    assert "living-room-2" in text and "00000007  " in text and "00000007abc" not in text


def test_an_empty_mesh_and_a_broker_that_is_away_are_said() -> None:
    overview = seen(Snapshot(at=0.0, workers=[], queues=[], requests=[], unfinished=0))
    assert "start one with `mesh worker`" in "\n".join(plain(draw(overview, [], 80, 24, 0.0)))
    overview.trouble = "The broker did not answer."
    assert "The broker did not answer." in plain(draw(overview, [], 80, 24, 0.0))[1]
