"""What every service wants to know, and the bounds of the streams."""

from pathlib import Path
from typing import Annotated

from msgspec import Meta, Struct
from platformdirs import user_data_path

from mesh.settings.addresses import broker_url, reachable, refuse_no_address

HOUR, DAY, YEAR = 3_600.0, 86_400.0, 31_536_000.0
"""Upper bounds of time spans, in seconds: without one, `inf` would be a number like any other."""

MetricsPort = Annotated[
    int,
    Meta(
        ge=0,
        le=65535,
        description=(
            "TCP port of loopback for store and workers to serve `/metrics` on, each on the first "
            "free one from there on; 0: none. A gateway has its own."
        ),
    ),
]
"""Where services without HTTP of their own serve their metrics."""


MaxWaiting = Annotated[
    int, Meta(ge=1, description="Requests that may wait for one model; more are refused.")
]
"""Gateways go by it, and the operator's commands say how near to it a model is."""


class Settings(Struct, frozen=True, kw_only=True):
    """What every service wants to know."""

    data_dir: Annotated[
        str, Meta(description="Folder of the broker's streams, the database and the secrets.")
    ] = ""
    nats: Annotated[
        str, Meta(description="Broker addresses, separated by commas; host and port only.")
    ] = ""
    nats_ca: Annotated[
        str,
        Meta(
            description=(
                "Certificate to trust the broker by: a PEM file, or what `mesh join` printed; "
                "empty: the data folder's, if it has one."
            )
        ),
    ] = ""
    nats_host: Annotated[
        str,
        Meta(
            description="Address on which the broker listens; TLS is switched on beyond loopback."
        ),
    ] = "127.0.0.1"
    nats_port: Annotated[
        int, Meta(ge=1, le=65535, description="TCP port on which the broker listens.")
    ] = 4222
    log_level: Annotated[
        str, Meta(pattern="^(debug|info|warning|error)$", description="Least severity to log.")
    ] = "info"
    log_format: Annotated[
        str,
        Meta(pattern="^(text|json)$", description="Log lines for people, or as JSON objects."),
    ] = "text"

    @property
    def data_path(self) -> Path:
        """The data folder; by default the platform's own place for user data."""
        return Path(self.data_dir).expanduser() if self.data_dir else user_data_path("mesh")

    @property
    def servers(self) -> list[str]:
        """Broker URLs to try. Raises MeshError (bad_request) where one is none."""
        named = [url.strip() for url in self.nats.split(",") if url.strip()]
        for url in named:
            refuse_no_address(url)
        return named or [broker_url(reachable(self.nats_host), self.nats_port)]


class Limits(Settings, frozen=True, kw_only=True):
    """Bounds of the streams, declared by whoever declares them first: gateway or operator."""

    ack_wait: Annotated[
        float,
        Meta(
            gt=0, le=HOUR, description="Seconds of a worker's silence until its request moves on."
        ),
    ] = 6.0
    run_max_age: Annotated[
        float, Meta(ge=60, le=YEAR, description="Seconds that a request's log is kept.")
    ] = 7200.0
    run_max_bytes: Annotated[
        int, Meta(ge=1 << 25, description="Bytes of log kept; above 80 % new requests wait.")
    ] = 2 << 30
    req_max_msgs: Annotated[
        int, Meta(ge=1, description="Requests queued or running in the whole mesh.")
    ] = 10_000
    req_max_per_tenant: Annotated[
        int,
        Meta(ge=1, description="Requests of one tenant queued or running, per model and priority."),
    ] = 2_000
    req_max_bytes: Annotated[
        int, Meta(ge=1 << 20, description="Bytes of prompts queued or running.")
    ] = 1 << 30
    replicas: Annotated[
        int, Meta(ge=1, le=5, description="Copies of each stream; 3 in a cluster of brokers.")
    ] = 1
