"""How the store is, asked whenever somebody looks: it has no HTTP of its own."""

from mesh.bus.connection import BusError
from mesh.gateway.store import Store
from mesh.metrics import Registry
from mesh.protocol.chats import GetHealth
from mesh.protocol.errors import MeshError


class Storage:
    """Gauges of the store; while it does not answer, `mesh_store_up` is 0 and the others stay."""

    def __init__(self, registry: Registry) -> None:
        gauge = registry.gauge
        self._up = gauge("mesh_store_up", "Whether the store answers.")
        self._applied = gauge("mesh_store_applied", "The log's sequence up to which it has read.")
        self._used = gauge("mesh_database_bytes", "In use in the database.")
        self._most = gauge("mesh_database_max_bytes", "That the database may have.")
        self._free = gauge("mesh_database_free_bytes", "Left on its disk.")
        self._skipped = gauge("mesh_store_skipped", "Messages that it could not understand.")

    async def look(self, store: Store) -> None:
        """Ask the store how it is."""
        try:
            health = await store.ask(GetHealth())
        except (MeshError, BusError):
            self._up.set(0)
            return
        self._up.set(1)
        self._applied.set(health.applied)
        self._used.set(health.database_bytes)
        self._most.set(health.database_max_bytes)
        self._free.set(health.free_bytes)
        self._skipped.set(health.skipped)
