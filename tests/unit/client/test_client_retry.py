"""When to try again, by a clock that the test sets."""

from hypothesis import given
from hypothesis import strategies as st

from mesh_client.retry import Backoff, Retry


def backoff(patience: float = 10.0, chance: float = 1.0) -> Backoff:
    return Backoff(Retry(first=0.1, factor=2, longest=1.0), patience, 0.0, lambda: chance)


def test_delays_double_up_to_the_longest() -> None:
    waits = backoff()
    assert [waits.loss(0.0) for _ in range(6)] == [0.1, 0.2, 0.4, 0.8, 1.0, 1.0]


def test_progress_makes_the_next_loss_a_first_one() -> None:
    waits = backoff()
    waits.loss(0.0)
    waits.loss(0.0)
    waits.progress()
    assert waits.loss(0.0) == 0.1


def test_patience_ends_and_a_sign_of_life_renews_it() -> None:
    waits = backoff(patience=5.0)
    waits.heard(3.0)
    assert waits.loss(7.9) is not None
    assert waits.loss(8.0) is None


def test_no_patience_means_no_second_attempt() -> None:
    assert backoff(patience=0.0).loss(0.0) is None


def test_the_gateway_may_ask_for_a_longer_wait() -> None:
    assert backoff().loss(0.0, retry_after=4.0) == 4.0


@given(st.floats(0, 1, exclude_max=True), st.integers(1, 2000))
def test_every_delay_is_positive_and_bounded(chance: float, losses: int) -> None:
    waits = backoff(patience=1e9, chance=chance)
    delays = [waits.loss(0.0) for _ in range(losses)]
    assert all(delay is not None and 0.05 <= delay <= 1.0 for delay in delays)
