"""What the store wants to know."""

from pathlib import Path
from typing import Annotated

from msgspec import Meta

from mesh.settings.base import HOUR, MetricsPort, Settings


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
