"""`GET /configs/model_configs`: each model of the mesh, and the ways to ask it."""

from litestar import get
from msgspec import Struct
from msgspec.structs import replace

from mesh.gateway.errors import AnyRequest
from mesh.gateway.presets import PRESETS, Preset
from mesh.gateway.services import Wired
from mesh.gateway.views import ModelConfigRead, model_config_read
from mesh.protocol.worker_info import ModelCard


class ModelConfig(Struct, frozen=True, kw_only=True):
    """A model. parameter_configs: the presets, none asking for more than the model can hold;
    compat_hash: workers with the same one can go on with each other's answers token by token;
    workers: that take new requests for it. Lengths and compat_hash are null while it has none."""

    name: str
    description: str
    parameter_configs: tuple[Preset, ...]
    model_config: ModelConfigRead
    compat_hash: str | None
    workers: int


@get("/configs/model_configs")
async def model_configs(request: AnyRequest, services: Wired) -> list[ModelConfig]:
    """Every model of the mesh by name, with its lengths and presets for `sampling_parameters`."""
    services.doorman.principal(request)
    return [
        ModelConfig(
            name=name,
            description=description(card),
            parameter_configs=presets(card),
            model_config=model_config_read(name, card),
            compat_hash=card.fingerprint if card else None,
            workers=len(services.models.workers(name)),
        )
        for name, card in services.models.cards().items()
    ]


def description(card: ModelCard | None) -> str:
    if card is None:
        return "Nobody serves it now."
    what = "No model, for tests: " if card.engine == "echo" else ""
    holds = f", {card.context_length:,} tokens of context" if card.context_length else ""
    return f"{what}{card.engine}{holds}."


def presets(card: ModelCard | None) -> tuple[Preset, ...]:
    if card is None or not card.context_length:  # 0: of an upstream that does not say
        return PRESETS
    return tuple(_within(preset, card.context_length - 1) for preset in PRESETS)


def _within(preset: Preset, most: int) -> Preset:
    """A preset that asks for at most so many tokens."""
    parameters = preset.sampling_parameters
    tokens = max(1, min(parameters.max_new_tokens, most))
    return replace(preset, sampling_parameters=replace(parameters, max_new_tokens=tokens))
