"""What the checker takes for a fault, and what for a consequence of what happened. Pure."""

import random
from math import inf

import pytest
from msgspec.structs import replace

from mesh.protocol.errors import ErrorCode
from mesh.protocol.events import Cancelled, Failed
from tests.chaos.checker import Transcript, check
from tests.chaos.clients import People
from tests.chaos.door import GaveUp
from tests.chaos.ends import HEARD, OBEYED, Cut, Known
from tests.chaos.faults import CLIENTS, Window
from tests.chaos.made_up import ASKED, ENDED, blamed, checked, story, trouble
from tests.chaos.plan import Ask, Client
from tests.conftest import free_port

CANCELLED = Cancelled(uid="end")


def failed(code: ErrorCode) -> Failed:
    return Failed(uid="end", code=code)


def test_an_answer_as_it_should_be_is_clean() -> None:
    verdict = checked(story(60), "reader", "done")
    assert verdict.clean and verdict.ends == {"done": 1}


def test_who_is_told_done_before_all_is_said_was_told_wrongly() -> None:
    assert blamed(checked(story(3), "reader", "done"), "done with 3 of 60 pieces")


def test_an_end_says_what_was_written_whether_it_is_sealed_or_not() -> None:
    known = Known(timeout=1, windows=[trouble("w1", "freeze worker")])
    late = story(9, failed(ErrorCode.DEADLINE_EXCEEDED))
    assert checked(late, "reader", "error: x", known=known).clean
    assert late.run.end is not None
    late.run.end = replace(late.run.end, seal=None, text="half of it")
    verdict = checked(late, "reader", "error: x", known=known)
    assert verdict.counts["wrong"] == 1 and "its end says" in verdict.said[0]


@pytest.mark.parametrize("client", ["reader", "leaver", "slow", "retrier"])
def test_nothing_is_cancelled_that_nobody_stopped(client: Client) -> None:
    told = "error: The answer was cancelled."
    stopped = story(9, CANCELLED, client=client)
    assert blamed(checked(stopped, client, told), "nobody had asked", "was told")


def test_a_chat_is_cancelled_if_it_was_asked_to_stop() -> None:
    stopped = story(9, CANCELLED, chat=True)
    assert blamed(checked(stopped, "chatter", "cancelled"), "nobody had asked for that")
    asked = Known(hung_up={1: ASKED})
    assert checked(stopped, "chatter", "cancelled", known=asked).clean


def test_who_hangs_up_or_is_cut_off_is_cancelled() -> None:
    assert checked(story(9, CANCELLED), "hanger", "", known=Known(hung_up={1: ASKED})).clean
    known = Known(windows=[trouble("gw1", "kill gateway")], cuts=[Cut(1, "gw1", ENDED)])
    assert checked(story(9, CANCELLED), "hanger", "", pieces=5, known=known).clean


def test_who_has_not_hung_up_is_not_told_that_it_was_cancelled() -> None:
    told = "error: The answer was cancelled."
    assert blamed(checked(story(9, CANCELLED), "hanger", told), "was told")


def test_an_error_is_told_of_a_failure_only() -> None:
    told = checked(story(60), "reader", "error: 500", pieces=5)
    assert blamed(told, "was told 'error: 500', and it is done")


@pytest.mark.parametrize("code", ErrorCode)
def test_nothing_fails_without_a_reason(code: ErrorCode) -> None:
    known = Known(timeout=120, poison_after=2)
    verdict = checked(story(2, failed(code)), "reader", "error: it failed", known=known)
    assert blamed(verdict, f"failed with {code.value}")


def test_a_deadline_is_one_that_has_passed() -> None:
    late = failed(ErrorCode.DEADLINE_EXCEEDED)
    known = Known(timeout=120, windows=[trouble("w1", "freeze worker", ASKED, ASKED + 120)])
    assert checked(story(2, late, ended=ASKED + 120), "reader", "error: x", known=known).clean
    verdict = checked(story(2, late, ended=ASKED + 119), "reader", "error: x", known=known)
    assert blamed(verdict, "deadline_exceeded")


@pytest.mark.parametrize(
    ("windows", "excused"),
    [
        ([], False),
        ([trouble("broker", "kill broker", ASKED - 9, ASKED + 60)], True),
        ([trouble("gw1", "freeze gateway", ASKED + 60, ASKED + 200)], True),
        ([trouble("broker", "kill broker", ASKED, ASKED + 59)], False),
        ([trouble("w2", "freeze worker", ASKED, ASKED + 120)], False),
        ([trouble("store", "fill store", ASKED, ASKED + 120)], False),
        ([trouble("broker", "kill broker", ASKED, ASKED + 40)] * 2, False),
        (
            [
                trouble("w1", "kill worker", ASKED + 80, ASKED + 110),
                trouble("broker", "kill broker", ASKED, ASKED + 30),
            ],
            True,
        ),
    ],
)
def test_a_deadline_passes_only_where_trouble_has_taken_the_time(
    windows: list[Window], excused: bool
) -> None:
    late = story(2, failed(ErrorCode.DEADLINE_EXCEEDED), ended=ASKED + 120)
    verdict = checked(late, "reader", "error: x", known=Known(timeout=120, windows=windows))
    assert verdict.clean if excused else blamed(verdict, "deadline_exceeded")


def test_who_is_told_of_a_failure_has_read_all_that_was_said() -> None:
    known = Known(timeout=120, windows=[trouble("broker", "kill broker", ASKED, ASKED + 120)])
    late = story(40, failed(ErrorCode.DEADLINE_EXCEEDED), ended=ASKED + 121)
    assert checked(late, "reader", "error: x", known=known).clean
    verdict = checked(late, "reader", "error: x", pieces=39, known=known)
    assert verdict.lost == 1 and "39 of 40 pieces" in verdict.said[0]


def test_poison_has_lost_workers_in_a_row() -> None:
    poison = story(2, failed(ErrorCode.WORKER_LOST), holders=("w1", "w2", "w3"))
    poison.ended = late = ASKED + 3
    first = trouble("w1", "kill worker", ASKED + 0.5, late)
    second = trouble("w2", "freeze worker", ASKED + 1.5, late)
    both = Known(windows=[first, second], poison_after=2)
    assert checked(poison, "reader", "error: x", known=both).clean
    one = Known(windows=[second], poison_after=2)
    assert blamed(checked(poison, "reader", "error: x", known=one), "worker_lost")
    cut = trouble("w1", "cut worker", ASKED + 0.5, ASKED + 1.2)
    back = Known(windows=[cut, second], poison_after=2)
    assert blamed(checked(poison, "reader", "error: x", known=back), "worker_lost")
    killed = trouble("w1", "kill worker", ASKED + 1.7, late)
    gone = Known(windows=[cut, killed, second], poison_after=2)
    assert checked(poison, "reader", "error: x", known=gone).clean, "it could not answer any more"


def test_poison_stands_whoever_else_has_weighed_it_since() -> None:
    """Two are killed at one place. The third asks whether they are back and is cut off, the fourth
    is told to leave meanwhile; the fifth, whom the third answers again, counts two."""
    holders = ("w3", "w2", "w4", "w1", "w5")
    poison = story(4, failed(ErrorCode.WORKER_LOST), holders=holders, gave_back=("w1",))
    poison.ended = ASKED + 9
    windows = [
        trouble("w3", "kill worker", ASKED + 0.5, ASKED + 3),
        trouble("w2", "kill worker", ASKED + 1.9, ASKED + 5),
        trouble("w4", "sever worker", ASKED + 2.5, ASKED + 8),
        trouble("w1", "stop worker", ASKED + 3.5, ASKED + 6),
    ]
    assert checked(poison, "reader", "error: x", known=Known(windows=windows, poison_after=2)).clean
    without = Known(windows=windows[1:], poison_after=2)
    assert blamed(checked(poison, "reader", "error: x", known=without), "worker_lost")


@pytest.mark.parametrize(("after", "in_all"), [(2, inf), (inf, 2)])
def test_who_gave_poison_back_was_not_lost(after: float, in_all: float) -> None:
    holders = ("w1", "w2", "w3")
    poison = story(2, failed(ErrorCode.WORKER_LOST), holders=holders, gave_back=("w1",))
    poison.ended = late = ASKED + 3
    killed = [trouble(f"w{n}", "kill worker", ASKED + n - 0.5, late) for n in (1, 2)]
    known = Known(windows=killed, poison_after=after, poison_in_all=in_all)
    assert blamed(checked(poison, "reader", "error: x", known=known), "worker_lost")


def test_poison_has_lost_them_at_one_place() -> None:
    poison = story(2, failed(ErrorCode.WORKER_LOST), holders=("w1", "w2", "w3"))
    poison.ended = late = ASKED + 3
    poison.claims[-1] = poison.claims[-1]._replace(place=1)
    killed = [trouble(f"w{n}", "kill worker", ASKED + n - 0.5, late) for n in (1, 2)]
    known = Known(windows=killed, poison_after=2)
    assert blamed(checked(poison, "reader", "error: x", known=known), "worker_lost")


def test_who_was_refused_without_a_key_may_be_in_the_log_all_the_same() -> None:
    refused = story(0, failed(ErrorCode.BROKER_UNAVAILABLE), holders=())
    known = Known(windows=[trouble("broker", "kill broker", ASKED - 5, ASKED - 1)])
    assert checked(refused, "hanger", "", known=known).clean
    assert blamed(checked(refused, "reader", "error: x", known=known), "broker_unavailable")
    assert blamed(checked(refused, "hanger", ""), "broker_unavailable")


def test_who_was_refused_for_want_of_room_on_a_disk_is_queued_anew() -> None:
    full = Known(windows=[trouble("broker", "fill broker", ASKED - 5, ASKED - 1)])
    refused = story(0, failed(ErrorCode.QUEUE_FULL), holders=())
    asks, read = [Ask(1, 0.0, "reader", 60, 5)], list(enumerate(story(60).run.texts))
    transcripts = [Transcript(1, read, "done", 60)]
    assert check([refused, story(60)], asks, transcripts, None, full).clean
    killed = Known(windows=[trouble("broker", "kill broker", ASKED - 5, ASKED - 1)])
    assert blamed(check([refused, story(60)], asks, transcripts, None, killed), "queue_full")
    taken = story(0, failed(ErrorCode.QUEUE_FULL))
    assert check([taken, story(60)], asks, transcripts, None, full).counts["wrongly ended"]
    twice = check([story(60), story(60)], asks, transcripts, None, full)
    assert twice.counts["duplicated"] == 1


def test_a_refusal_has_to_say_when_to_come_back() -> None:
    known = Known(blunt=["POST /generate: 503 without Retry-After"])
    assert check([], [], [], None, known).counts["wrong"] == 1


def test_who_hangs_up_is_heard() -> None:
    ignored = story(60, ended=ASKED + HEARD + 0.1)
    hung_up = {1: ASKED}
    assert blamed(checked(ignored, "hanger", "", 5, Known(hung_up)), "had hung up")
    just_done = story(60, ended=ASKED + HEARD)
    assert checked(just_done, "hanger", "", 5, Known(hung_up)).clean


@pytest.mark.parametrize(
    ("client", "told", "chat"), [("hanger", "", False), ("chatter", "cancelled", True)]
)
def test_who_hangs_up_is_heard_soon(client: Client, told: str, chat: bool) -> None:
    known = Known(hung_up={1: ASKED})
    soon = story(9, CANCELLED, chat=chat, ended=ASKED + OBEYED)
    assert checked(soon, client, told, known=known).clean
    late = story(9, CANCELLED, chat=chat, ended=ASKED + OBEYED + 0.1)
    assert blamed(checked(late, client, told, known=known), "it was cancelled only 10.1 s later")
    amid = Known(hung_up={1: ASKED}, windows=[trouble("w1", "kill worker")])
    assert checked(late, client, told, known=amid).clean


@pytest.mark.parametrize(
    ("window", "excused"),
    [
        (trouble("gw1", "kill gateway"), True),
        (trouble("gw2", "pause gateway"), True),
        (trouble("broker", "kill broker"), True),
        (trouble("w1", "kill worker"), True),
        (trouble(f"{CLIENTS}gw1", "cut clients"), True),
        (trouble("w2", "kill worker"), False),
        (trouble("store", "kill store"), False),
        (trouble(f"{CLIENTS}gw2", "cut clients"), False),
        (trouble("gw1", "kill gateway", ASKED - 9, ASKED - 1), False),
    ],
)
def test_who_hangs_up_amid_trouble_of_its_own_may_not_be_heard(
    window: Window, excused: bool
) -> None:
    ignored = story(60, ended=ASKED + HEARD + 1)
    known = Known(hung_up={1: ASKED}, windows=[window])
    assert checked(ignored, "hanger", "", 5, known).clean is excused


def test_who_was_never_granted_anything_is_counted() -> None:
    people = People([], random.Random(1))
    people.transcripts = [Transcript(1), Transcript(2), Transcript(3, [(0, "#3~1 ")])]
    for number in (1, 3):
        ask = Ask(number, 0.0, "chatter", 60, 5)
        people.give_up(ask, GaveUp("POST /chats was not granted in time"))
    assert [each.number for each in people.transcripts] == [2, 3]
    verdict = check([], [], [], None, Known(never_granted=people.never_granted))
    assert verdict.never_granted == 2 and not verdict.clean
    assert verdict.said[0] == ("never_granted: #1 (chatter): POST /chats was not granted in time")


async def test_nobody_gives_up_unnoticed() -> None:
    people = People([f"http://127.0.0.1:{free_port()}"], random.Random(1), patience=0.1)
    people.tokens = {1: "token"}
    await people.ask(Ask(1, 0.0, "chatter", 60, 5))
    assert people.never_granted == ["#1 (chatter): POST /chats was not granted in time"]
    assert people.transcripts == []
