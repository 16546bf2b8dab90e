"""How many tokens a client of `POST /v1/ask` has left: asked of the store, which reads the log.

What several questions take that are answered at the same time is charged when they end, so they
may go beyond the quota together. While the store is away the last figure known counts.
"""

from mesh.gateway.seen import MOST, Seen
from mesh.gateway.store import Store
from mesh.protocol.clients import ClientUsage, GetClient
from mesh.protocol.errors import ErrorCode, MeshError


class Quota:
    """most: tokens that a client may use, ever; 0: as many as it likes."""

    def __init__(self, store: Store, most: int) -> None:
        self.most = most
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

    async def left(self, tenant: str, client: str) -> int | None:
        """The tokens that a client has left; None: no limit. Raises MeshError."""
        if not self.most:
            return None
        try:
            found = await self.used(tenant, client)
        except MeshError as error:
            if error.code is not ErrorCode.STORE_UNAVAILABLE:
                raise
            return self.most - self._used.get(_key(tenant, client), 0)
        return self.most - (found.tokens if found is not None else 0)

    def ended(self, tenant: str, client: str, seq: int) -> None:
        """An answer's end stands in the log at `seq`: the next question counts it."""
        self._ended.heard(_key(tenant, client), seq)


def _key(tenant: str, client: str) -> str:
    return f"{tenant}\n{client}"
