"""What a worker knows of lanes: where it looks next, where a pull waits, what it gives up."""

from mesh.bus.lanes import (
    AGAIN,
    ALIVE,
    ANSWERED,
    EXPIRED,
    HEARTBEAT,
    NOTHING_THERE,
    Is,
    Lane,
    Lanes,
)
from mesh.bus.turns import LINE
from mesh.protocol.subjects import ALL_LANES


class Worker:
    """Lanes with a clock of their own. Pulls are sent as the pull loop does."""

    def __init__(self) -> None:
        self.now = 0.0
        self.lanes = Lanes(lambda: self.now)

    def look(self, free: int = 1) -> Lane | None:
        due = self.lanes.to_ask(free)
        if due is None:
            return None
        self.lanes.pulled(due[0], Is.ASKED, due[1])
        return due[0]

    def watch(self) -> list[str]:
        lanes = list(self.lanes.to_watch())
        for lane in lanes:
            self.lanes.pulled(lane, Is.WATCHED, 1)
        return [lane.name for lane in lanes]

    def find_nothing(self) -> None:
        """Look everywhere, and leave a pull in each lane."""
        while (lane := self.look()) is not None:
            self.lanes.told(lane.name, lane.pull, NOTHING_THERE)
        self.watch()


def test_lanes_are_looked_into_one_after_the_other() -> None:
    worker, seen = Worker(), []
    while (lane := worker.look()) is not None:
        assert worker.look() is None
        seen.append(lane.name)
        worker.lanes.told(lane.name, lane.pull, NOTHING_THERE)
    assert sorted(seen) == sorted((LINE, *ALL_LANES))
    assert [name[:1] for name in seen if name][:4] == ["h"] * 4
    assert [name[:1] for name in seen if name][-4:] == ["l"] * 4


def test_where_nobody_waits_a_pull_does_and_nobody_looks_again() -> None:
    worker = Worker()
    worker.find_nothing()
    assert worker.look() is None and worker.watch() == []
    worker.lanes.came("n3", pending=0, weight=1.0, free=1)
    assert worker.look() is None and worker.watch() == ["n3"]


def test_where_more_wait_is_looked_again() -> None:
    worker = Worker()
    worker.find_nothing()
    worker.lanes.came("n3", pending=7, weight=1.0, free=4)
    assert worker.watch() == []
    lane = worker.look(free=3)
    assert lane is not None and (lane.name, lane.left) == ("n3", 3)


def test_what_comes_while_no_slot_is_free_tells_where_to_look() -> None:
    worker = Worker()
    worker.find_nothing()
    worker.lanes.came("n5", pending=0, weight=1.0, free=0)
    assert worker.watch() == []
    lane = worker.look()
    assert lane is not None and lane.name == "n5"


def test_a_pull_that_the_broker_cut_down_is_not_waited_for() -> None:
    worker = Worker()
    worker.find_nothing()
    worker.lanes.came("n1", pending=9, weight=1.0, free=8)
    lane = worker.look(free=8)
    assert lane is not None and lane.left == 8
    worker.lanes.came("n1", pending=0, weight=1.0, free=7)
    assert worker.watch() == ["n1"]


def test_the_words_on_a_pull_that_was_given_up_count_no_more() -> None:
    worker = Worker()
    lane = worker.look()
    assert lane is not None
    stale = lane.pull
    worker.lanes.lost()
    again = worker.look()
    assert again is lane
    worker.lanes.told(lane.name, stale, NOTHING_THERE)
    assert lane.state is Is.ASKED


def test_what_the_broker_does_not_answer_is_asked_again() -> None:
    worker = Worker()
    lane = worker.look()
    assert lane is not None
    worker.now += ANSWERED + 0.1
    worker.lanes.check()
    assert worker.look() is not None


def test_a_pull_of_which_nothing_is_heard_is_given_up_and_no_other() -> None:
    worker = Worker()
    worker.find_nothing()
    for _ in range(10):
        worker.now += HEARTBEAT
        for name, lane in worker.lanes._lanes.items():
            if name != "n4":
                worker.lanes.told(name, lane.pull, ALIVE)
        worker.lanes.check()
    lost = worker.look()
    assert lost is not None and lost.name == "n4"
    worker.lanes.told("n4", lost.pull, NOTHING_THERE)
    assert worker.look() is None


def test_a_pull_that_has_expired_waits_anew() -> None:
    worker = Worker()
    worker.find_nothing()
    lane = worker.lanes._lanes["n2"]
    worker.now += HEARTBEAT
    worker.lanes.told("n2", lane.pull, EXPIRED)
    assert worker.watch() == ["n2"]


def test_a_lane_that_is_not_there_holds_nobody_up() -> None:
    worker = Worker()
    first = worker.look()
    assert first is not None
    worker.lanes.told(first.name, first.pull, "503")
    second = worker.look()
    assert second is not None and second is not first
    worker.lanes.told(second.name, second.pull, NOTHING_THERE)
    worker.now += AGAIN + 0.1
    worker.lanes.check()
    assert first.state is Is.UNKNOWN
