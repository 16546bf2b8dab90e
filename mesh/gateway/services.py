"""Everything a route may need, wired once and handed to the handlers."""

from dataclasses import dataclass, field
from hashlib import sha256
from hmac import digest
from secrets import token_hex
from typing import Literal, TypeAlias

from litestar.di import NamedDependency

from mesh.bus.clock import Clock
from mesh.bus.connection import Bus
from mesh.bus.jetstream import JetStream
from mesh.bus.presence import Fleet
from mesh.bus.trace import SPAN
from mesh.gateway.abreast import Abreast
from mesh.gateway.accounts import Accounts
from mesh.gateway.ask.quota import Quota
from mesh.gateway.door import Rules
from mesh.gateway.doorman import Doorman
from mesh.gateway.latest import Latest
from mesh.gateway.limits.limiter import Limiter
from mesh.gateway.living import Living
from mesh.gateway.lookout import Lookout
from mesh.gateway.metrics.meters import Meters
from mesh.gateway.models import Models
from mesh.gateway.oauth.site import Site
from mesh.gateway.openai.aside import Aside
from mesh.gateway.requests import Requests
from mesh.gateway.runs.conductor import Conductor
from mesh.gateway.runs.telling import Telling
from mesh.gateway.store import Store
from mesh.gateway.streams import Streams
from mesh.gateway.tokens import Principal, Tokens
from mesh.gateway.traces.telling import Traces
from mesh.gateway.trusted_clients import TrustedClients
from mesh.gateway.waiting import WaitingRoom
from mesh.protocol.abilities import lacking
from mesh.protocol.request import Message, Request, Sampling
from mesh.settings import GatewaySettings

DEFAULTS = Sampling()


@dataclass(frozen=True)
class Services:
    """One gateway's parts."""

    settings: GatewaySettings
    bus: Bus
    js: JetStream
    fleet: Fleet
    models: Models
    requests: Requests
    streams: Streams
    waiting: WaitingRoom
    latest: Latest
    lookout: Lookout
    store: Store
    accounts: Accounts
    tokens: Tokens
    doorman: Doorman
    trusted: TrustedClients
    sites: dict[str, Site]
    rules: Rules
    living: Living
    quota: Quota
    limiter: Limiter
    abreast: Abreast
    telling: Telling
    conductor: Conductor
    meters: Meters
    traces: Traces
    clock: Clock
    aside: Aside = field(default_factory=Aside)

    def new_request(
        self,
        principal: Principal,
        model: str,
        messages: tuple[Message, ...],
        sampling: Sampling = DEFAULTS,
        max_tokens: int | None = None,
        fit: Literal["truncate", "refuse"] = "truncate",
        key: str = "",
        trace: str = "",
    ) -> Request:
        """A request of `principal`, with its id and deadline.

        With an idempotency `key` the id is a keyed hash of tenant and key, so that every gateway
        of this mesh arrives at the same one, and nobody can guess another's. It stands in the trace
        of the HTTP request that is answered just now.
        """
        now = self.clock()
        return Request(
            rid=self.rid(principal, key),
            reply=self.settings.gateway_name,
            tenant=principal.user_id,
            model=model,
            messages=messages,
            sampling=sampling,
            max_tokens=max_tokens,
            fit=fit,
            created=now,
            deadline=now + self.settings.request_timeout,
            queue_deadline=now + self.settings.queue_timeout,
            trace=trace,
            priority=principal.priority,
            key=principal.key,
            **SPAN.get()._asdict(),
        )

    async def model(self, principal: Principal, asked: str | None, key: str) -> str:
        """The model to ask; of a request that was accepted already its own, served now or not.

        Raises MeshError: model_not_found, no_worker, broker_unavailable.
        """
        if key:
            known = await self.requests.logs.look(self.rid(principal, key))
            if known is not None and known.queued is not None:
                return known.queued.request.model
        return await self.models.choose(asked)

    def check_able(self, request: Request) -> None:
        """Raise MeshError (unsupported) if what is asked for is beyond every worker of the model.

        While nobody serves it, whoever comes will say.
        """
        card = self.models.cards().get(request.model)
        error = lacking(request, card.abilities) if card is not None else None
        if error is not None:
            raise error

    def rid(self, principal: Principal, key: str) -> str:
        """A request's id: unguessable, or derived from the tenant's idempotency key."""
        if not key:
            return token_hex(16)
        secret = self.tokens.derive("idempotency")
        named = f"{principal.user_id}\n{key}".encode()
        return digest(secret, named, sha256).hex()[:32]


Wired: TypeAlias = NamedDependency[Services]
"""How a handler asks for them: `services: Wired`."""
