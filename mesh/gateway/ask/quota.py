"""How many tokens a client of `POST /v1/ask` has left: asked of the store, which reads the log.

What a question takes is charged when it ends; until then twice its prompt is held of what is left,
by the gateway that took it, so that many at once do not all find the same tokens. While the store
is away the last figure known counts.
"""

from collections.abc import Callable

from mesh.gateway.seen import MOST, Seen
from mesh.gateway.store import Store
from mesh.protocol.clients import ClientUsage, GetClient
from mesh.protocol.errors import ErrorCode, MeshError
from mesh.protocol.events import End, RunEvent


class Quota:
    """most: tokens that a client may use, ever; 0: as many as it likes; is_open: whether a request,
    by its id, has no end yet."""

    def __init__(self, store: Store, most: int, is_open: Callable[[str], bool]) -> None:
        self.most = most
        self._is_open = is_open
        self._held: dict[str, dict[str, int]] = {}
        self._whose: dict[str, str] = {}
        self._coming: set[str] = set()
        self._store = store
        self._ended = Seen()
        self._used: dict[str, int] = {}

    async def used(self, tenant: str, client: str) -> ClientUsage | None:
        """What a client has used; None for one that never asked. Raises MeshError."""
        key = _key(tenant, client)
        query = GetClient(tenant=tenant, client=client, min_seq=self._ended.last(key))
        try:
            found = await self._store.ask(query)
        except MeshError as error:
            if error.code is ErrorCode.NOT_FOUND:
                return None
            raise
        self._used[key] = found.tokens
        while len(self._used) > MOST:
            del self._used[next(iter(self._used))]
        return found

    async def left(self, tenant: str, client: str) -> int:
        """The tokens that a client has left of `most`. Raises MeshError."""
        try:
            found = await self.used(tenant, client)
        except MeshError as error:
            if error.code is not ErrorCode.STORE_UNAVAILABLE:
                raise
            return self.most - self._used.get(_key(tenant, client), 0)
        return self.most - (found.tokens if found is not None else 0)

    def held(self, tenant: str, client: str) -> int:
        """The tokens that a client's questions under way hold."""
        found = self._held.get(_key(tenant, client), {})
        for rid in [rid for rid in found if not (rid in self._coming or self._is_open(rid))]:
            self._drop(rid)  # counted as under way no longer, though no end of it was heard
        return sum(found.values())

    def holds(self, rid: str) -> int:
        """The tokens that one question holds."""
        return self._held.get(self._whose.get(rid, ""), {}).get(rid, 0)

    def hold(self, tenant: str, client: str, rid: str, tokens: int) -> None:
        """Hold tokens for a question, until it is let go; if it has begun, until it ends."""
        while len(self._whose) > MOST:
            self._drop(next(iter(self._whose)))
        self._keep(_key(tenant, client), rid, tokens)
        self._coming.add(rid)

    def begun(self, tenant: str, client: str, rid: str, under: str) -> None:
        """A question was accepted, under an id of which the log tells the end."""
        self._coming.discard(rid)
        tokens = self._drop(rid)
        if tokens is not None:
            self._keep(_key(tenant, client), under, tokens)

    def let_go(self, rid: str) -> None:
        """A question was not accepted."""
        self._drop(rid)

    def hear(self, rid: str, event: RunEvent, seq: int) -> None:
        """An event of any request, stored at `seq`. With its end a question holds nothing more, and
        from that moment on what is left is asked for as of then: never is neither counted."""
        if isinstance(event, End) and (key := self._whose.get(rid)) is not None:
            self._ended.heard(key, seq)
            self._drop(rid)

    def ended(self, tenant: str, client: str, seq: int) -> None:
        """A client is being told of an end that stands in the log at `seq`, which another gateway
        may have held for: the next question counts it."""
        self._ended.heard(_key(tenant, client), seq)

    def _keep(self, key: str, rid: str, tokens: int) -> None:
        self._held.setdefault(key, {})[rid] = tokens
        self._whose[rid] = key

    def _drop(self, rid: str) -> int | None:
        """What a question held, if it held anything."""
        self._coming.discard(rid)
        key = self._whose.pop(rid, "")
        found = self._held.get(key, {})
        tokens = found.pop(rid, None)
        if not found:
            self._held.pop(key, None)
        return tokens


def _key(tenant: str, client: str) -> str:
    return f"{tenant}\n{client}"
