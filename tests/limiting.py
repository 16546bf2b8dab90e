"""A limiter without a gateway: its accounts, its store and its clock are the test's."""

import time
from collections.abc import Callable
from typing import Any

from mesh.gateway.limits.counts import Counts
from mesh.gateway.limits.limiter import Limiter, messages
from mesh.protocol.errors import ErrorCode, MeshError
from mesh.protocol.limits import Allowance, GetUsage, Usage
from mesh.settings import GatewaySettings


class Said:
    """What the accounts say of users (key "") and keys; what the store has, None: it is away."""

    def __init__(self) -> None:
        self.allowances: dict[tuple[str, str], Allowance] = {}
        self.usage: Usage | None = Usage(rows=())
        self.asked: list[GetUsage] = []

    def allowance(self, user_id: str, key_id: str) -> Allowance:
        return self.allowances.get((user_id, key_id), Allowance())

    async def ask(self, query: GetUsage) -> Usage:
        self.asked.append(query)
        if self.usage is None:
            raise MeshError(ErrorCode.STORE_UNAVAILABLE)
        return self.usage


def limiter(said: Said, clock: Callable[[], float] = time.time, **limits: Any) -> Limiter:
    """A limiter with these settings."""
    settings = GatewaySettings(**limits)
    counts = Counts(messages(settings.limit_messages)[1], clock)
    return Limiter(counts, settings, said, said, clock)


def unlimited() -> Limiter:
    """One that lets everybody in."""
    return limiter(Said())
