"""What a store counts and measures, for Prometheus."""

from collections.abc import Iterator
from shutil import disk_usage

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from mesh.metrics import SECONDS, Registry
from mesh.protocol.queries import Reply
from mesh.protocol.questions import Refused
from mesh.store.database import Database, count_rows
from mesh.store.follower import Follower
from mesh.store.models import Base


class Meters:
    """The metrics of one store process."""

    def __init__(self, follower: Follower, database: Database, max_bytes: int) -> None:
        self.registry = Registry()
        self._queries = self.registry.counter(
            "mesh_store_queries", "Queries answered, and the code of a refusal.", "query", "code"
        )
        self._seconds = self.registry.histogram(
            "mesh_store_query_seconds", "From a query to its answer.", SECONDS, "query"
        )
        self.registry.register(_State(follower, database, max_bytes))

    def answered(self, query: str, reply: Reply, seconds: float) -> None:
        """A query of this name was answered, after so many seconds."""
        code = reply.code.value if isinstance(reply, Refused) else ""
        self._queries.labels(query, code).inc()
        self._seconds.labels(query).observe(seconds)


class _State(Collector):
    """How far the log is applied, and what the database has: looked at when somebody asks."""

    def __init__(self, follower: Follower, database: Database, max_bytes: int) -> None:
        self._follower = follower
        self._database = database
        self._max_bytes = max_bytes

    def describe(self) -> list[Metric]:
        """Nothing is looked at when this is registered."""
        return []

    def collect(self) -> Iterator[Metric]:
        follower, path = self._follower, self._database.path
        gauges = (
            ("mesh_store_applied", "The log's sequence up to which it has read.", follower.applied),
            ("mesh_store_lag", "Messages of the log that it has yet to read.", follower.behind),
            ("mesh_database_max_bytes", "That the database may have.", self._max_bytes),
            ("mesh_database_free_bytes", "Left on its disk.", disk_usage(path.parent).free),
        )
        for name, what, value in gauges:
            yield GaugeMetricFamily(name, what, value=value)
        rows = GaugeMetricFamily("mesh_store_rows", "Rows of the database.", labels=("table",))
        for table, count in count_rows(path, Base.metadata.tables).items():
            rows.add_metric([table], count)
        yield rows
        yield CounterMetricFamily("mesh_store_events", "Events applied.", value=follower.events)
        failures = "Times that the log could not be applied, and was tried again."
        yield CounterMetricFamily("mesh_store_failures", failures, value=follower.failures)
