"""Named sampling parameters to choose from: those that chat front ends of this family know by
name. Every model has them all (`model_configs.py`).
"""

from typing import Annotated

from msgspec import Meta, Struct

from mesh.gateway.openai.asked import Count, TopK

Temperature = Annotated[float, Meta(ge=0, le=5)]
Probability = Annotated[float, Meta(ge=0, le=1)]


class SamplingParameters(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How to choose tokens; null leaves a value to the engine. temperature 0 is greedy."""

    top_k: TopK | None = None
    top_p: Probability | None = None
    typical_p: Probability | None = None
    temperature: Temperature | None = None
    repetition_penalty: Annotated[float, Meta(ge=0.01, le=10)] | None = None
    max_new_tokens: Count = 1024


class Preset(Struct, frozen=True):
    name: str
    description: str
    sampling_parameters: SamplingParameters


def _k50(temperature: float) -> SamplingParameters:
    return SamplingParameters(top_k=50, top_p=0.95, temperature=temperature, repetition_penalty=1.2)


def _typical(typical_p: float) -> SamplingParameters:
    return SamplingParameters(typical_p=typical_p, temperature=0.8, repetition_penalty=1.2)


PRESETS = (
    Preset("k50", "Top-k sampling, balanced", _k50(0.75)),
    Preset("k50-Creative", "Top-k sampling, more varied", _k50(0.85)),
    Preset("k50-Precise", "Top-k sampling, nearly always the likeliest token", _k50(0.1)),
    Preset("k50-Original", "Top-k sampling, most varied", _k50(0.9)),
    Preset(
        "k50-Plugins",
        "Top-k sampling for structured output",
        SamplingParameters(top_k=50, temperature=0.35, repetition_penalty=1 / 0.9),
    ),
    Preset(
        "nucleus9",
        "Nucleus sampling",
        SamplingParameters(top_p=0.9, temperature=0.8, repetition_penalty=1.2),
    ),
    Preset("typical2", "Typical sampling, narrow", _typical(0.2)),
    Preset("typical3", "Typical sampling, wider", _typical(0.3)),
)
