"""What happens in a campaign, drawn from a seed before it begins: who asks what, and which faults.

Pure. When a fault really strikes depends on the machine; which, where and in which order does not.
"""

import random
from dataclasses import dataclass, field
from typing import Literal

Client = Literal["reader", "leaver", "slow", "retrier", "hanger", "chatter"]
"""How a client behaves: reads to the end; leaves and comes back; reads slowly; asks twice; hangs
up for good; asks in a chat and may stop the answer."""

Kind = Literal[
    "kill worker", "pause worker", "stop worker", "cut worker", "delay worker", "clock of worker",
    "kill gateway", "stop gateway", "pause gateway", "cut gateway",
    "kill store", "stop store", "pause store",
    "kill broker", "pause broker",
]  # fmt: skip
"""kill: SIGKILL; pause: SIGSTOP for a while; stop: SIGTERM; cut: its connections break, and for a
while no new one is made; delay: every message comes late; clock: its clock is set."""

CLIENTS: dict[Client, float] = {
    "reader": 60, "leaver": 14, "slow": 4, "retrier": 7, "hanger": 8, "chatter": 7,
}  # fmt: skip
FAULTS: dict[Kind, float] = {
    "kill worker": 34, "pause worker": 14, "stop worker": 6, "cut worker": 14, "delay worker": 8,
    "clock of worker": 4, "kill gateway": 4, "stop gateway": 2, "pause gateway": 3,
    "cut gateway": 4, "kill store": 3, "stop store": 1, "pause store": 1,
    "kill broker": 1.5, "pause broker": 0.5,
}  # fmt: skip
"""How often each comes, in proportion."""

WORDS = "alpha beta gamma delta epsilon zeta eta theta iota kappa".split()


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
        return f"/repeat #{self.number} {' '.join(WORDS)}"


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


def draw(seed: int, requests: int, faults: int, seconds: float, second_model: str = "") -> Plan:
    """Draw a plan. second_model: of a real engine, which every twentieth request asks."""
    rng = random.Random(seed)
    plan = Plan(seed, seconds)
    for number, at in enumerate(sorted(rng.uniform(0, seconds) for _ in range(requests))):
        (client,) = rng.choices(list(CLIENTS), list(CLIENTS.values()))
        tokens = rng.randint(10, 70)
        model = second_model if number % 20 == 7 else ""
        plan.asks.append(Ask(number, at, client, tokens, rng.randint(1, tokens), model))
    for at in sorted(rng.uniform(0, seconds) for _ in range(faults)):
        (kind,) = rng.choices(list(FAULTS), list(FAULTS.values()))
        plan.faults.append(Fault(at, kind, rng.randrange(1000), rng.uniform(*_SPANS[kind])))
    return plan


_LONGER_THAN_ACK_WAIT = (0.5, 4.0)
_SPANS: dict[Kind, tuple[float, float]] = {
    "kill worker": (0, 0), "pause worker": _LONGER_THAN_ACK_WAIT, "stop worker": (0, 0),
    "cut worker": (0.0, 3.0), "delay worker": (0.5, 3.0), "clock of worker": (-20, 20),
    "kill gateway": (0, 0), "stop gateway": (0, 0), "pause gateway": (0.5, 3.0),
    "cut gateway": (0.0, 2.0), "kill store": (0, 0), "stop store": (0, 0),
    "pause store": (0.5, 4.0), "kill broker": (0, 0), "pause broker": (0.3, 2.0),
}  # fmt: skip
