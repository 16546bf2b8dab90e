"""Decides how a model is to be loaded: context, cache, slots. Asks no library, only the settings.

Everything that ExLlamaV2 takes for granted about these numbers is made so here.
"""

import logging
from collections.abc import Sequence
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from mesh.protocol.errors import ErrorCode, MeshError
from mesh.settings import WorkerSettings
from mesh.worker.engines.exllamav2.folder import ModelFolder, read_folder
from mesh.worker.engines.exllamav2.memory import (
    GIB,
    PAGE,
    Device,
    Need,
    bytes_per_token,
    fit,
    pages,
    work,
)

log = logging.getLogger(__name__)

SLOTS = 32
"""Requests in a step by default. More cost memory for logits, and all of them time per token."""
NGRAM = "ngram"


class Plan(Struct, frozen=True, kw_only=True):
    """length: tokens of the longest sequence, drafted ones included; pool: tokens of cache for all
    requests together, whole pages; chunk: prompt tokens in a step; drafts: tokens guessed in each
    step; draft: the model that guesses, None where n-grams do, or nobody; memory: bytes that all
    of it needs, as it is reckoned."""

    folder: ModelFolder
    draft: ModelFolder | None
    slots: int
    drafts: int
    length: int
    pool: int
    chunk: int
    memory: int

    @property
    def context(self) -> int:
        """Tokens that a request may have, answer included."""
        return self.length - self.drafts


def make_plan(folder: ModelFolder, settings: WorkerSettings, devices: Sequence[Device]) -> Plan:
    """Raises MeshError (bad_request) with the setting to change when this cannot be loaded."""
    plan = Plan(
        folder=folder,
        draft=_draft(folder, settings),
        slots=settings.slots or SLOTS,
        drafts=settings.draft_tokens if settings.draft else 0,
        length=max(PAGE, _length(folder, settings)),
        pool=0,
        chunk=0,
        memory=0,
    )
    chunk = max(settings.prefill, plan.slots * (plan.drafts + 1))
    plan = replace(plan, chunk=min(pages(chunk), pages(plan.length + 1) - PAGE))
    need = _need(plan, settings, devices)
    plan = replace(plan, pool=need.tokens, memory=need.total)
    if plan.pool < plan.length:
        log.warning(
            "There is room for %d tokens of context; that is taken.", plan.pool - plan.drafts
        )
    return _within(plan)


def loras(settings: WorkerSettings) -> list[tuple[Path, float]]:
    """The LoRAs' folders and scales. Raises MeshError (bad_request)."""
    found = []
    for text in filter(None, map(str.strip, settings.lora.split(","))):
        name, _, scale = text.partition("=")
        path = Path(name).expanduser()
        if not (path / "adapter_config.json").is_file():
            raise _bad(f"MESH_LORA: {path} has no adapter_config.json; give a LoRA's folder.")
        try:
            found.append((path, float(scale or 1)))
        except ValueError as error:
            raise _bad(f"MESH_LORA: the scale in {text!r} is not a number.") from error
    return found


def _within(plan: Plan) -> Plan:
    """No sequence longer than the pool, no step longer than a sequence, slots for one step."""
    length = min(plan.length, plan.pool)
    chunk = min(plan.chunk, length // PAGE * PAGE)
    slots = min(plan.slots, chunk // (plan.drafts + 1))
    if slots < plan.slots:
        log.warning("So short a context has room for %d slots; that is taken.", slots)
    return replace(plan, length=length, chunk=chunk, slots=slots)


def _draft(folder: ModelFolder, settings: WorkerSettings) -> ModelFolder | None:
    if settings.draft in ("", NGRAM):
        return None
    draft = read_folder(Path(settings.draft).expanduser())
    if draft.config.sizes.vocab_size != folder.config.sizes.vocab_size:
        raise _bad(
            f"MESH_DRAFT: {draft.path} has {draft.config.sizes.vocab_size:,} tokens, the model"
            f" {folder.config.sizes.vocab_size:,}; take a small model of the same family."
        )
    return draft


def _length(folder: ModelFolder, settings: WorkerSettings) -> int:
    """Tokens of context that the model can have, and is asked to."""
    trained = folder.context or settings.context
    if not trained:
        raise _bad(f"{folder.path} does not say how long a context may be; set MESH_CONTEXT.")
    stretched = settings.rope_scale or settings.rope_alpha
    if settings.context > trained and not stretched:
        log.warning(
            "The model was trained for %d tokens of context; that is taken. MESH_ROPE_ALPHA and"
            " MESH_ROPE_SCALE stretch it.",
            trained,
        )
        return trained
    return settings.context or trained


def _need(plan: Plan, settings: WorkerSettings, devices: Sequence[Device]) -> Need:
    """What all of it needs, the pool's tokens included, after saying so."""
    config = plan.folder.config
    per_token, temporary = bytes_per_token(config, settings.cache_type)
    weights = plan.folder.weights
    if plan.draft is not None:
        per_token += sum(bytes_per_token(plan.draft.config, settings.cache_type))
        weights += plan.draft.weights
    need = Need(
        weights=weights,
        tokens=pages(settings.cache_tokens),
        per_token=per_token,
        temporary_per_token=temporary,
        work=work(config, plan.chunk, plan.slots * (plan.drafts + 1)),
    )
    each = pages(plan.length)
    if settings.context and 0 < need.tokens < each:
        raise _bad(
            f"MESH_CACHE_TOKENS={settings.cache_tokens} has no room for one context of"
            f" {plan.length:,} tokens; raise it, or lower MESH_CONTEXT."
        )
    least = each if settings.context else PAGE
    pool = fit(need, devices, int(settings.gpu_reserve * GIB), least, plan.slots * each)
    need = replace(need, tokens=pool)
    log.info("%s (%s) needs %s.", plan.folder.path.name, plan.folder.form, need)
    return need


def _bad(detail: str) -> MeshError:
    return MeshError(ErrorCode.BAD_REQUEST, detail)
