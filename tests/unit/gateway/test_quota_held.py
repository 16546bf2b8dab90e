"""What a client's questions hold of its quota while they are answered, and what counts after."""

from types import SimpleNamespace
from typing import Any, cast

from mesh.gateway.ask.quota import Quota
from mesh.gateway.store import Store
from mesh.protocol.clients import ClientUsage, GetClient
from mesh.protocol.events import Cancel, Done

ADA = ("ada", "1234")


class Books:
    """A store that has all that it is asked to have read."""

    def __init__(self) -> None:
        self.asked: list[int] = []

    async def ask(self, query: GetClient) -> ClientUsage:
        self.asked.append(query.min_seq)
        return cast(ClientUsage, SimpleNamespace(tokens=100 if query.min_seq else 0))


def a_quota() -> tuple[Quota, Books, set[str]]:
    books, under_way = Books(), set[str]()
    return Quota(cast(Store, books), 1000, under_way.__contains__), books, under_way


def end() -> Any:
    return Done(uid="0" * 32, text="", finish="stop")


async def test_a_question_is_held_until_its_end_and_from_then_on_asked_for() -> None:
    """Its reader may be told of the end a while after it was heard: there is no moment at which
    neither what it held counts nor what it took."""
    quota, books, under_way = a_quota()
    quota.hold(*ADA, "one", 160)
    assert quota.held(*ADA) == 160
    quota.begun(*ADA, "one", "one")
    under_way.add("one")
    quota.hear("one", Cancel(uid="0" * 32), 6)
    assert (quota.held(*ADA), await quota.left(*ADA)) == (160, 1000)
    quota.hear("one", end(), 7)
    under_way.discard("one")
    assert (quota.held(*ADA), await quota.left(*ADA)) == (0, 900)
    assert books.asked == [0, 7]


async def test_one_that_ended_before_its_route_heard_that_it_began_holds_nothing() -> None:
    quota, _, _ = a_quota()
    quota.hold(*ADA, "one", 160)
    quota.hear("one", end(), 7)
    quota.begun(*ADA, "one", "one")
    assert (quota.held(*ADA), quota.holds("one")) == (0, 0)
    assert await quota.left(*ADA) == 900


def test_one_asked_for_anew_is_held_under_its_new_id_and_none_of_another_client() -> None:
    quota, _, under_way = a_quota()
    quota.hold(*ADA, "one", 160)
    quota.hold("ada", "other", "two", 40)
    under_way.add("one again")
    quota.begun(*ADA, "one", "one again")
    assert (quota.holds("one"), quota.holds("one again")) == (0, 160)
    assert (quota.held(*ADA), quota.held("ada", "other")) == (160, 40)
    quota.let_go("two")
    assert quota.held("ada", "other") == 0
    under_way.clear()
    assert quota.held(*ADA) == 0, "counted as under way no longer, as after a log made anew"
