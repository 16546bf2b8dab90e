"""What the person at the terminal, and `mesh up`, want to know."""

from typing import Annotated

from msgspec import Meta

from mesh.settings.base import DAY, Limits, MaxWaiting
from mesh.settings.gateway import GatewaySettings


class OperatorSettings(Limits, frozen=True, kw_only=True):
    """The person at the terminal: ps, events, doctor, drain."""

    operator_password: Annotated[
        str, Meta(description="Broker password of the operator; empty: the data folder's.")
    ] = ""
    host: Annotated[str, Meta(description="Address of the gateway.")] = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65535, description="TCP port of the gateway.")] = 8000
    max_waiting: MaxWaiting = 5_000
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
