"""What happens in a campaign, drawn from a seed before it begins: who asks what, and which faults.

Pure. When a fault really strikes depends on the machine; which, where and in which order does not.
"""

import random
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

Client = Literal["reader", "leaver", "slow", "retrier", "hanger", "chatter", "doubler"]
"""How a client behaves: reads to the end; leaves and comes back; reads slowly; asks twice; hangs
up for good; asks in a chat and may stop the answer; asks in a chat at two gateways at once."""

Kind = Literal[
    "kill worker", "pause worker", "freeze worker", "stop worker", "cut worker", "delay worker",
    "clock of worker", "hour of worker", "sever worker",
    "kill gateway", "stop gateway", "pause gateway", "cut gateway", "delay gateway",
    "freeze gateway", "sever gateway",
    "clock of gateway", "hour of gateway",
    "cut clients", "delay clients",
    "kill store", "stop store", "pause store", "cut store", "fill store", "clock of store",
    "hour of store", "freeze store", "delay store", "sever store",
    "kill broker", "stop broker", "pause broker", "fill broker", "freeze broker",
    "kill leader", "stop leader", "pause leader", "seclude leader",
    "kill follower", "stop follower", "pause follower", "seclude follower", "stop nodes",
    "isolate leader", "isolate follower",
]  # fmt: skip
"""kill: SIGKILL; pause: SIGSTOP for a while; freeze: for longer than the queue's patience, or
until the other gateways call it gone; stop: SIGTERM; cut: its connections break, and for a while no
new one is made; sever: for longer than the queue's patience; delay: every message comes
late; fill: its disk is full for a while; clock: its clock is set; hour: by an hour. The clients'
wires are those to a gateway, all others end at the broker. Of three brokers one leads the log and
the others follow; seclude: it is cut off from the others, not from its clients; isolate: for so
long that its clients leave it; nodes: all three, one after the other."""

CLIENTS: dict[Client, float] = {
    "reader": 60, "leaver": 14, "slow": 4, "retrier": 7, "hanger": 8, "chatter": 7,
}  # fmt: skip
LONG_CLIENTS: dict[Client, float] = {"doubler": 4}
FAULTS: dict[Kind, float] = {
    "kill worker": 34, "pause worker": 8, "freeze worker": 6, "stop worker": 6, "cut worker": 12,
    "delay worker": 8, "clock of worker": 4,
    "kill gateway": 4, "stop gateway": 2, "pause gateway": 3, "cut gateway": 4, "delay gateway": 2,
    "clock of gateway": 1,
    "cut clients": 4, "delay clients": 3,
    "kill store": 3, "stop store": 1, "pause store": 1, "cut store": 1, "fill store": 1.5,
    "clock of store": 0.5,
    "kill broker": 1.5, "stop broker": 0.5, "pause broker": 0.5, "fill broker": 1,
}  # fmt: skip
"""How often each comes, in proportion."""

LONG: dict[Kind, float] = {
    "freeze gateway": 0.8, "sever gateway": 0.8, "sever worker": 3,
    "hour of worker": 1.5, "hour of gateway": 0.5, "hour of store": 0.3,
    "freeze store": 1.2, "freeze broker": 1.2, "delay store": 1, "sever store": 1,
}  # fmt: skip
"""The same for long campaigns only: of those that last, and of the store's wire made slow."""

CLUSTER: dict[Kind, float] = {
    "kill worker": 20, "pause worker": 5, "stop worker": 4, "clock of worker": 2,
    "kill gateway": 3, "stop gateway": 1, "pause gateway": 2, "cut clients": 2,
    "kill store": 2, "stop store": 1, "pause store": 1,
    "kill leader": 6, "stop leader": 2, "pause leader": 3, "seclude leader": 3,
    "kill follower": 4, "stop follower": 1, "pause follower": 2, "seclude follower": 3,
    "stop nodes": 1,
}  # fmt: skip
"""The same in a cluster of brokers."""

LONG_CLUSTER: dict[Kind, float] = {"isolate leader": 3, "isolate follower": 3}
"""The same for long campaigns there only: of those that last."""

WORDS = "alpha beta gamma delta epsilon zeta eta theta iota kappa".split()

ECHO = "echo"
"""The model whose every word is known beforehand."""

SHARE = 10
"""Of so many requests one asks the second model, where there is one."""

AT_LENGTH = 400
"""Pieces of the echo that somebody asks for who will hang up, or asks twice: seconds of writing, so
that it shows whether the one was heard, and whether the other stopped anything."""

LETTERS = 6000
"""Letters of a word that somebody asks for who reads slowly: what fills sockets."""

FILLING = 120
"""Pieces of the echo that such a one asks for: more than fits into sockets, and into what a gateway
writes before it waits. With 90, half a megabyte, that was so with one Linux and not with the next.
"""


@dataclass(frozen=True)
class Ask:
    """One request. at: seconds after the beginning; tokens: how many it asks for; after: pieces
    that a client reads before it does what its kind does; model: "" for the echo workers'."""

    number: int
    at: float
    client: Client
    tokens: int
    after: int
    model: str = ""

    @property
    def prompt(self) -> str:
        return f"/repeat {' '.join(self.words)}"

    @property
    def words(self) -> list[str]:
        """What an echo says again and again: long words for who is to fill sockets."""
        at_length = self.client == "slow" and self.tokens == FILLING
        said = [word.ljust(LETTERS, ".") for word in WORDS[:5]] if at_length else WORDS
        return [f"#{self.number}", *said]


@dataclass(frozen=True)
class Fault:
    """One fault. target: which of its kind, by number; seconds: how long, where it lasts."""

    at: float
    kind: Kind
    target: int
    seconds: float


@dataclass
class Plan:
    """A campaign of `seconds`, if the machine keeps up."""

    seed: int
    seconds: float
    asks: list[Ask] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)


def draw(
    seed: int,
    requests: int,
    faults: int,
    seconds: float,
    second_model: str = "",
    long: bool = False,
    kinds: Mapping[Kind, float] | None = None,
) -> Plan:
    """Draw a plan. second_model: of a real engine, which one of `SHARE` requests asks; long: with
    the faults that last, too; kinds: of faults, in place of the usual ones."""
    rng = random.Random(seed)
    clients = CLIENTS | LONG_CLIENTS if long else CLIENTS
    kinds = kinds or (FAULTS | LONG if long else FAULTS)
    plan = Plan(seed, seconds)
    for number, at in enumerate(sorted(rng.uniform(0, seconds) for _ in range(requests))):
        (client,) = rng.choices(list(clients), list(clients.values()))
        tokens = rng.randint(10, 70)
        model = second_model if rng.randrange(SHARE) == 0 else ""
        after = rng.randint(1, tokens)
        if client in ("hanger", "doubler") and not model:
            tokens = AT_LENGTH
        elif client == "slow" and long and not model:
            tokens = FILLING
        plan.asks.append(Ask(number, at, client, tokens, after, model))
    for at in sorted(rng.uniform(0, seconds) for _ in range(faults)):
        (kind,) = rng.choices(list(kinds), list(kinds.values()))
        plan.faults.append(Fault(at, kind, rng.randrange(1000), rng.uniform(*SPANS[kind])))
    plan.asks = [_amid_slowness(rng, ask, plan.faults) for ask in plan.asks]
    return plan


def _amid_slowness(rng: random.Random, ask: Ask, faults: list[Fault]) -> Ask:
    """A doubler asks while a gateway is slow, if one ever is: only then is one of its two questions
    so late that the other's answer is under way when it is looked at."""
    slow = [fault for fault in faults if fault.kind == "delay gateway"]
    if ask.client != "doubler" or not slow:
        return ask
    fault = rng.choice(slow)
    return replace(ask, at=fault.at + rng.uniform(0.0, fault.seconds))


_AT_ONCE = (0.0, 0.0)
SPANS: dict[Kind, tuple[float, float]] = {
    "kill worker": _AT_ONCE, "pause worker": (0.5, 4.0), "freeze worker": (6.5, 10.0),
    "stop worker": _AT_ONCE, "cut worker": (0.0, 3.0), "delay worker": (0.5, 3.0),
    "clock of worker": _AT_ONCE,
    "kill gateway": _AT_ONCE, "stop gateway": _AT_ONCE, "pause gateway": (0.5, 3.0),
    "cut gateway": (0.0, 2.0), "delay gateway": (0.5, 2.0), "clock of gateway": _AT_ONCE,
    "freeze gateway": (20.0, 25.0), "sever gateway": (6.5, 12.0), "sever worker": (6.5, 12.0),
    "hour of worker": _AT_ONCE, "hour of gateway": _AT_ONCE, "hour of store": _AT_ONCE,
    "freeze store": (7.0, 9.0), "freeze broker": (7.0, 9.0), "delay store": (0.5, 3.0),
    "sever store": (6.5, 12.0),
    "cut clients": (0.0, 2.0), "delay clients": (0.5, 3.0),
    "kill store": _AT_ONCE, "stop store": _AT_ONCE, "pause store": (0.5, 4.0),
    "cut store": (0.0, 3.0), "fill store": (1.0, 5.0), "clock of store": _AT_ONCE,
    "kill broker": _AT_ONCE, "stop broker": _AT_ONCE, "pause broker": (0.3, 2.0),
    "fill broker": (0.5, 3.0),
    "kill leader": (0.5, 8.0), "stop leader": (0.5, 5.0), "pause leader": (1.0, 12.0),
    "seclude leader": (1.0, 12.0),
    "kill follower": (0.5, 8.0), "stop follower": (0.5, 5.0), "pause follower": (1.0, 12.0),
    "seclude follower": (1.0, 12.0), "stop nodes": _AT_ONCE,
    "isolate leader": (30.0, 45.0), "isolate follower": (30.0, 45.0),
}  # fmt: skip
"""How long each lasts, in seconds, where it lasts."""
