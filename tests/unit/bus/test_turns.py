"""Fair shares: what a user asks for delays another by no more than their turns.

Simulated: workers take prompts one by one from lanes, as `Turns` says, and hear of what others
take; prompts come meanwhile.
"""

import random
from collections import Counter, deque
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh.bus.turns import Turns
from mesh.protocol import subjects
from mesh.protocol.subjects import LANES, Priority, lane


class Queue:
    """A model's lanes, and a worker that takes from them."""

    def __init__(self) -> None:
        self.turns = Turns()
        self.lanes: dict[str, deque[tuple[str, float]]] = {}

    def put(
        self, tenant: str, count: int = 1, weight: float = 1.0, of: Priority = "normal"
    ) -> None:
        self.lanes.setdefault(lane(tenant, of, weight), deque()).extend([(tenant, weight)] * count)

    def waiting(self) -> list[str]:
        """In an order that is not that of their coming: it is not to matter."""
        return sorted(name for name, queue in self.lanes.items() if queue)

    def take(self) -> str:
        """The tenant of the next prompt."""
        name = self.turns.next(self.waiting())
        assert name is not None
        tenant, weight = self.lanes[name].popleft()
        self.turns.took(name, weight)
        return tenant

    def take_all(self) -> list[str]:
        return [self.take() for _ in range(sum(map(len, self.lanes.values())))]


def tenants(count: int) -> list[str]:
    """So many tenants, each of a lane of their own."""
    found: dict[str, str] = {}
    for number in range(1000):
        found.setdefault(lane(f"user{number}"), f"user{number}")
    return list(found.values())[:count]


def test_a_thousand_prompts_do_not_delay_another_ones() -> None:
    greedy, late, later = tenants(3)
    queue = Queue()
    queue.put(greedy, 1000)
    for _ in range(300):
        assert queue.take() == greedy
    queue.put(late)
    assert queue.take() == late
    queue.put(late)
    queue.put(later)
    assert Counter(queue.take() for _ in range(3)) == Counter([greedy, late, later])


events = st.lists(st.one_of(st.none(), st.integers(0, 40)), min_size=1, max_size=200)


@given(events, st.randoms(use_true_random=False))
def test_nobody_gets_a_second_turn_before_each_who_waits_got_one(
    happens: list[int | None], dice: random.Random
) -> None:
    """To the resolution of the lanes: of two users in one lane the first come is the first."""
    queue = Queue()
    since: dict[str, Counter[str]] = {}
    for number in happens:
        if number is not None:
            queue.put(f"user{number}", dice.choice([1, 1, 20]))
            for name in queue.waiting():
                since.setdefault(name, Counter())
            continue
        if not queue.waiting():
            continue
        took = lane(queue.take())
        since.pop(took, None)
        for others in since.values():
            others[took] += 1
            assert others[took] <= 1
        if queue.lanes[took]:
            since[took] = Counter()


@given(
    st.integers(2, 5),
    st.integers(0, 3),
    st.lists(st.integers(0, 40), min_size=1, max_size=40),
    st.randoms(use_true_random=False),
)
def test_several_workers_who_hear_each_other_share_the_turns(
    workers: int, late: int, greedy: list[int], dice: random.Random
) -> None:
    """As fairly as one would, but for what they have not heard of each other yet."""
    queue, turns = Queue(), [Turns() for _ in range(workers)]
    for number in greedy:
        queue.put(f"user{number}", 100)
    since = {name: Counter[str]() for name in queue.waiting()}
    unheard: deque[tuple[Turns, str]] = deque()
    for _ in range(20 * workers):
        queue.turns = dice.choice(turns)
        took = lane(queue.take())
        unheard.append((queue.turns, took))
        while len(unheard) > late:
            by, name = unheard.popleft()
            for each in turns:
                if each is not by:
                    each.took(name)
        since[took] = Counter()
        for name, others in since.items():
            if name != took:
                others[took] += 1
                assert others[took] <= 1 + 2 * late


@given(st.permutations(range(4)), st.integers(1, 4))
def test_shares_are_by_weight(order: list[int], heavy: int) -> None:
    users, queue = tenants(4), Queue()
    for number in order:
        queue.put(users[number], 200, weight=heavy if number == 0 else 1)
    got = Counter(queue.take() for _ in range(10 * (heavy + 3)))
    assert got[users[0]] == pytest.approx(10 * heavy, abs=1)
    assert all(got[user] == pytest.approx(10, abs=1) for user in users[1:])


def test_who_had_not_asked_has_nothing_saved_up() -> None:
    one, other = tenants(2)
    queue = Queue()
    queue.put(one, 100)
    for _ in range(50):
        queue.take()
    queue.put(other, 100)
    assert Counter(queue.take() for _ in range(20)) == Counter({one: 10, other: 10})


def test_a_higher_priority_comes_first() -> None:
    one, other = tenants(2)
    queue = Queue()
    queue.put(one, 3, of="low")
    queue.put(other, 2)
    queue.put(one, 1, of="high")
    assert queue.take_all() == [one, other, other, one, one, one]


def test_weights_without_measure_are_brought_within_bounds() -> None:
    one, other = tenants(2)
    queue = Queue()
    for tenant, weight in ((one, 0.0), (other, 1e300)):
        queue.put(tenant, 20, weight=weight)
    assert len(queue.take_all()) == 40


def of_lanes(taken: Iterable[str]) -> list[str]:
    return [lane(tenant) for tenant in taken]


@given(st.lists(st.integers(0, 40), min_size=1, max_size=60))
def test_places_are_those_in_which_they_come(numbers: list[int]) -> None:
    queue = Queue()
    for number in numbers:
        queue.put(f"user{number}")
    for _ in range(len(numbers) // 3):
        queue.take()
    order = [
        (place, name)
        for name, waiting in queue.lanes.items()
        for place in queue.turns.places(name, [weight for _, weight in waiting])
    ]
    assert len({place for place, _ in order}) == len(order), "nobody shares a place"
    assert of_lanes(queue.take_all()) == [name for _, name in sorted(order)]


def test_each_priority_has_lanes_of_its_own() -> None:
    assert len(set(subjects.ALL_LANES)) == sum(many + subjects.LIGHT for many in LANES.values())
    found = {
        lane(f"user{n}", name, weight) for n in range(99) for name in LANES for weight in (0, 1)
    }
    assert found == set(subjects.ALL_LANES)


@given(st.floats(0.001, 0.99), st.integers(0, 40))
def test_who_has_less_than_the_usual_share_delays_no_usual_one(light: float, number: int) -> None:
    """Whoever it is: a usual one waits for one turn of each other at most."""
    queue, (greedy, late) = Queue(), tenants(2)
    queue.put(f"user{number}", 50, weight=light)
    queue.put(greedy, 100)
    for _ in range(20):
        queue.take()
    queue.put(late)
    assert queue.take_all().index(late) <= 2
