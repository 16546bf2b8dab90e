"""The engine as the worker sees it: validates a job, gives it to the driver, hands on its steps."""

from asyncio import get_running_loop, to_thread
from collections.abc import Sequence
from functools import partial
from hashlib import sha256
from pathlib import Path

from mesh.protocol.abilities import Ability
from mesh.protocol.errors import ErrorCode, MeshError
from mesh.settings import WorkerSettings
from mesh.worker.engines.base import (
    CHATML,
    EngineError,
    EngineInfo,
    Job,
    Reader,
    Step,
    check_bias,
    refuse,
)
from mesh.worker.engines.exllamav2.answer import Answer
from mesh.worker.engines.exllamav2.driver import CLOSED, Driver
from mesh.worker.engines.exllamav2.folder import fingerprint
from mesh.worker.engines.exllamav2.held import Held, Vocabulary
from mesh.worker.engines.exllamav2.loading import Loaded, load
from mesh.worker.engines.exllamav2.memory import Device
from mesh.worker.engines.exllamav2.plan import Plan, loras
from mesh.worker.engines.relay import Relay
from mesh.worker.prompt import ChatTemplate


class ExLlamaV2Engine:
    """A model on one or more GPUs. Make it with `load`."""

    def __init__(self, loaded: Loaded, info: EngineInfo, plan: Plan, driver: Driver) -> None:
        self._loaded = loaded
        self._info = info
        self._plan = plan
        self._driver = driver
        self._closed = False
        self._words = Vocabulary(loaded.tokenizer, plan.folder.special_ids, loaded.vocabulary)

    @classmethod
    async def load(
        cls, plan: Plan, settings: WorkerSettings, devices: Sequence[Device]
    ) -> "ExLlamaV2Engine":
        """Load a model, in a thread. Raises MeshError when it will not load."""
        loaded = await to_thread(load, plan, settings)
        make = partial(Driver, loaded.make_generator, plan.slots, get_running_loop())
        return cls(loaded, _info(plan, loaded, settings, devices), plan, await to_thread(make))

    @property
    def info(self) -> EngineInfo:
        return self._info

    def encode(self, text: str) -> list[int]:
        """See Engine. Safe in any thread."""
        ids: list[int] = self._loaded.tokenizer.encode(text, add_special_tokens=False).ids
        return ids

    async def generate(self, job: Job, reader: Reader) -> None:
        ids = await self._ids(job)
        held = await to_thread(self._held, job)
        if self._closed:  # meanwhile, perhaps: from here on nothing waits
            raise EngineError(CLOSED)
        answer = self._answer(job, Relay(reader), ids, held)
        if job.max_tokens <= 0:  # of which the library would make one token
            reader.hear(Step("", (), "length", len(job.prompt_ids), 0))
            return
        self._driver.begin(answer)
        try:
            await answer.relay.over()
        finally:
            self._driver.cancel(answer)

    async def close(self) -> None:
        """See Engine. Waits for the step that the GPU is in."""
        if not self._closed:
            self._closed = True
            await to_thread(self._driver.close)
            await to_thread(self._loaded.unload)

    async def _ids(self, job: Job) -> list[int]:
        """Prompt and prefix, checked: what is out of bounds would end the whole process."""
        if job.prefix_ids is None:
            ids = await to_thread(self.encode, job.prompt + job.prefix_text)
        else:
            ids = [*job.prompt_ids, *job.prefix_ids]
        known = self._loaded.vocabulary
        if not ids or not all(0 <= token < known for token in ids):
            raise EngineError("The prompt has no tokens, or tokens that the model does not have.")
        if len(ids) >= self._plan.context:
            raise MeshError(
                ErrorCode.CONTEXT_OVERFLOW,
                f"The prompt has {len(ids)} tokens and the model's context is"
                f" {self._plan.context}, answer included; shorten it.",
                param="messages",
            )
        return ids

    def _held(self, job: Job) -> Held | None:
        """Kept to the job's grammar, behind what there is of the answer already."""
        if job.grammar is None:
            return None
        refuse(job.sampling, "min_tokens", "banned_strings")  # which may leave no token at all
        if job.prefix_ids is None:
            delivered = job.prefix_text.encode()
        else:
            delivered = b"".join(map(self._words.bytes, job.prefix_ids))
        return Held(job.grammar, self._words, self._plan.folder.end_ids, delivered)

    def _answer(self, job: Job, relay: Relay, ids: list[int], held: Held | None) -> Answer:
        plan, loaded = self._plan, self._loaded
        if plan.drafts and job.sampling.banned_strings:  # drafts are not taken back with them
            refuse(job.sampling, "banned_strings")
        check_bias(job.sampling, loaded.vocabulary)
        # A banned string that the last token ends is found with the one after it.
        after = 1 if job.sampling.banned_strings else 0
        tokens = min(job.max_tokens, plan.context - len(ids) - after)
        more = plan.drafts + after
        tokenizer, vocabulary = loaded.tokenizer, loaded.vocabulary
        return Answer(job, relay, ids, tokens, tokenizer, plan.folder, vocabulary, more, held)


def _info(
    plan: Plan, loaded: Loaded, settings: WorkerSettings, devices: Sequence[Device]
) -> EngineInfo:
    folder = plan.folder
    return EngineInfo(
        model=settings.model_name or folder.path.resolve().name,
        engine="exllamav2",
        fingerprint=_fingerprint(plan, settings),
        context_length=plan.context,
        slots=plan.slots,
        chat_template=folder.chat_template or CHATML,
        bos_token=folder.bos_token,
        eos_token=folder.eos_token,
        add_bos=folder.add_bos or _begins_with_bos(loaded, folder.bos_token),
        hardware=", ".join(device.name for device in devices),
        size=folder.weights + (plan.draft.weights if plan.draft else 0),
        memory=plan.memory,
        abilities=(
            Ability.ENCODE,
            Ability.LOGPROBS,
            Ability.GRAMMAR,
            *ChatTemplate(folder.chat_template or CHATML).thinks(),
        ),
    )


def _fingerprint(plan: Plan, settings: WorkerSettings) -> str:
    """The folder's, and what else changes which tokens come: LoRAs and the rotary settings."""
    adapters = [
        (fingerprint(sorted(filter(Path.is_file, path.iterdir()))), scale)
        for path, scale in loras(settings)
    ]
    others = [adapters, settings.rope_scale, settings.rope_alpha]
    if not any(others):
        return plan.folder.fingerprint
    return sha256(f"{plan.folder.fingerprint} {others}".encode()).hexdigest()


def _begins_with_bos(loaded: Loaded, bos: str) -> bool:
    """Whether the tokenizer itself puts its first token before every text."""
    ids = loaded.tokenizer.encode("", add_special_tokens=True).ids
    return bool(bos) and ids[:1] == [loaded.tokenizer.token_to_id(bos)]
