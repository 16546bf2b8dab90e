"""Lets requests in, or refuses them: by what their user and their key may ask for, and have asked.

What a gateway lets in itself counts from that moment on, what others do as soon as it is heard of;
tokens count when an answer has ended. So the limits hold for all gateways together, but for what
happens in the fraction of a second in which the one does not know of the other's yet.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Protocol
from weakref import WeakValueDictionary

from msgspec.structs import asdict, replace

from mesh.bus.jetstream import JetStream
from mesh.gateway.limits import past
from mesh.gateway.limits.counts import DAY, MINUTE, Counts, Today, Who, both, of
from mesh.gateway.limits.refusing import beyond, check_ever
from mesh.gateway.limits.window import Room
from mesh.protocol.errors import ErrorCode, MeshError
from mesh.protocol.limits import NONE_SAID, Allowance, GetUsage, Usage
from mesh.protocol.request import Request
from mesh.protocol.subjects import LANES, Priority
from mesh.settings import GatewaySettings

log = logging.getLogger(__name__)

HORIZON = 3_600.0
"""Seconds of the past that a gateway counts at the least when it starts; the store has the day."""

SOON = 2.0
"""Seconds after which it is worth trying again where nobody knows when an answer ends."""

AGAIN = 10.0
"""Seconds until the store is asked again what was used today, after it did not answer."""

CHARACTERS = 4
"""Characters of a prompt that are taken for a token, where nobody has counted them."""


class Allowances(Protocol):
    """Who may ask for what, as the accounts have it (`mesh.gateway.accounts`)."""

    def allowance(self, user_id: str, key_id: str) -> Allowance: ...


class Store(Protocol):
    """Where the days are kept (`mesh.gateway.store`)."""

    async def ask(self, query: GetUsage) -> Usage: ...


class Limiter:
    """The limits of one gateway. counts: what was asked and used; who hears the log tells it."""

    def __init__(
        self,
        counts: Counts,
        settings: GatewaySettings,
        allowances: Allowances,
        store: Store,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.counts = counts
        self._horizon = horizon(settings)
        self._usual = Allowance(
            requests=settings.limit_requests,
            tokens=settings.limit_tokens,
            concurrent=settings.limit_concurrent,
            daily_tokens=settings.limit_daily_tokens,
            weight=1.0,
            priority="normal",
        )
        self._messages = messages(settings.limit_messages)[0]
        self._allowances = allowances
        self._store = store
        self._clock = clock
        self._away_until = 0.0
        self._reserved: set[str] = set()
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def start(self, js: JetStream) -> None:
        """Learn what was asked and used of late. Raises BusError."""
        await past.tell(js, self.counts, self._clock() - self._horizon)

    async def run(self) -> None:
        """Forget now and then what counts no more, until cancelled."""
        while True:
            await asyncio.sleep(MINUTE)
            self.counts.tidy(self._clock())

    async def admit(self, request: Request, chat: bool = False) -> Request:
        """Count a request as accepted; with the weight and priority that it has.

        chat: it is an answer in a chat. What was reserved is let in. Raises MeshError as `check`.
        """
        if request.rid in self._reserved:
            self._reserved.remove(request.rid)
        else:
            await self.check(request, chat)
            self.counts.begin(request, chat)
        return replace(request, weight=self._weight(request))

    def turn(self, of: str) -> asyncio.Lock:
        """Whoever reserves holds it until all is queued, or released: by an id, for of what is sent
        twice at once the second finds what the first has queued; by a place in the queue, for of
        two who want all the room that there is the second finds what the first has left."""
        return self._turns.setdefault(of, asyncio.Lock())

    async def reserve(
        self, requests: Sequence[Request], chat: bool = False, param: str = "n"
    ) -> list[str]:
        """Count requests of one user that belong together before they are queued one by one: all
        of them, or none. param: what asks for so many. Returns the ids of those that did not count
        yet, to be released. Raises MeshError as `check`.
        """
        await self._learn_of(requests[0])
        new = [each for each in requests if not self.counts.is_open(each.rid)]
        if not new:
            return []
        self._refuse(new[0], chat, len(new), param, spent_before_last(new))
        for each in new:  # nothing is awaited since: nobody else has come in between
            self.counts.begin(each, chat)
            self._reserved.add(each.rid)
        return [each.rid for each in new]

    def release(self, rids: Sequence[str]) -> None:
        """Those of reserved requests that were not queued after all are under way no longer."""
        for rid in self._reserved.intersection(rids):
            self._reserved.remove(rid)
            self.counts.forget(rid)

    async def check(self, request: Request, chat: bool = False) -> None:
        """Refuse what would not be let in now; nothing is counted.

        Raises MeshError: rate_limited, forbidden.
        """
        await self._learn_of(request)
        self._refuse(request, chat)

    def forget(self, rid: str) -> None:
        """A request that was admitted was not queued after all."""
        self.counts.forget(rid)

    def ended(self, rid: str, tokens: int) -> None:
        """A request that was admitted, and of which no log tells, used so many tokens."""
        self.counts.ended(rid, tokens)

    async def learn(self, user: str, key: str) -> None:
        """Have the store say what was used today, where there is a limit to that, for `rooms`."""
        for who in both(user, key):
            await self._learn(who)

    def rooms(self, user: str, key: str) -> dict[str, Room]:
        """What is left of each limit that there is, of the user's or the key's: the less.

        What is left of the day is told once the store has said what was used of it.
        """
        found: dict[str, Room] = {}
        for who in both(user, key):
            for name, room in self._rooms(who):
                if name not in found or room.left < found[name].left:
                    found[name] = room
        return found

    def _rooms(self, who: Who) -> Iterator[tuple[str, Room]]:
        allowed, used, now = self._allowance(who), self.counts.of(who), self._clock()
        if allowed.requests:
            yield "requests", used.requests.room(allowed.requests, now)
        if allowed.tokens:
            yield "tokens", used.tokens.room(allowed.tokens, now)
        if allowed.concurrent:
            left = max(0, allowed.concurrent - len(used.open))
            yield "concurrent", Room(allowed.concurrent, left, 0.0 if not used.open else SOON)
        spent = used.today.tokens(now)
        if allowed.daily_tokens and used.today.known:
            left = max(0, allowed.daily_tokens - spent)
            yield "daily-tokens", Room(allowed.daily_tokens, left, DAY - now % DAY)
        if answers := self._answers(who):
            yield "messages", used.messages.room(answers, now)

    def _refuse(
        self,
        request: Request,
        chat: bool,
        more: int = 1,
        param: str | None = None,
        spent: int = 0,
    ) -> None:
        """Raise MeshError for what would not be let in now, so many like it. spent: tokens that
        those before the last of them may take."""
        for who in of(request):
            self._check(who, chat, more, param, spent + 1)
        self._check_priority(request)

    def _check(self, who: Who, chat: bool, more: int, param: str | None, tokens: int) -> None:
        """Raise MeshError (rate_limited, bad_request) if so many more, or tokens, are beyond a
        limit."""
        allowed, used, now = self._allowance(who), self.counts.of(who), self._clock()
        whose = "with this key" if who.key else "for you"
        most, going = allowed.concurrent, len(used.open)
        if most and going + more > most:
            check_ever(most, more, f"requests may be under way {whose} at once", param)
            raise beyond("requests are under way", whose, SOON, most, going, more)
        answers = self._answers(who) if chat else 0
        windows = [
            (used.requests, allowed.requests, more, "requests", "made"),
            (used.tokens, allowed.tokens, tokens, "tokens", "used"),
            (used.messages, answers, more, "answers", "asked"),
        ]
        for window, limit, count, what, done in windows:
            if not limit:
                continue
            wait = window.free_at(limit - count + 1, now) - now if limit >= count else 0.0
            if limit >= count and wait <= 0:
                continue
            span = "minute" if window.span == 60 else f"{window.span:g} seconds"
            check_ever(limit, count, f"{what} may be {done} {whose} in any {span}", param)
            whose = f"{whose} in the last {span}"
            raise beyond(f"{what} were {done}", whose, wait, limit, window.sum(now), count)
        most, there = allowed.daily_tokens, used.today.tokens(now)
        if most and there + tokens > most:
            check_ever(most, tokens, f"tokens may be used {whose} in a day", param)
            whose, wait = f"{whose} today (UTC)", DAY - now % DAY
            raise beyond("tokens were used", whose, wait, most, there, tokens)

    def _answers(self, who: Who) -> int:
        """How many answers in chats somebody may ask for in a while; of a key nothing is said."""
        return 0 if who.key else self._messages

    def _check_priority(self, request: Request) -> None:
        """Raise MeshError (forbidden) for more than one may have."""
        order: list[Priority] = list(LANES)
        said = [self._allowance(who).priority for who in of(request)]
        least = max(order.index(priority) for priority in said if priority is not None)
        if order.index(request.priority) < least:
            raise MeshError(
                ErrorCode.FORBIDDEN,
                f"You may not ask with priority {request.priority!r}, only with {order[least]!r} "
                "or below; an admin can change that.",
            )

    def _weight(self, request: Request) -> float:
        """The user's, or the key's where that is less. No key makes it less than usual: in which
        lane they wait goes by the user, and with who has less others wait."""
        said = [(who, self._allowance(who).weight) for who in of(request)]
        return min(max(1.0, weight) if who.key else weight for who, weight in said if weight)

    def _allowance(self, who: Who) -> Allowance:
        """What holds for one: where nothing is said for a user, what is usual; for a key, nothing,
        for what holds for its user holds as well."""
        own = self._allowances.allowance(*who)
        return own if who.key else _with(own, self._usual)

    async def _learn_of(self, request: Request) -> None:
        """Have the store say what was used today of what limits hold for the request."""
        for who in of(request):
            await self._learn(who)

    async def _learn(self, who: Who) -> None:
        """Have the store say what was used today, if that is limited, it has not yet, and can."""
        if not self._allowance(who).daily_tokens:
            return
        today, now = self.counts.of(who).today, self._clock()
        today.turn(now)
        if today.known or now < self._away_until:
            return
        try:
            await self._ask(who, today, today.day)
        except MeshError as error:
            self._away_until = now + AGAIN
            log.warning("What was used today is not known, only what was since: %s", error.detail)

    async def _ask(self, who: Who, today: Today, day: int) -> None:
        name = datetime.fromtimestamp(day * DAY, UTC).date().isoformat()
        found = await self._store.ask(GetUsage(user=who.user, key=who.key, since=name, until=name))
        tokens = sum(row.prompt_tokens + row.completion_tokens for row in found.rows)
        today.learn(day, tokens, found.applied, self._clock())


def spent_before_last(requests: Sequence[Request]) -> int:
    """The tokens that all but the last of the answers to one body may take, as far as that is
    known: their prompts, as estimated, and max_tokens, or one where nothing is said."""
    return sum(_prompt(each) + (each.max_tokens or 1) for each in requests[:-1])


def _prompt(request: Request) -> int:
    return sum(len(message.content) for message in request.messages) // CHARACTERS


def horizon(settings: GatewaySettings) -> float:
    """Seconds of the past that a gateway has to know when it starts."""
    _, span = messages(settings.limit_messages)
    return max(HORIZON, span) + settings.request_timeout


def messages(setting: str) -> tuple[int, float]:
    """How many answers, in how many seconds, a setting like `20/600` means; 0: no limit."""
    count, _, span = setting.partition("/")
    return int(count or 0), float(span or 60)


def _with(own: Allowance, usual: Allowance) -> Allowance:
    if own is NONE_SAID or own == NONE_SAID:
        return usual
    lacking = {name: value for name, value in asdict(usual).items() if getattr(own, name) is None}
    return replace(own, **lacking)
