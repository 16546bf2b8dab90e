"""What it costs a gateway to know who asks, and whether they may: CPU time of one request.

    python -m benchmarks.admission

Starts a mesh, makes a user and a key there, and lets requests in with a gateway's own objects, in
this process: its copy of the accounts, read from the broker, the signature or the key, what the
scopes allow, the limits of user and key with what they have used, the headers that tell of them,
and the counting of the end. Every limit is set, and none is reached. Requests are read, and events
are made, before the clock runs. Exit status 1 if it costs more than is to be.
"""

import sys
from collections.abc import Mapping
from pathlib import Path
from statistics import median
from time import process_time, time
from typing import NamedTuple

import httpx
import uvloop

from benchmarks import subjects
from benchmarks.report import Aim
from mesh.bus.appender import new_uid
from mesh.bus.connection import Bus
from mesh.bus.jetstream import JetStream
from mesh.cli.enrol import BrokerFolder
from mesh.cli.load.table import aligned
from mesh.cli.ports import free_port
from mesh.gateway.accounts import Accounts
from mesh.gateway.door import Rules
from mesh.gateway.doorman import Doorman
from mesh.gateway.errors import AnyRequest
from mesh.gateway.limits.counts import Counts
from mesh.gateway.limits.headers import TOLD
from mesh.gateway.limits.limiter import Limiter
from mesh.gateway.limits.telling import tell
from mesh.gateway.store import Store
from mesh.gateway.tokens import Tokens, signing_key
from mesh.gateway.trusted_clients import TrustedClients
from mesh.protocol.events import Done, Queued, Timings, Usage
from mesh.protocol.request import Message, Request
from mesh.settings import GatewaySettings

BOUND = 300.0
"""Microseconds that it may cost."""

ROUND, ROUNDS = 2_000, 7
"""Requests between two looks at the clock, and how often that is done."""

MANY = 1_000_000_000
"""A limit that nobody reaches."""


class Asked(NamedTuple):
    """One HTTP request, the request to a model that it is for, and what the log says of it."""

    http: AnyRequest
    request: Request
    queued: Queued
    done: Done


class Entrance:
    """What a gateway lets people in with."""

    def __init__(self, bus: Bus, settings: GatewaySettings) -> None:
        self._bus = bus
        store = Store(bus)
        self.accounts = Accounts(bus, JetStream(bus), store)
        self._counts = Counts(60.0)
        self._limiter = Limiter(self._counts, settings, self.accounts, store)
        tokens = Tokens(signing_key(settings), settings.access_ttl)
        self._doorman = Doorman(tokens, self.accounts, Rules(settings))
        self._trusted = TrustedClients(self.accounts, store)
        self._seq = 0

    async def cost(self, token: str) -> float:
        """Microseconds of CPU time for one request of whoever has a token, the median of rounds."""
        rounds = []
        for _ in range(ROUNDS):
            asked = [self._asked(token) for _ in range(ROUND)]
            begun = process_time()
            for one in asked:
                await self._let_in(one)
            rounds.append(1e6 * (process_time() - begun) / ROUND)
        return median(rounds)

    def _asked(self, token: str) -> Asked:
        http = http_request(token)
        principal = self._doorman.principal(http_request(token))
        request = Request(
            rid=new_uid(),
            reply="gw1",
            tenant=principal.user_id,
            key=principal.key,
            model="echo",
            messages=(Message(role="user", content="one two three"),),
            created=time(),
            deadline=time() + 600,
        )
        queued = Queued(uid=new_uid(), request=request)
        usage = Usage(prompt_tokens=20, completion_tokens=8)
        done = Done(uid=new_uid(), finish="stop", text="", usage=usage, timings=Timings())
        return Asked(http, request, queued, done)

    async def _let_in(self, asked: Asked) -> None:
        http, rid = asked.http, asked.request.rid
        await self._trusted.identify(http)
        self._doorman.principal(http)
        tell(self._limiter, http)
        await self._limiter.admit(asked.request)
        self._seq += 2
        self._counts.hear(rid, asked.queued, self._seq - 1, time())
        http.scope["state"][TOLD]()
        self._counts.hear(rid, asked.done, self._seq, time())


def http_request(token: str) -> AnyRequest:
    """A request as the server hands it on, with the headers that clients send."""
    headers = [
        (b"host", b"127.0.0.1:8000"),
        (b"user-agent", b"OpenAI/Python 2.8.1"),
        (b"accept", b"application/json"),
        (b"content-type", b"application/json"),
        (b"content-length", b"211"),
        (b"authorization", f"Bearer {token}".encode()),
    ]
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/v1/chat/completions",
        "query_string": b"",
        "headers": headers,
        "state": {},
    }
    return AnyRequest(scope)  # type: ignore[arg-type]  # all of a scope that is looked at


async def measure(url: str, settings: GatewaySettings) -> Mapping[str, float]:
    """What it costs with each kind of token."""
    async with httpx.AsyncClient(base_url=url, timeout=30.0) as http:
        login = (await http.get("/auth/callback/debug", params={"code": "bench"})).json()
        access = login["access_token"]["access_token"]
        signed = {"Authorization": f"Bearer {access}"}
        body = {"name": "bench", "scopes": ["ask"]}
        key = (await http.post("/account/keys", json=body, headers=signed)).json()["secret"]
    password = settings.gateway_password
    bus = await Bus.connect(settings.servers, "gateway", password, "admission", settings.nats_ca)
    try:
        entrance = Entrance(bus, settings)
        await entrance.accounts.start()
        found = {}
        for kind, token in (("access token", access), ("API key", key)):
            await entrance.cost(token)
            found[kind] = await entrance.cost(token)
        return found
    finally:
        await bus.close()


def run(folder: Path) -> list[Aim]:
    """Measure, print it, and say what was to be reached."""
    port = free_port()
    env = {"MESH_ENGINE": "echo", "MESH_NATS_PORT": str(port)}
    data = folder / "admission"
    with subjects.mesh(folder, "admission", env) as mesh:
        settings = GatewaySettings(
            data_dir=str(data),
            nats_port=port,
            gateway_password=BrokerFolder(data).credential("gateway").password,
            limit_requests=MANY,
            limit_tokens=MANY,
            limit_concurrent=MANY,
            limit_daily_tokens=MANY,
            limit_messages="999999/600",
        )
        found = uvloop.run(measure(mesh.url, settings))
    rows = [[kind, f"{cost:.0f}"] for kind, cost in found.items()]
    print(f"\n{aligned([['who asks, and whether they may', 'CPU µs'], *rows])}")
    return [
        Aim(f"who asks, and their limits ({kind}), CPU µs a request", cost, BOUND, False)
        for kind, cost in found.items()
    ]


def main() -> int:
    """Run, and say whether what was to be reached was."""
    return subjects.standalone(run)


if __name__ == "__main__":
    sys.exit(main())
