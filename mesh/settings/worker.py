"""What a worker wants to know."""

from typing import Annotated

from msgspec import Meta

from mesh.settings.base import DAY, HOUR, YEAR, MetricsPort, Settings


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
    poison_in_all: Annotated[
        int,
        Meta(
            ge=1,
            le=1000,
            description="Workers lost on a request, however far each came; the same then.",
        ),
    ] = 5
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
