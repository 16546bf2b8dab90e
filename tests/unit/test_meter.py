"""The worker's speed: tokens over the last seconds, whoever asks how often."""

from mesh.worker.meter import WINDOW, Meter


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_the_speed_is_that_of_the_last_seconds_alone() -> None:
    clock = Clock()
    meter = Meter(clock)
    speeds = []
    for second in range(20):
        clock.now += 1.0
        meter.tokens += 30 if second < 10 else 90
        speeds.append(meter.speed())
    assert speeds[:10] == [30.0] * 10
    assert speeds[10 + int(WINDOW) - 1 :] == [90.0] * (11 - int(WINDOW))


def test_a_worker_that_rests_has_no_speed() -> None:
    clock = Clock()
    meter = Meter(clock)
    assert meter.speed() == 0.0
    meter.tokens = 1000
    clock.now += 2
    assert meter.speed() == 500.0
    clock.now += 2 * WINDOW
    meter.speed()
    clock.now += 2 * WINDOW
    assert meter.speed() == 0.0
