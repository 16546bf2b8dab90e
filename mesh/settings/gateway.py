"""What a gateway wants to know."""

from typing import Annotated

from msgspec import Meta

from mesh.settings.addresses import LOOPBACK
from mesh.settings.base import DAY, HOUR, YEAR, Limits, MaxWaiting


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
            "example.org, @example.org, github:ada, oidc:SUB (its id there), * for all; empty: only"
            " who has one."
        ),
    ] = ""
    oidc_name: Annotated[
        str,
        Meta(
            pattern="^(?!(api|debug|password|client|google|github|discord|trusted)$)[a-z0-9-]{1,20}$",
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
        float,
        Meta(
            gt=0,
            le=DAY,
            description="Seconds after which a request has ended, however; five more if its worker "
            "stands still, and a gateway has to end it.",
        ),
    ] = 600.0
    max_waiting: MaxWaiting = 5_000
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
