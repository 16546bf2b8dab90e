"""How tokens are to be chosen, in the words of llama.cpp's server. Pure."""

from mesh.protocol.request import Sampling
from mesh.worker.engines.base import refuse

_NAMES = {
    "temperature": "temperature",
    "top_k": "top_k",
    "top_p": "top_p",
    "min_p": "min_p",
    "typical_p": "typical_p",
    "repetition_penalty": "repeat_penalty",
    "presence_penalty": "presence_penalty",
    "frequency_penalty": "frequency_penalty",
    "dry_multiplier": "dry_multiplier",
    "dry_base": "dry_base",
    "dry_allowed_length": "dry_allowed_length",
    "xtc_probability": "xtc_probability",
    "xtc_threshold": "xtc_threshold",
}


def named(sampling: Sampling) -> dict[str, float | bool | list[tuple[int, float]]]:
    """The library's names for what the request sets; the rest is left to its defaults."""
    refuse(sampling, "min_tokens", "banned_strings")
    given = {theirs: getattr(sampling, ours) for ours, theirs in _NAMES.items()}
    values = {name: value for name, value in given.items() if value is not None}
    bias = list(sampling.logit_bias.items())
    if sampling.logprobs is not None:
        values["n_probs"] = max(1, sampling.logprobs)
    return values | {"ignore_eos": sampling.ignore_eos, "logit_bias": bias}
