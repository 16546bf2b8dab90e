"""The llama.cpp engine: serves any GGUF file, in this process, with continuous batching.

The only file that imports xllamacpp. The library's server takes a request per thread, so there
is a thread for each slot, which is also where more jobs than slots queue. Text becomes token ids
over the library's HTTP port (`llamacpp_port`). Stop strings are not passed on: the worker watches
for them.
"""

import logging
from asyncio import AbstractEventLoop, get_running_loop, to_thread, wait, wrap_future
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import xllamacpp

from mesh.protocol.abilities import Ability
from mesh.protocol.errors import ErrorCode, MeshError
from mesh.protocol.grammar import Grammar
from mesh.settings import WorkerSettings
from mesh.worker.engines.base import CHATML, EngineError, EngineInfo, Job, Reader, check_bias
from mesh.worker.engines.embedding import Embedding
from mesh.worker.engines.files import size_of
from mesh.worker.engines.gguf_header import GgufHeader, read_header
from mesh.worker.engines.giving_way import give_way
from mesh.worker.engines.llamacpp_call import Call
from mesh.worker.engines.llamacpp_embedding import MARKS, embedding_of
from mesh.worker.engines.llamacpp_port import TokenizerPort
from mesh.worker.engines.llamacpp_sampling import named
from mesh.worker.engines.mail import Mail
from mesh.worker.engines.relay import Relay
from mesh.worker.grammar import gbnf, rest_after
from mesh.worker.prompt import ChatTemplate

log = logging.getLogger(__name__)

CONTEXT = 8192
"""Tokens of context at most, unless the settings say more: each slot's cache is allocated."""
SLOTS, SLOTS_OF_LARGE, LARGE = 8, 4, 1 << 30
"""Slots by default; fewer for a file of a gibibyte or more, whose cache is larger too."""
TINY = 64 << 20
"""Bytes of a file below which one thread is faster than several."""
PREFILL = 512
"""Prompt tokens between two looks at whether the request was cancelled."""
PROMPT_CACHE_MIB = 256


class LlamaCppEngine:
    """A GGUF file, loaded. Make it with `load`."""

    def __init__(
        self,
        server: xllamacpp.Server,
        info: EngineInfo,
        port: TokenizerPort,
        loop: AbstractEventLoop,
        vocabulary: int,
    ) -> None:
        self._server: xllamacpp.Server | None = server
        self._info = info
        self._port = port
        self._vocabulary = vocabulary
        self._mail = Mail(loop)
        self._calls: set[Call] = set()
        self._threads = ThreadPoolExecutor(info.slots, "llamacpp", give_way)

    @classmethod
    async def load(cls, path: Path, settings: WorkerSettings) -> "LlamaCppEngine":
        """Load a model, in a thread. Raises MeshError when the file or its settings will not do."""
        header = await to_thread(read_header, path)
        info = _info(path, header, settings)
        port = TokenizerPort()
        try:
            server = await to_thread(_start, _params(path, info, settings, port), info)
        except RuntimeError as error:
            port.close()
            raise MeshError(
                ErrorCode.ENGINE_FAILED,
                f"llama.cpp could not load {path}; its own lines above say why. A smaller"
                " MESH_CONTEXT or fewer MESH_SLOTS need less memory.",
            ) from error
        return cls(server, info, port, get_running_loop(), header.vocabulary)

    @property
    def info(self) -> EngineInfo:
        return self._info

    def encode(self, text: str) -> list[int]:
        """See Engine. Takes the library half a microsecond a character; safe in any thread."""
        return self._port.encode(text)

    async def generate(self, job: Job, reader: Reader) -> None:
        body = await self._body(job) if self._server is not None else b""
        server = self._server
        if server is None:
            raise EngineError("The llama.cpp engine was closed.")
        relay = Relay(reader)
        call = Call(body, relay, self._mail, self.encode, job.sampling.logprobs)
        self._calls.add(call)
        waiting = self._threads.submit(call.run, server.handle_completions)
        del server
        try:
            await relay.over()
        finally:
            self._calls.discard(call)
            call.cancelled = True
            waiting.cancel()

    async def embed(self, text: str) -> Embedding:
        """See Embedder. Takes a slot, like an answer."""
        count = len(await to_thread(self.encode, text)) if self._server is not None else 0
        if count + MARKS > self._info.context_length:
            raise MeshError(ErrorCode.CONTEXT_OVERFLOW, param="input")
        server = self._server
        if server is None:
            raise EngineError("The llama.cpp engine was closed.")
        waiting = self._threads.submit(embedding_of, server.handle_embeddings, text)
        del server
        try:
            made = wrap_future(waiting)
            await wait([made])
        finally:
            waiting.cancel()
        if made.cancelled():
            raise EngineError("The llama.cpp engine was closed.")
        return made.result()

    async def close(self) -> None:
        """See Engine. Waits for the library's threads: it ends the process if they outlive it."""
        server, self._server = self._server, None
        for call in self._calls:
            call.cancelled = True
            call.relay.fail(EngineError("The llama.cpp engine was closed."))
        await to_thread(self._threads.shutdown, wait=True, cancel_futures=True)
        del server
        self._port.close()

    async def _body(self, job: Job) -> bytes:
        if self._vocabulary:  # the library leaves out a bias on what it does not know
            check_bias(job.sampling, self._vocabulary)
        if job.prefix_ids is None:
            prompt = await to_thread(self.encode, job.prompt + job.prefix_text)
        else:
            prompt = [*job.prompt_ids, *job.prefix_ids]
        return msgspec.json.encode(
            {
                "prompt": prompt,
                "n_predict": job.max_tokens,
                "seed": job.seed % 0xFFFFFFFF,  # The largest number means: any seed.
                "stream": True,
                "verbose": True,
                "return_tokens": True,
                "return_progress": True,
                **named(job.sampling),
                **(await to_thread(_rest, job.grammar, job) if job.grammar else {}),
            }
        )


def _info(path: Path, header: GgufHeader, settings: WorkerSettings) -> EngineInfo:
    trained = header.context_length or CONTEXT
    context = min(settings.context or CONTEXT, trained)
    if settings.context > trained:
        log.warning("The model was trained for %d tokens of context; that is taken.", trained)
    if header.chat_template is None:
        log.warning("%s has no chat template; ChatML is used.", path.name)
    return EngineInfo(
        model=settings.model_name or path.stem,
        engine="llamacpp",
        fingerprint=header.fingerprint,
        context_length=context,
        slots=settings.slots or (SLOTS if path.stat().st_size < LARGE else SLOTS_OF_LARGE),
        chat_template=header.chat_template or CHATML,
        bos_token=header.bos_token,
        eos_token=header.eos_token,
        add_bos=header.add_bos,
        hardware=_hardware(),
        abilities=_abilities(header),
        size=size_of(path),
    )


def _abilities(header: GgufHeader) -> tuple[Ability, ...]:
    if header.embeds:
        return (Ability.ENCODE, Ability.EMBED, Ability.EMBED_ONLY)
    thoughts = ChatTemplate(header.chat_template or CHATML).thinks()
    return (Ability.ENCODE, Ability.EMBED, Ability.LOGPROBS, Ability.GRAMMAR, *thoughts)


def _params(
    path: Path, info: EngineInfo, settings: WorkerSettings, port: TokenizerPort
) -> xllamacpp.CommonParams:
    params = xllamacpp.CommonParams()
    params.model.path = str(path)
    params.model_alias = {info.model}
    params.n_parallel = info.slots
    params.n_ctx = info.slots * -(-info.context_length // 256) * 256
    params.embedding = True
    if Ability.EMBED_ONLY in info.abilities:
        params.n_batch = params.n_ubatch = info.context_length  # a text is embedded in one go
    else:
        params.n_batch = params.n_ubatch = PREFILL
        params.pooling_type = xllamacpp.llama_pooling_type.LLAMA_POOLING_TYPE_LAST
    params.cache_ram_mib = PROMPT_CACHE_MIB
    params.hostnames = [port.path]
    params.api_keys = [port.key]
    params.n_threads_http = 2
    params.ui = False
    params.endpoint_slots = False
    params.verbosity = 1  # errors
    threads = settings.threads or (1 if path.stat().st_size < TINY else 0)
    if threads:
        params.cpuparams.n_threads = params.cpuparams_batch.n_threads = threads
    return params


def _start(params: xllamacpp.CommonParams, info: EngineInfo) -> xllamacpp.Server:
    """Load the model and wait until it answers: stopped before its loop runs, it would hang."""
    server = xllamacpp.Server(params)
    if Ability.EMBED_ONLY in info.abilities:
        embedding_of(server.handle_embeddings, "x")
    else:
        server.handle_completions({"prompt": [0], "n_predict": 1})
    return server


def _rest(grammar: Grammar, job: Job) -> dict[str, str]:
    """The grammar of what is still to come: the library would begin it anew behind a prefix."""
    rest = rest_after(grammar, job.prefix_text)
    if rest is None:
        raise EngineError("What was answered so far does not fit the format that was asked for.")
    return {"grammar": gbnf(rest)}


def _hardware() -> str:
    """The first device that is not the CPU, else the CPU, by the name its maker gave it."""
    devices = sorted(xllamacpp.get_device_info(), key=lambda device: device["name"] == "CPU")
    return str(devices[0]["description"])
