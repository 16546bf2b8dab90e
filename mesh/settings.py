"""Settings: one frozen Struct per service, read once at the top and passed down.

A value comes from the command's flag, else from the environment (`MESH_` and the field's name in
capitals), else from `mesh.toml` in the working folder, else from the user's own `mesh.toml`, else
from the default. Nothing here opens a connection, and nothing is read at import.
"""

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, NamedTuple, TypeVar
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta, Struct
from platformdirs import user_config_path, user_data_path

from mesh.protocol.errors import ErrorCode, MeshError

T = TypeVar("T", bound=Struct)

HOUR, DAY, YEAR = 3_600.0, 86_400.0, 31_536_000.0
"""Upper bounds of time spans, in seconds: without one, `inf` would be a number like any other."""


LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
"""Where, and under which names, nobody but this machine itself reaches a server."""


def reachable(host: str) -> str:
    """How this machine itself reaches a server that listens on `host`."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)


def broker_url(host: str, port: int, tls: bool = False) -> str:
    """A broker's URL."""
    return f"{'tls' if tls else 'nats'}://{f'[{host}]' if ':' in host else host}:{port}"


def _refuse_no_address(url: str) -> None:
    try:
        parts = urlsplit(url if "://" in url else f"nats://{url}")
        sound = bool(parts.hostname) and parts.port != 0  # a port that is none raises
    except ValueError:
        sound = False
    if not sound:
        raise MeshError(
            ErrorCode.BAD_REQUEST,
            "Set MESH_NATS to the brokers' addresses, such as nats://192.0.2.2:4222, with commas "
            "between them: one of those it has is no address.",
        )


def gateway_url(host: str, port: int) -> str:
    """How this machine itself reaches a gateway that listens on `host`."""
    host = reachable(host)
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


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
            _refuse_no_address(url)
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
        int, Meta(ge=1 << 20, description="Bytes of log kept; above 80 % new requests wait.")
    ] = 2 << 30
    req_max_msgs: Annotated[
        int, Meta(ge=1, description="Requests queued or running in the whole mesh.")
    ] = 10_000
    req_max_per_tenant: Annotated[
        int, Meta(ge=1, description="Requests of one tenant queued or running, per model.")
    ] = 2_000
    req_max_bytes: Annotated[
        int, Meta(ge=1 << 20, description="Bytes of prompts queued or running.")
    ] = 1 << 30
    replicas: Annotated[
        int, Meta(ge=1, le=5, description="Copies of each stream; 3 in a cluster of brokers.")
    ] = 1


class GatewaySettings(Limits, frozen=True, kw_only=True):
    """The gateway."""

    gateway_password: Annotated[
        str, Meta(description="Broker password of the gateway; empty: the data folder's.")
    ] = ""
    host: Annotated[str, Meta(description="Address on which the gateway listens.")] = "127.0.0.1"
    port: Annotated[
        int, Meta(ge=0, le=65535, description="TCP port on which the gateway listens.")
    ] = 8000
    gateway_name: Annotated[
        str,
        Meta(
            pattern="^(?!(fleet|tools)$)[A-Za-z0-9_-]{1,40}$",
            description="Name, also the reply address.",
        ),
    ] = "gw1"
    allowed_hosts: Annotated[
        str,
        Meta(
            description=(
                "Host names by which clients reach the gateway, separated by commas; "
                "empty: loopback names only. Naming any switches guest and debug login off."
            )
        ),
    ] = ""
    allowed_origins: Annotated[
        str, Meta(description="Origins allowed to call from a browser (CORS), by commas.")
    ] = ""
    otlp: Annotated[
        str,
        Meta(
            pattern="^(https?://.+)?$",
            description="URL of a collector of traces (OpenTelemetry, OTLP/HTTP); empty: none.",
        ),
    ] = ""
    token_secret: Annotated[
        str, Meta(description="Key that signs access tokens; by default one is made and kept.")
    ] = ""
    access_ttl: Annotated[
        float, Meta(gt=0, le=YEAR, description="Seconds an access token lasts.")
    ] = 3600.0
    refresh_ttl: Annotated[
        float, Meta(gt=0, le=10 * YEAR, description="Seconds a refresh token lasts.")
    ] = 604_800.0
    public_url: Annotated[
        str,
        Meta(
            pattern="^(https?://[^ /]+/*)?$",
            description="Address by which browsers reach the gateway, where a proxy is between;"
            " empty: as they ask.",
        ),
    ] = ""
    oauth_allow: Annotated[
        str,
        Meta(
            description="Who gets an account by signing in through another site, by commas: ada@"
            "example.org, @example.org, github:ada, * for all; empty: only who has one."
        ),
    ] = ""
    oidc_name: Annotated[
        str,
        Meta(
            pattern="^(?!(debug|password|client|google|github|discord|trusted)$)[a-z0-9-]{1,20}$",
            description="Name of the OpenID Connect issuer to sign in through.",
        ),
    ] = "oidc"
    oidc_issuer: Annotated[
        str, Meta(description="Address of the OpenID Connect issuer; https, save on loopback.")
    ] = ""
    oidc_client_id: Annotated[str, Meta(description="Our client id there; empty: none.")] = ""
    oidc_client_secret: Annotated[str, Meta(description="Our client secret there.")] = ""
    google_client_id: Annotated[
        str, Meta(description="Our client id at Google; empty: nobody signs in through it.")
    ] = ""
    google_client_secret: Annotated[str, Meta(description="Our client secret at Google.")] = ""
    github_client_id: Annotated[
        str, Meta(description="Our client id at GitHub; empty: nobody signs in through it.")
    ] = ""
    github_client_secret: Annotated[str, Meta(description="Our client secret at GitHub.")] = ""
    github_url: Annotated[
        str, Meta(description="Address of GitHub, or of an own GitHub Enterprise Server.")
    ] = "https://github.com"
    discord_client_id: Annotated[
        str, Meta(description="Our client id at Discord; empty: nobody signs in through it.")
    ] = ""
    discord_client_secret: Annotated[str, Meta(description="Our client secret at Discord.")] = ""
    discord_url: Annotated[str, Meta(description="Address of Discord.")] = "https://discord.com"
    ask_history: Annotated[
        int, Meta(ge=0, description="Characters of history that `POST /v1/ask` shows the model.")
    ] = 3_000
    client_quota: Annotated[
        int, Meta(ge=0, description="Tokens that a client of `POST /v1/ask` may use; 0: no limit.")
    ] = 500_000
    limit_requests: Annotated[
        int, Meta(ge=0, description="Requests that each user may make in a minute; 0: no limit.")
    ] = 0
    limit_tokens: Annotated[
        int, Meta(ge=0, description="Tokens that each user may use in a minute; 0: no limit.")
    ] = 0
    limit_concurrent: Annotated[
        int, Meta(ge=0, description="Requests that each user may have under way; 0: no limit.")
    ] = 0
    limit_daily_tokens: Annotated[
        int, Meta(ge=0, description="Tokens that each user may use in a day (UTC); 0: no limit.")
    ] = 0
    limit_messages: Annotated[
        str,
        Meta(
            pattern="^([0-9]{1,6}/[1-9][0-9]{0,3})?$",
            description="Answers that each user may ask for in chats, and in how many seconds, such"
            " as 20/600; empty: no limit.",
        ),
    ] = ""
    run_timeout: Annotated[
        float,
        Meta(
            gt=0,
            le=DAY,
            description="Seconds after which a run that calls tools is over; at most nine tenths "
            "of how long the log is kept.",
        ),
    ] = 3600.0
    action_timeout: Annotated[
        float,
        Meta(gt=0, le=DAY, description="Seconds that a run waits for what comes of its calls."),
    ] = 600.0
    default_model: Annotated[
        str,
        Meta(
            description="Model for requests that name none; empty: that of the worker here longest."
        ),
    ] = ""
    worker_wait: Annotated[
        float,
        Meta(ge=0, le=HOUR, description="Seconds to wait for a worker of a known model to come."),
    ] = 10.0
    request_timeout: Annotated[
        float, Meta(gt=0, le=DAY, description="Seconds after which a request has ended, however.")
    ] = 600.0
    max_waiting: Annotated[
        int, Meta(ge=1, description="Requests that may wait for one model; more are refused.")
    ] = 5_000
    queue_timeout: Annotated[
        float,
        Meta(gt=0, le=DAY, description="Seconds in which a worker has to take a request."),
    ] = 300.0
    orphan_timeout: Annotated[
        float,
        Meta(
            ge=0,
            le=DAY,
            description="Seconds that a gateway is gone until answers are cancelled that only its "
            "own connections could read.",
        ),
    ] = 60.0
    max_body: Annotated[
        int, Meta(ge=1024, description="Bytes of the largest HTTP body accepted.")
    ] = 4 << 20
    max_message_chars: Annotated[
        int, Meta(ge=1, description="Characters of the longest chat message accepted.")
    ] = 100_000
    chat_max_messages: Annotated[int, Meta(ge=2, description="Messages a chat may have.")] = 2_000
    keep_alive: Annotated[
        float, Meta(gt=0, le=HOUR, description="Seconds between comments on a silent stream.")
    ] = 15.0
    hold_headers: Annotated[
        float,
        Meta(
            ge=0,
            le=HOUR,
            description="Seconds to wait for the first event before a stream's headers.",
        ),
    ] = 5.0

    @property
    def private(self) -> bool:
        """Whether only this machine is served, under its own names: there guests and the debug
        login are allowed, and nowhere else."""
        return self.host.strip("[]") in LOOPBACK and not self.allowed_hosts.strip(", ")


class StoreSettings(Settings, frozen=True, kw_only=True):
    """The store."""

    store_password: Annotated[
        str, Meta(description="Broker password of the store; empty: the data folder's.")
    ] = ""
    metrics_port: MetricsPort = 0
    database: Annotated[
        str, Meta(description="Database file; empty: mesh.db in the data folder.")
    ] = ""
    chat_max_messages: Annotated[int, Meta(ge=2, description="Messages a chat may have.")] = 2_000
    retention_days: Annotated[
        float,
        Meta(
            ge=0,
            le=36_500,
            description="Days that runs and worker events outside chats are kept; 0: all.",
        ),
    ] = 90.0
    database_max_bytes: Annotated[
        int,
        Meta(
            ge=1 << 20,
            description="Bytes of database beyond which runs outside chats are forgotten earlier.",
        ),
    ] = 4 << 30

    refresh_leeway: Annotated[
        float,
        Meta(
            ge=0,
            le=HOUR,
            description="Seconds in which a refresh token that was used may be used again.",
        ),
    ] = 10.0

    @property
    def database_path(self) -> Path:
        return Path(self.database).expanduser() if self.database else self.data_path / "mesh.db"


class WorkerSettings(Settings, frozen=True, kw_only=True):
    """A worker."""

    worker_name: Annotated[
        str,
        Meta(
            pattern="^([A-Za-z0-9_-]{1,40})?$",
            description="Name, also its broker user; empty: the first free one.",
        ),
    ] = ""
    worker_password: Annotated[
        str, Meta(description="Broker password of the worker; empty: the data folder's.")
    ] = ""
    metrics_port: MetricsPort = 0
    engine: Annotated[
        str,
        Meta(
            pattern="^(auto|llamacpp|exllamav2|openai|echo)$",
            description="Engine; auto: by what the model is.",
        ),
    ] = "auto"
    model: Annotated[
        str,
        Meta(description="Path, hf:owner/name[:file], or name; empty: the bundled model."),
    ] = ""
    model_name: Annotated[
        str, Meta(description="Name under which the model is offered; empty: its own.")
    ] = ""
    models_dir: Annotated[
        str, Meta(description="Folder of models that can be called by their name; empty: none.")
    ] = ""
    idle_unload: Annotated[
        float,
        Meta(
            ge=0,
            le=YEAR,
            description="Seconds without a request until the model rests; 0: it never does.",
        ),
    ] = 0.0
    slots: Annotated[
        int, Meta(ge=0, le=4096, description="Requests worked on at once; 0: engine's choice.")
    ] = 0
    context: Annotated[
        int, Meta(ge=0, description="Context length in tokens; 0: the model's own.")
    ] = 0
    threads: Annotated[
        int, Meta(ge=0, description="CPU threads of the engine; 0: engine's choice.")
    ] = 0
    grace: Annotated[
        float,
        Meta(ge=0, le=DAY, description="Seconds a drained worker may go on with its answers."),
    ] = 30.0
    first_token_limit: Annotated[
        float,
        Meta(gt=0, le=DAY, description="Seconds from claim to first token; then another tries."),
    ] = 180.0
    stall_limit: Annotated[
        float,
        Meta(gt=0, le=DAY, description="Seconds without a token; then another worker goes on."),
    ] = 60.0
    poison_after: Annotated[
        int,
        Meta(
            ge=1,
            le=1000,
            description="Workers lost on a request at the same place; then it is a dead letter.",
        ),
    ] = 2
    echo_rate: Annotated[
        float,
        Meta(
            ge=0,
            le=1_000_000,
            description="Echo engine: tokens per second and answer; 0: no limit.",
        ),
    ] = 0.0
    echo_delay: Annotated[
        float, Meta(ge=0, le=HOUR, description="Echo engine: seconds before the first token.")
    ] = 0.0
    echo_fail_after: Annotated[
        int, Meta(ge=0, description="Echo engine: tokens after which it fails; 0: never.")
    ] = 0
    cache_type: Annotated[
        str,
        Meta(
            pattern="^(FP16|Q8|Q6|Q4)$",
            description="ExLlamaV2: how the cache of keys and values is kept: FP16, Q8, Q6 or Q4.",
        ),
    ] = "FP16"
    cache_tokens: Annotated[
        int,
        Meta(
            ge=0,
            description="ExLlamaV2: tokens of cache for all requests; 0: what the memory holds.",
        ),
    ] = 0
    prefill: Annotated[
        int,
        Meta(
            ge=256,
            le=65_536,
            description="ExLlamaV2: tokens of a new prompt between two tokens of the others.",
        ),
    ] = 2048
    draft: Annotated[
        str,
        Meta(description="ExLlamaV2: folder of a model that drafts tokens, or ngram; empty: none."),
    ] = ""
    draft_tokens: Annotated[
        int, Meta(ge=1, le=16, description="ExLlamaV2: tokens drafted in each step.")
    ] = 4
    lora: Annotated[
        str, Meta(description="ExLlamaV2: folders of LoRAs, separated by commas; =0.5 scales one.")
    ] = ""
    rope_scale: Annotated[
        float,
        Meta(
            ge=0, le=1000, description="ExLlamaV2: linear scale of positions; 0: the model's own."
        ),
    ] = 0.0
    rope_alpha: Annotated[
        float,
        Meta(
            ge=0, le=1000, description="ExLlamaV2: NTK alpha, stretches the context; 0: no stretch."
        ),
    ] = 0.0
    gpu_split: Annotated[
        str,
        Meta(
            pattern="^(auto|tensor)$",
            description="ExLlamaV2, several GPUs: auto fills one after the other, tensor uses all"
            " for each token.",
        ),
    ] = "auto"
    gpu_reserve: Annotated[
        float,
        Meta(ge=0, le=1024, description="ExLlamaV2: GiB of memory to leave free on each GPU."),
    ] = 0.5
    upstream: Annotated[
        str, Meta(description="openai engine: base URL of the upstream, up to /v1.")
    ] = ""
    upstream_key: Annotated[str, Meta(description="openai engine: API key of the upstream.")] = ""


class OperatorSettings(Limits, frozen=True, kw_only=True):
    """The person at the terminal: ps, events, doctor, drain."""

    operator_password: Annotated[
        str, Meta(description="Broker password of the operator; empty: the data folder's.")
    ] = ""
    host: Annotated[str, Meta(description="Address of the gateway.")] = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65535, description="TCP port of the gateway.")] = 8000
    models_dir: Annotated[
        str, Meta(description="Folder of models that can be called by their name; empty: none.")
    ] = ""


class UpSettings(GatewaySettings, frozen=True, kw_only=True):
    """`mesh up`: a whole mesh on one machine. What its services need, they read themselves."""

    workers: Annotated[int, Meta(ge=0, le=64, description="Workers to start.")] = 1
    engine: Annotated[
        str,
        Meta(
            pattern="^(auto|llamacpp|exllamav2|openai|echo)$",
            description="Engine of the workers; auto: by what the model is.",
        ),
    ] = "auto"
    model: Annotated[
        str,
        Meta(description="Path, hf:owner/name[:file], or name; empty: the bundled model."),
    ] = ""
    grace: Annotated[
        float,
        Meta(ge=0, le=DAY, description="Seconds a drained worker may go on with its answers."),
    ] = 30.0


class Origin(NamedTuple):
    """Where a value came from: `flag`, `MESH_PORT`, a file's path, or `default`."""

    value: Any
    origin: str


def read(
    kind: type[T],
    flags: Mapping[str, Any] | None = None,
    env: Mapping[str, str] | None = None,
    files: tuple[Path, ...] | None = None,
) -> T:
    """Read the settings of one service. `flags` that are None were not given.

    Raises MeshError (bad_request), naming the setting and where it stands, on a wrong value.
    """
    return _build(kind, origins(kind, flags, env, files))


def origins(
    kind: type[T],
    flags: Mapping[str, Any] | None = None,
    env: Mapping[str, str] | None = None,
    files: tuple[Path, ...] | None = None,
) -> dict[str, Origin]:
    """Each field's value as found (text from the environment), and where it was found.

    An empty variable counts as unset, except where the empty text is a value of its own.
    """
    env = os.environ if env is None else env
    tables = [(str(path), _table(path)) for path in (files or config_files()) if path.is_file()]
    found: dict[str, Origin] = {}
    for field in msgspec.structs.fields(kind):
        name = field.name
        variable = env_name(name)
        if flags and flags.get(name) is not None:
            found[name] = Origin(flags[name], "flag")
        elif env.get(variable) or (variable in env and field.default == ""):
            found[name] = Origin(env[variable], variable)
        else:
            hits = (Origin(table[name], path) for path, table in tables if name in table)
            found[name] = next(hits, Origin(field.default, "default"))
    return found


def env_name(field: str) -> str:
    """The environment variable of a setting."""
    return f"MESH_{field.upper()}"


def config_files() -> tuple[Path, ...]:
    """The files that may hold settings, the strongest first."""
    return (Path("mesh.toml"), user_config_path("mesh") / "mesh.toml")


def _table(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise MeshError(ErrorCode.BAD_REQUEST, f"{path} is not valid TOML: {error}") from error


def _build(kind: type[T], found: dict[str, Origin]) -> T:
    values = {name: origin.value for name, origin in found.items()}
    try:
        return msgspec.convert(values, kind, strict=False)
    except msgspec.ValidationError as error:
        name = str(error).rpartition("$.")[2].rstrip("`")
        where = _where(name, found[name].origin)
        raise MeshError(ErrorCode.BAD_REQUEST, f"Set {where} to {_wanted(kind, name)}.") from error


def _where(name: str, origin: str) -> str:
    """Where a person changes a setting that was found at `origin`."""
    if origin == "flag":
        return f"--{name.replace('_', '-')}"
    return origin if origin == env_name(name) else f"{name} in {origin}"


def _wanted(kind: type[Struct], name: str) -> str:
    """What a setting may be, in words. The value itself stays unsaid: it may be a secret."""
    field = next(field for field in msgspec.structs.fields(kind) if field.name == name)
    info = msgspec.inspect.type_info(field.type)
    while isinstance(info, msgspec.inspect.Metadata):
        info = info.type
    match info:
        case msgspec.inspect.IntType(ge=least, le=most):
            return f"a whole number {_bounds(None, least, most)}"
        case msgspec.inspect.FloatType(gt=above, ge=least, le=most):
            return f"a number {_bounds(above, least, most)}"
        case msgspec.inspect.StrType(pattern=str(pattern)):
            return f"text of the form {pattern}"
    return "text"


def _bounds(above: float | None, least: float | None, most: float | None) -> str:
    if most is None:
        return f"of at least {least:,}"
    if above is not None:
        return f"above {above:g} and up to {most:.0f}"
    return f"from {least:g} to {most:.0f}"
