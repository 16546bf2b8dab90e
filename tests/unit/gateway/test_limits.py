"""Limits: what a user and a key may ask for in a time, and what is said of it."""

import asyncio
import pickle
from collections.abc import Iterator
from itertools import count
from weakref import ref

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from mesh.gateway.limits.counts import DAY, Who
from mesh.gateway.limits.headers import LIMITS, headers, span
from mesh.gateway.limits.limiter import horizon, messages
from mesh.gateway.limits.window import Window
from mesh.protocol.errors import ErrorCode, MeshError
from mesh.protocol.events import Cancel, Cancelled, Claim, Done, Failed, Queued, RunEvent
from mesh.protocol.events import Usage as Tokens
from mesh.protocol.limits import Allowance, GetUsage, Usage, UsageRow
from mesh.protocol.request import Message, Request, Turn, UserMessage
from mesh.protocol.subjects import Priority
from mesh.settings import GatewaySettings
from tests.limiting import Said, limiter

NOON = 20_000 * DAY + DAY / 2


class World:
    """A limiter with a clock, accounts and a store of its own."""

    def __init__(self, **limits: object) -> None:
        self.now = NOON
        self.said = Said()
        self.limiter = limiter(self.said, lambda: self.now, **limits)
        self._rids: Iterator[int] = count()

    def request(self, user: str = "ada", key: str = "", priority: Priority = "normal") -> Request:
        return Request(
            rid=f"r{next(self._rids)}",
            reply="gw1",
            tenant=user,
            model="m",
            messages=(),
            created=self.now,
            deadline=self.now + 600,
            key=key,
            priority=priority,
        )

    async def ask(self, user: str = "ada", key: str = "", chat: bool = False) -> str:
        return (await self.limiter.admit(self.request(user, key), chat)).rid

    async def refused(self, user: str = "ada", key: str = "", chat: bool = False) -> MeshError:
        with pytest.raises(MeshError) as caught:
            await self.ask(user, key, chat)
        assert caught.value.code is ErrorCode.RATE_LIMITED
        return caught.value

    async def forbidden(self, request: Request) -> bool:
        with pytest.raises(MeshError) as caught:
            await self.limiter.admit(request)
        return caught.value.code is ErrorCode.FORBIDDEN

    def queued(self, request: Request, turn: Turn | None = None, seq: int = 5) -> None:
        """The log tells that a request was accepted."""
        event = Queued(uid="q", request=request, turn=turn)
        self.limiter.counts.hear(request.rid, event, seq, self.now)

    def end(self, rid: str, tokens: int = 0, seq: int = 1, ago: float = 0.0) -> None:
        usage = Tokens(prompt_tokens=tokens - tokens // 2, completion_tokens=tokens // 2)
        done = Done(uid="d", finish="stop", usage=usage)
        self.limiter.counts.hear(rid, done, seq, self.now - ago)

    async def use(self, tokens: int, user: str = "ada", key: str = "") -> None:
        self.end(await self.ask(user, key), tokens, seq=1000)

    def left(self, user: str = "ada", key: str = "") -> dict[str, int]:
        return {name: room.left for name, room in self.limiter.rooms(user, key).items()}


async def test_without_limits_nothing_is_refused_and_nothing_is_said() -> None:
    world = World()
    for _ in range(1000):
        await world.ask()
    assert world.limiter.rooms("ada", "") == {}


async def test_requests_in_a_minute_are_limited_for_each_user() -> None:
    world = World(limit_requests=3)
    for left in (2, 1, 0):
        await world.ask()
        world.now += 10
        assert world.left() == {"requests": left}
    refused = await world.refused()
    assert refused.retry_after == pytest.approx(30)
    await world.ask("bob")
    world.now += 30.0
    await world.ask()
    assert (await world.refused()).retry_after == pytest.approx(10)


async def test_tokens_count_when_an_answer_has_ended() -> None:
    world = World(limit_tokens=100)
    rid = await world.ask()
    assert world.left() == {"tokens": 100}
    world.end(rid, 60)
    assert world.left() == {"tokens": 40}
    await world.use(60)
    assert world.left() == {"tokens": 0}
    assert (await world.refused()).retry_after == pytest.approx(60)
    world.now += 60.1
    await world.ask()


async def test_many_at_once_pass_a_limit_of_tokens_as_far_as_may_be_under_way() -> None:
    """As docs/limits.md says: nothing is reserved, and what was let in is answered whole."""
    free, bounded = World(limit_tokens=100), World(limit_tokens=100, limit_concurrent=3)
    for world, many in ((free, 1000), (bounded, 3)):
        rids = [await world.ask() for _ in range(many)]
        if world is bounded:
            await world.refused()
        for rid in rids:
            world.end(rid, 90)
        assert world.left()["tokens"] == 0
        await world.refused()


async def test_who_has_as_many_under_way_as_may_be_waits_for_an_end() -> None:
    world = World(limit_concurrent=2)
    first, _ = await world.ask(), await world.ask()
    assert (await world.refused()).retry_after
    world.end(first)
    await world.ask()
    assert world.left() == {"concurrent": 0}


async def test_what_was_not_queued_after_all_is_not_under_way() -> None:
    world = World(limit_concurrent=1)
    world.limiter.forget(await world.ask())
    await world.ask()


async def test_what_was_not_queued_after_all_was_not_accepted() -> None:
    world = World(limit_requests=2, limit_messages="2/600")
    request = world.request()
    await world.limiter.admit(request, chat=True)
    world.limiter.forget(request.rid)
    assert world.left() == {"requests": 2, "messages": 2}
    world.queued(request)
    assert world.left()["requests"] == 1, "the log tells that it was after all"


CLAIM = Claim(uid="c", n=1, item=1, ack_reply="", model="m")
SPENT = Tokens(prompt_tokens=3, completion_tokens=1)
LATE = Failed(uid="f", code=ErrorCode.DEADLINE_EXCEEDED)


@pytest.mark.parametrize(
    ("events", "left"),
    [
        ([Failed(uid="f", code=ErrorCode.SHARE_FULL)], 5),
        ([Failed(uid="f", code=ErrorCode.QUEUE_FULL)], 5),
        ([Cancel(uid="c", withdrawn=True), Cancelled(uid="d")], 5),
        ([CLAIM, Failed(uid="f", code=ErrorCode.CONTEXT_OVERFLOW, n=1)], 5),
        ([CLAIM, Failed(uid="f", code=ErrorCode.BAD_REQUEST, n=1)], 5),
        ([CLAIM, Failed(uid="f", code=ErrorCode.BAD_REQUEST, n=1, usage=SPENT)], 4),
        ([CLAIM, Failed(uid="f", code=ErrorCode.ENGINE_FAILED, n=1)], 4),
        ([Failed(uid="f", code=ErrorCode.SHARE_FULL, n=1)], 4),
        ([LATE], 4),
        ([Cancel(uid="c", by="not all of it"), Cancelled(uid="d")], 4),
        ([CLAIM, LATE], 4),
    ],
)
async def test_what_is_refused_before_a_model_answers_counts_at_no_gateway(
    events: list[RunEvent], left: int
) -> None:
    here, there = (World(limit_requests=5, limit_messages="5/600") for _ in range(2))
    request = here.request(key="k1")
    await here.limiter.admit(request, chat=True)
    said = UserMessage(id="u", content="x", created=0.0)
    turn = Turn(chat_id="c", user_id="ada", user_message=said)
    for world in (here, there):
        for _ in range(2):
            world.queued(request, turn)
            for seq, event in enumerate(events):
                world.limiter.counts.hear(request.rid, event, 6 + seq, world.now)
        assert world.left() == world.left(key="k1") == {"requests": left, "messages": left}
    here.limiter.forget(request.rid)
    assert here.left()["requests"] == left, "it is given back once"


async def test_a_request_that_is_given_back_leaves_the_others_of_its_minute() -> None:
    world = World(limit_requests=3)
    first, second = await world.ask(), world.request()
    world.now += 20
    await world.limiter.admit(second)
    world.queued(second)
    world.end(first)
    world.now += 1
    await world.ask()
    full = Failed(uid="f", code=ErrorCode.SHARE_FULL)
    world.limiter.counts.hear(second.rid, full, 6, world.now)
    assert world.left() == {"requests": 1}
    world.now += 40
    assert world.left() == {"requests": 2}
    world.now += 20
    assert world.left() == {"requests": 3}


async def test_of_two_tries_of_one_request_the_one_that_is_refused_frees_nothing() -> None:
    world = World(limit_concurrent=1, limit_tokens=100)
    request = world.request()
    await world.limiter.admit(request)
    world.queued(request)
    world.limiter.forget(request.rid)
    assert world.left() == {"concurrent": 0, "tokens": 100}
    world.end(request.rid, 60)
    assert world.left() == {"concurrent": 1, "tokens": 40}


async def test_an_end_that_is_heard_before_its_beginning_was_read_is_counted_once_both_are() -> (
    None
):
    world = World(limit_requests=3, limit_tokens=100)
    request = world.request()
    world.end(request.rid, 60)
    assert world.left() == {"requests": 3, "tokens": 100}
    for _ in range(2):
        world.queued(request)
        world.end(request.rid, 60, ago=50)
        assert world.left() == {"requests": 2, "tokens": 40}
    world.now += 11
    assert world.left() == {"requests": 2, "tokens": 100}


async def test_a_day_is_what_the_store_has_and_what_came_since() -> None:
    world = World(limit_daily_tokens=1000)
    row = UsageRow(day="2024-10-04", user="ada", key="", model="m", prompt_tokens=900)
    world.said.usage = Usage(rows=(row,), applied=10)
    early, late = world.request(), world.request()
    for request, seq in ((early, 9), (late, 11)):
        world.queued(request, seq=seq - 1)
        world.end(request.rid, 50, seq)
    await world.ask()
    assert [query.since for query in world.said.asked] == ["2024-10-04"]
    assert world.left() == {"daily-tokens": 50}
    await world.use(50)
    refused = await world.refused()
    assert refused.retry_after == pytest.approx(DAY / 2)
    world.now += DAY / 2
    await world.ask()
    assert len(world.said.asked) == 1, "of a new day nothing is missing"


async def test_what_the_store_says_of_yesterday_does_not_count_today() -> None:
    world = World(limit_daily_tokens=100)
    row = UsageRow(day="2024-10-04", user="ada", key="", model="m", prompt_tokens=100)
    answer = world.said.ask

    async def late(query: GetUsage) -> Usage:
        world.now += DAY
        assert world.left() == {"daily-tokens": 100}
        return await answer(query)

    world.said.usage = Usage(rows=(row,), applied=1)
    world.said.ask = late  # type: ignore[method-assign]
    await world.ask()
    assert world.left() == {"daily-tokens": 100}


async def test_what_is_left_of_the_day_is_told_once_it_is_known() -> None:
    world = World(limit_requests=5, limit_daily_tokens=1000)
    world.said.allowances["", "k1"] = Allowance(daily_tokens=950)
    row = UsageRow(day="2024-10-04", user="ada", key="", model="m", prompt_tokens=900)
    world.said.usage = None
    await world.limiter.learn("ada", "k1")
    assert world.left(key="k1") == {"requests": 5}
    world.now += 11
    world.said.usage = Usage(rows=(row,), applied=10)
    assert world.left(key="k1") == {"requests": 5}
    await world.limiter.learn("ada", "k1")
    assert world.left(key="k1") == {"requests": 5, "daily-tokens": 50}
    assert world.left() == {"requests": 5, "daily-tokens": 100}
    asked = len(world.said.asked)
    await world.limiter.learn("ada", "k1")
    await world.limiter.learn("ada", "")
    assert len(world.said.asked) == asked


async def test_what_the_store_told_of_before_it_was_heard_counts_once() -> None:
    world = World(limit_daily_tokens=1000)
    row = UsageRow(day="2024-10-04", user="ada", key="", model="m", prompt_tokens=900)
    world.said.usage = Usage(rows=(row,), applied=10)
    await world.limiter.learn("ada", "")
    for seq, left in ((10, 100), (12, 50)):
        request = world.request()
        world.queued(request, seq=seq - 1)
        world.end(request.rid, 50, seq)
        assert world.left() == {"daily-tokens": left}
    world.now += 1
    request = world.request()  # in a log that was made anew
    world.queued(request, seq=1)
    world.end(request.rid, 20, 2)
    assert world.left() == {"daily-tokens": 30}


async def test_while_the_store_is_away_what_was_heard_counts() -> None:
    world = World(limit_daily_tokens=100)
    world.said.usage = None
    await world.use(99)
    await world.use(99)
    await world.refused()
    assert len(world.said.asked) == 1
    world.now += 11
    world.said.usage = Usage(rows=())
    await world.refused()
    assert len(world.said.asked) == 2


async def test_a_key_has_limits_of_its_own_and_its_users_hold_for_it_as_well() -> None:
    world = World(limit_requests=4)
    world.said.allowances["", "k1"] = Allowance(requests=2)
    await world.ask(key="k1")
    assert world.left(key="k1") == {"requests": 1}
    await world.ask(key="k1")
    await world.refused(key="k1")
    await world.ask(key="k2")
    await world.ask()
    await world.refused(key="k2")
    assert world.left(key="k2") == {"requests": 0}


async def test_a_key_s_limits_hold_for_all_together_whom_it_speaks_for() -> None:
    world = World()
    world.said.allowances["", "k1"] = Allowance(requests=2, daily_tokens=100)
    await world.ask("ada", "k1")
    await world.ask("bob", "k1")
    await world.refused("carol", "k1")
    assert world.left("carol", "k1")["requests"] == 0
    asked = [(query.user, query.key) for query in world.said.asked]
    assert asked == [("", "k1")], "the store is asked what all of them have used"
    await world.ask("carol")


async def test_a_user_may_have_more_or_no_limit_at_all() -> None:
    world = World(limit_requests=1)
    world.said.allowances["ada", ""] = Allowance(requests=0)
    world.said.allowances["bob", ""] = Allowance(requests=2)
    for _ in range(5):
        await world.ask()
    await world.ask("bob")
    await world.ask("bob")
    await world.refused("bob")


async def test_answers_in_chats_have_a_limit_of_their_own() -> None:
    world = World(limit_messages="20/600")
    for _ in range(20):
        await world.ask(chat=True)
        await world.ask()
        world.now += 5
    assert (await world.refused(chat=True)).retry_after == pytest.approx(500)
    await world.ask()
    world.now += 500.1
    await world.ask(chat=True)


async def test_others_requests_count_as_they_are_heard_and_each_once() -> None:
    world = World(limit_requests=3)
    own = world.request()
    await world.limiter.admit(own)
    for request in (own, world.request(), own):
        world.queued(request)
    world.end(own.rid)
    world.queued(own)
    assert world.left() == {"requests": 1}


async def test_an_answer_in_a_chat_is_known_by_its_turn() -> None:
    world = World(limit_messages="1/600")
    said = UserMessage(id="u", content="x", created=0.0)
    turn = Turn(chat_id="c", user_id="ada", user_message=said)
    request = world.request()
    world.queued(request, turn)
    await world.refused(chat=True)


async def test_weight_and_priority_are_what_was_said_of_the_user() -> None:
    world = World()
    world.said.allowances["ada", ""] = Allowance(weight=2.0, priority="high")
    admitted = await world.limiter.admit(world.request(priority="high"))
    assert (admitted.weight, admitted.priority) == (2.0, "high")
    await world.limiter.admit(world.request("bob", priority="low"))
    assert await world.forbidden(world.request("bob", priority="high"))


async def test_a_key_has_its_users_weight_and_priority_or_less() -> None:
    world = World()
    world.said.allowances["ada", ""] = Allowance(weight=2.0, priority="high")
    admitted = await world.limiter.admit(world.request(key="k1", priority="high"))
    assert admitted.weight == 2.0
    world.said.allowances["", "k1"] = Allowance(weight=0.5, priority="low")
    admitted = await world.limiter.admit(world.request(key="k1", priority="low"))
    assert admitted.weight == 1.0  # no key makes its lane wait longer than usual
    assert await world.forbidden(world.request(key="k1"))
    world.said.allowances["", "k2"] = Allowance(weight=9.0, priority="high")
    assert (await world.limiter.admit(world.request("bob", "k2"))).weight == 1.0
    assert await world.forbidden(world.request("bob", "k2", priority="high"))


async def test_what_never_ends_is_forgotten_in_the_end() -> None:
    world = World(limit_concurrent=1)
    own, others = world.request(), world.request("bob")
    await world.limiter.admit(own)
    world.queued(others)
    world.limiter.counts.tidy(world.now + 600)
    await world.refused()
    await world.refused("bob")
    world.limiter.counts.tidy(world.now + 700)
    await world.ask()
    await world.ask("bob")


async def test_of_who_has_used_nothing_of_late_nothing_is_kept() -> None:
    world = World(limit_messages="1/600")
    first, second = (ref(world.limiter.counts.of(who)) for who in (Who("ada"), Who(key="k1")))
    rid = await world.ask(key="k1", chat=True)
    world.now += 650
    world.limiter.counts.tidy(world.now)
    assert first() and second(), "it is under way"
    world.end(rid, 10)
    world.now += 60
    world.limiter.counts.tidy(world.now)
    assert first() and second(), "it counts for the day"
    world.now += DAY
    world.limiter.counts.tidy(world.now)
    assert not first() and not second()


amounts = st.lists(st.tuples(st.floats(0, 20), st.integers(1, 9)), max_size=60)


@given(amounts, st.integers(1, 50))
def test_a_window_has_room_exactly_when_it_says(steps: list[tuple[float, int]], limit: int) -> None:
    window, now, all_of_them = Window(60.0), 0.0, []
    for pause, amount in steps:
        now += pause
        window.add(now, amount)
        all_of_them.append((now, amount))

    def total(at: float) -> int:
        return sum(amount for then, amount in all_of_them if then > at - 60.0)

    assert window.sum(now) == total(now)
    free = window.free_at(limit, now)
    assert total(free + 1e-6) < limit
    assert free == now or total(free - 1e-6) >= limit
    reset = window.room(limit, now).reset
    assert total(now + reset + 1e-6) == 0


@pytest.mark.parametrize(
    ("seconds", "spelled"),
    [(0, "0ms"), (0.12, "120ms"), (6, "6s"), (360, "6m0s"), (3_725, "1h2m5s")],
)
def test_spans_are_spelled_as_openai_does(seconds: float, spelled: str) -> None:
    assert span(seconds) == spelled


async def test_the_headers_say_what_is_left() -> None:
    world = World(limit_requests=10)
    await world.ask()
    assert headers(world.limiter.rooms("ada", "")) == [
        (b"x-ratelimit-limit-requests", b"10"),
        (b"x-ratelimit-remaining-requests", b"9"),
        (b"x-ratelimit-reset-requests", b"1m0s"),
    ]


async def test_what_is_left_of_the_answers_in_chats_is_said_also_to_a_key() -> None:
    world = World(limit_messages="20/600")
    await world.ask(chat=True)
    await world.ask()
    world.now += 60
    assert headers(world.limiter.rooms("ada", "")) == [
        (b"x-ratelimit-limit-messages", b"20"),
        (b"x-ratelimit-remaining-messages", b"19"),
        (b"x-ratelimit-reset-messages", b"9m0s"),
    ]
    assert world.left("ada", "k1") == {"messages": 19}
    assert set(world.left()) <= set(LIMITS)


def test_what_has_left_a_window_is_not_kept_where_nobody_asks() -> None:
    window = Window(60)
    sizes = set()
    for second in range(100, 10_000, 10):
        window.add(float(second), 1)
        sizes.add(len(pickle.dumps(window)))
    assert len(sizes) < 20


def test_a_gateway_that_starts_looks_as_far_back_as_its_limits_reach() -> None:
    settings = GatewaySettings(limit_messages="20/7200")
    assert horizon(settings) >= 7200 + settings.request_timeout
    assert horizon(GatewaySettings()) >= 3600


def test_a_setting_says_how_many_in_how_long() -> None:
    assert (messages("20/600"), messages("")) == ((20, 600.0), (0, 60.0))


async def test_requests_that_belong_together_are_let_in_all_or_none() -> None:
    world = World(limit_concurrent=3, limit_requests=5)
    first = await world.ask()
    three = [world.request() for _ in range(3)]
    with pytest.raises(MeshError) as refused:
        await world.limiter.reserve(three)
    assert refused.value.code is ErrorCode.RATE_LIMITED
    assert "1 of 3 requests are under way for you, so 3 more" in refused.value.detail
    assert world.left() == {"concurrent": 2, "requests": 4}
    world.end(first)
    reserved = await world.limiter.reserve(three)
    assert world.left() == {"concurrent": 0, "requests": 1}
    assert await world.limiter.reserve(three) == [], "the same, asked twice at once"
    for each in three[:2]:
        await world.limiter.admit(each)
    world.limiter.release([])
    assert world.left() == {"concurrent": 0, "requests": 1}, "they are still the first's"
    world.limiter.release(reserved)
    assert world.left() == {"concurrent": 1, "requests": 2}, "two were queued, one was not"


async def test_what_is_reserved_twice_while_the_store_is_asked_counts_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = World(limit_concurrent=2, limit_daily_tokens=100)
    ask = world.said.ask

    async def slowly(query: GetUsage) -> Usage:
        await asyncio.sleep(0)
        return await ask(query)

    monkeypatch.setattr(world.said, "ask", slowly)
    both = [world.request() for _ in range(2)]
    reserved = await asyncio.gather(*(world.limiter.reserve(both) for _ in range(2)))
    assert sorted(map(len, reserved)) == [0, 2]
    assert world.left()["concurrent"] == 0


@pytest.mark.parametrize("limit", ["limit_tokens", "limit_daily_tokens"])
async def test_of_several_answers_the_last_needs_what_those_before_it_may_leave(
    limit: str,
) -> None:
    """As if each was let in after the end of those before it, with the tokens they may have."""
    world = World(**{limit: 1000})
    said = (Message(role="user", content="x" * 400),)

    def answers(count: int) -> list[Request]:
        made = (world.request() for _ in range(count))
        return [replace(each, messages=said, max_tokens=100) for each in made]

    for many in (6, 16):
        with pytest.raises(MeshError) as caught:
            await world.limiter.reserve(answers(many))
        assert (caught.value.code, caught.value.param) == (ErrorCode.BAD_REQUEST, "n")
    reserved = await world.limiter.reserve(answers(5))
    world.limiter.release(reserved)
    await world.use(600)
    with pytest.raises(MeshError) as caught:
        await world.limiter.reserve(answers(3))
    assert caught.value.code is ErrorCode.RATE_LIMITED
    assert caught.value.retry_after
    world.limiter.release(await world.limiter.reserve(answers(2)))
    await world.use(399)
    assert await world.limiter.admit(answers(1)[0]), "a single one, while anything is left"
    with pytest.raises(MeshError) as caught:
        await world.limiter.reserve([world.request(), world.request()])
    assert caught.value.code is ErrorCode.RATE_LIMITED, "an answer has a token at the least"


async def test_what_is_reserved_is_let_in_once() -> None:
    world = World(limit_concurrent=2)
    both = [world.request() for _ in range(2)]
    await world.limiter.reserve(both)
    for each in both:
        await world.limiter.admit(each)
        with pytest.raises(MeshError):
            await world.limiter.admit(each)


@pytest.mark.parametrize(
    "limit", [{"limit_concurrent": 2}, {"limit_requests": 2}, {"limit_messages": "2/60"}]
)
async def test_more_at_once_than_a_limit_ever_lets_in_is_refused_for_good(
    limit: dict[str, object],
) -> None:
    world = World(**limit)
    with pytest.raises(MeshError) as refused:
        await world.limiter.reserve([world.request() for _ in range(3)], chat=True, param="prompt")
    assert (refused.value.code, refused.value.param) == (ErrorCode.BAD_REQUEST, "prompt")
    assert "No more than 2 " in refused.value.detail and refused.value.detail.endswith(".")
    await world.limiter.reserve([world.request() for _ in range(2)], chat=True)
