"""How people reach a mesh: at any gateway, and again and again until they are let in."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from mesh.gateway.errors import stopping
from tests.chaos.ends import Cut
from tests.chaos.web import Broken, Response, send

AGAIN = 0.25
"""Seconds before a client tries again."""

REFUSALS = (429, 503)
"""Statuses that mean: not now."""

STOPPING = stopping().detail
"""What a gateway that has to stop says in mid-stream: no end, but a reason to come back."""


class GaveUp(Exception):
    """What was asked for was not granted in time."""


@dataclass
class Door:
    """The gateways of one mesh, gw1 and so on.

    narrow: by the URL of each the one for those who read slowly, where there is one; blunt: a
    sentence for each refusal that did not say when to come back; cuts: streams that broke off.
    """

    gateways: list[str]
    rng: random.Random
    narrow: Mapping[str, str] = field(default_factory=dict)
    blunt: list[str] = field(default_factory=list)
    cuts: list[Cut] = field(default_factory=list)

    @asynccontextmanager
    async def send(
        self,
        method: str,
        path: str,
        body: object = None,
        headers: Mapping[str, str] | None = None,
        slowly: bool = False,
        only: str = "",
    ) -> AsyncIterator[Response]:
        """As `web.send`, to one gateway or the other; only: to this one."""
        url = only or self.rng.choice(self.gateways)
        way = self.narrow.get(url, url) if slowly else url
        async with send(method, way + path, body, headers, slowly) as response:
            response.url = url
            if response.status in REFUSALS and "retry-after" not in response.headers:
                self.blunt.append(f"{method} {path}: {response.status} without Retry-After")
            yield response

    def broke_off(self, number: int, response: Response) -> None:
        """Note that a stream came to no end though its client stayed."""
        gateway = f"gw{1 + self.gateways.index(response.url)}"
        self.cuts.append(Cut(number, gateway, time.time()))

    async def insist(
        self,
        method: str,
        path: str,
        body: object,
        headers: Mapping[str, str],
        until: float,
        only: str = "",
    ) -> Any:
        """Ask until it is granted. until: by the monotonic clock. Raises GaveUp."""
        while time.monotonic() < until:
            try:
                async with self.send(method, path, body, headers, only=only) as response:
                    if response.status in (200, 201):
                        return await response.json()
                    if response.status not in REFUSALS:
                        self.blunt.append(f"{method} {path}: {response.status}, which never helps")
            except Broken:
                pass
            await asyncio.sleep(AGAIN)
        raise GaveUp(f"{method} {path} was not granted in time")
