"""Says how much GPU memory a model needs, before it is loaded, and refuses what cannot fit. Pure.

The estimate is of what ExLlamaV2 0.3 allocates: the weights as they are on disk; keys and values of
every token of the pool, and for a quantised cache two layers of it in 16 bits on each GPU; room to
compute. It is near, not exact: the library itself has the last word.
"""

from collections.abc import Sequence

from msgspec import Struct

from mesh.protocol.errors import ErrorCode, MeshError
from mesh.worker.engines.exllamav2.folder import ModelConfig

GIB = 1 << 30
PAGE = 256
"""Tokens of a page: the pool is whole pages, and so is each request's share of it."""

_SCALES = 2 / 32
"""Bytes per element for a quantised cache's scales: one of 16 bits for 32 elements."""
ELEMENT = {"FP16": (2.0, 2.0), "Q8": (1.0, 1.0), "Q6": (1.0, 0.5), "Q4": (0.5, 0.5)}
"""Bytes of an element of the keys, and of the values."""


class Device(Struct, frozen=True):
    """A GPU: its name, and its bytes of memory, free and all."""

    name: str
    free: int
    total: int


class Need(Struct, frozen=True, kw_only=True):
    """Bytes. cache is for `tokens` of pool; devices: GPUs it is spread over at most."""

    weights: int
    tokens: int
    per_token: float
    temporary_per_token: float
    work: int

    @property
    def cache(self) -> int:
        return int(self.tokens * (self.per_token + self.temporary_per_token))

    @property
    def total(self) -> int:
        return self.weights + self.cache + self.work

    def __str__(self) -> str:
        return (
            f"{_gib(self.total)} of GPU memory: {_gib(self.weights)} of weights,"
            f" {_gib(self.cache)} for {self.tokens:,} tokens of cache, {_gib(self.work)} to work"
        )


def pages(tokens: int) -> int:
    """The tokens of the fewest whole pages that hold so many."""
    return -(-tokens // PAGE) * PAGE


def bytes_per_token(config: ModelConfig, cache_type: str) -> tuple[float, float]:
    """Bytes of cache for a token, and of the temporaries that a quantised cache wants besides."""
    sizes = config.sizes
    heads = sizes.num_key_value_heads or sizes.num_attention_heads
    width = heads * (sizes.head_dim or sizes.hidden_size // max(1, sizes.num_attention_heads))
    key, value = ELEMENT[cache_type]
    if cache_type == "FP16":
        return sizes.num_hidden_layers * width * (key + value), 0.0
    quantised = sizes.num_hidden_layers * width * (key + value + 2 * _SCALES)
    return quantised, width * 4.0


def work(config: ModelConfig, chunk: int, rows: int) -> int:
    """Bytes to compute with, on one GPU, for `chunk` prompt tokens or `rows` rows of logits."""
    sizes = config.sizes
    states = (
        chunk * (6 * sizes.hidden_size + 3 * (sizes.intermediate_size or 4 * sizes.hidden_size)) * 2
    )
    return states + rows * sizes.vocab_size * 2 + (256 << 20)


def fit(need: Need, devices: Sequence[Device], reserve: int, least: int, most: int) -> int:
    """The tokens of pool for a model: as many as there is room for, from `least` to `most`.

    need.tokens is looked at where it is set, 0 where the room decides; reserve: bytes to leave
    free on each GPU. Raises MeshError (bad_request), naming the settings to lower.
    """
    room = sum(max(0, device.free - reserve) for device in devices) - need.weights
    room -= need.work * len(devices)
    per_token = need.per_token + need.temporary_per_token * len(devices)
    possible = int(room / per_token) // PAGE * PAGE if per_token else most
    tokens = need.tokens or min(most, possible)
    if max(tokens, least) > possible:
        raise MeshError(
            ErrorCode.BAD_REQUEST, _refusal(need, devices, reserve, max(tokens, least), possible)
        )
    return tokens


def _refusal(
    need: Need, devices: Sequence[Device], reserve: int, tokens: int, possible: int
) -> str:
    named = " and ".join(f"{_gib(device.free)} on {device.name}" for device in devices)
    free = f"{named} {'is' if len(devices) == 1 else 'are'} free, {_gib(reserve)} kept back on each"
    if possible < PAGE:
        return (
            f"The weights need {_gib(need.weights)} and {_gib(need.work)} to work; {free}. Take a"
            " model of fewer bits, free some memory, or add a GPU; a smaller MESH_PREFILL needs"
            " less to work."
        )
    return (
        f"{tokens:,} tokens of cache do not fit beside {_gib(need.weights)} of weights: {free},"
        f" which leaves room for {possible:,}. Lower MESH_CONTEXT and MESH_CACHE_TOKENS to that,"
        " or set MESH_CACHE_TYPE to Q8, Q6 or Q4."
    )


def _gib(size: int) -> str:
    return f"{size / GIB:.1f} GiB"
