"""What the metrics of all services share, and `/metrics` for those that have no HTTP of their own.

Served to this machine alone, for there nobody signs in; on a thread of its own, so that a service
that is stuck can be looked at, too.
"""

import errno
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread
from wsgiref.simple_server import WSGIServer

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    start_http_server,
)

from mesh import __version__
from mesh.protocol.errors import ErrorCode, MeshError

log = logging.getLogger(__name__)

HOST = "127.0.0.1"

TRIES = 100
"""Ports that are tried, one after the other: the services of one machine share a setting."""

SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0)
"""Bounds of what people wait for."""

GAPS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
"""Bounds of the time between two tokens: of usual ones, and where an answer stands still."""


class Registry(CollectorRegistry):
    """The metrics of one service, among them its version and what its process takes."""

    def __init__(self) -> None:
        super().__init__()
        ProcessCollector(registry=self)
        self.gauge("mesh_info", "The version of this service.", "version").labels(__version__).set(
            1
        )

    def counter(self, name: str, what: str, *labels: str) -> Counter:
        return Counter(name, what, labels, registry=self)

    def gauge(self, name: str, what: str, *labels: str) -> Gauge:
        return Gauge(name, what, labels, registry=self)

    def histogram(
        self, name: str, what: str, buckets: tuple[float, ...], *labels: str
    ) -> Histogram:
        return Histogram(name, what, labels, buckets=buckets, registry=self)


@contextmanager
def served(registry: Registry, port: int) -> Iterator[None]:
    """`/metrics` of a service meanwhile, on the first free port from `port` on; 0: none.

    Raises MeshError where it cannot listen.
    """
    if not port:
        yield
        return
    server, thread = _listen(registry, port)
    log.info("Metrics at http://%s:%d/metrics, for this machine only", HOST, server.server_port)
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _listen(registry: Registry, port: int) -> tuple[WSGIServer, Thread]:
    why = "none is free"
    for tried in range(port, min(port + TRIES, 65_536)):
        try:
            return start_http_server(tried, HOST, registry)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                why = error.strerror or str(error)
                break
    raise MeshError(
        ErrorCode.CONFLICT,
        f"Metrics cannot be served on {HOST} from port {port} on: {why}. Set MESH_METRICS_PORT to "
        "another, or to 0.",
    )
