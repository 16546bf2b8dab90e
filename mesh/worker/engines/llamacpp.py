"""The llama.cpp engine: serves any GGUF file, in this process, with continuous batching.

The only file that imports xllamacpp. The library's server takes a request per thread, so there
is a thread for each slot; its callbacks hand their steps to the event loop in batches. It also
insists on listening for HTTP: it gets a socket file in a folder that only this user can enter,
and a random key. That is where text is turned into token ids, as the library does not offer that
otherwise. `stop` strings are not passed on: the worker watches for them.
"""

import json
import logging
import signal
import socket
import threading
from asyncio import AbstractEventLoop, get_running_loop, to_thread
from collections import deque
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from secrets import token_hex
from tempfile import TemporaryDirectory

import msgspec
import xllamacpp
from msgspec import Struct, field

from mesh.protocol.errors import ErrorCode, MeshError
from mesh.protocol.messages import Sampling
from mesh.settings import WorkerSettings
from mesh.worker.engines.base import EngineError, EngineInfo, Job, Step
from mesh.worker.engines.gguf_header import GgufHeader, read_header
from mesh.worker.engines.relay import Relay

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

# A model without a chat template of its own is asked in the most widespread form.
CHATML = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n"
    "{% endfor %}<|im_start|>assistant\n"
)

_SAMPLING_NAMES = {
    "temperature": "temperature",
    "top_k": "top_k",
    "top_p": "top_p",
    "min_p": "min_p",
    "typical_p": "typical_p",
    "repetition_penalty": "repeat_penalty",
    "presence_penalty": "presence_penalty",
    "frequency_penalty": "frequency_penalty",
}


class _Progress(Struct):
    cache: int = 0


class _Said(Struct):
    """What the library says about one task: progress of the prompt, one token, or the end."""

    content: str = ""
    tokens: tuple[int, ...] = ()
    tokens_predicted: int = 0
    tokens_evaluated: int = 0
    stop: bool = False
    stop_type: str = ""
    prompt_progress: _Progress | None = None


class _Error(Struct):
    message: str = ""


class _Chunk(Struct):
    said: _Said | None = field(name="__verbose", default=None)
    error: _Error | None = None


Ids = tuple[int, ...] | None

_decode = msgspec.json.Decoder(_Chunk).decode


class LlamaCppEngine:
    """A GGUF file, loaded. Make it with `load`."""

    def __init__(
        self, server: xllamacpp.Server, info: EngineInfo, http: "_Http", loop: AbstractEventLoop
    ) -> None:
        self._server: xllamacpp.Server | None = server
        self._info = info
        self._http = http
        self._mail = _Mail(loop)
        self._calls: set[_Call] = set()
        self._threads = ThreadPoolExecutor(info.slots, "llamacpp")
        self._closed = False

    @classmethod
    async def load(cls, path: Path, settings: WorkerSettings) -> "LlamaCppEngine":
        """Load a model, in a thread. Raises MeshError when the file or its settings will not do."""
        header = read_header(path)
        info = _info(path, header, settings)
        http = _Http()
        try:
            server = await to_thread(_start, _params(path, info, settings, http))
        except RuntimeError as error:
            http.close()
            raise MeshError(
                ErrorCode.ENGINE_FAILED,
                f"llama.cpp could not load {path}; its own lines above say why. A smaller"
                " MESH_CONTEXT or fewer MESH_SLOTS need less memory.",
            ) from error
        _take_signals_back()
        return cls(server, info, http, get_running_loop())

    @property
    def info(self) -> EngineInfo:
        return self._info

    def encode(self, text: str) -> list[int]:
        """See Engine. Takes the library half a microsecond a character; safe in any thread."""
        return self._http.tokenize(text)

    async def generate(self, job: Job) -> AsyncGenerator[Step, None]:
        if self._closed:
            raise EngineError("The llama.cpp engine was closed.")
        call = _Call(await self._body(job), self._mail, self.encode)
        self._calls.add(call)
        waiting = self._threads.submit(call.run, self._server)
        try:
            async with aclosing(call.relay.read()) as steps:
                async for step in steps:
                    yield step
        finally:
            self._calls.discard(call)
            call.cancelled = True
            waiting.cancel()

    async def close(self) -> None:
        """See Engine. Waits for the library's threads: it ends the process if they outlive it."""
        self._closed = True
        for call in self._calls:
            call.cancelled = True
            call.relay.fail(EngineError("The llama.cpp engine was closed."))
        await to_thread(self._threads.shutdown, wait=True, cancel_futures=True)
        self._server = None
        self._http.close()

    async def _body(self, job: Job) -> bytes:
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
                **_sampling(job.sampling),
            }
        )


class _Mail:
    """Carries steps from the library's threads to the event loop, many at one waking."""

    def __init__(self, loop: AbstractEventLoop) -> None:
        self._loop = loop
        self._items: deque[tuple[Relay, Step | EngineError]] = deque()
        self._called = False

    def send(self, relay: Relay, item: Step | EngineError) -> None:
        """From any thread. Raises RuntimeError when the event loop is closed."""
        # The flag is read after an item is in and cleared before items are taken: none is missed.
        self._items.append((relay, item))
        if not self._called:
            self._called = True
            self._loop.call_soon_threadsafe(self._deliver)

    def _deliver(self) -> None:
        self._called = False
        while self._items:
            relay, item = self._items.popleft()
            if isinstance(item, Step):
                relay.put(item)
            else:
                relay.fail(item)


class _Call:
    """One request to the library. `cancelled` is looked at whenever it has something to say."""

    def __init__(self, body: bytes, mail: _Mail, encode: Callable[[str], list[int]]) -> None:
        self.relay = Relay()
        self.cancelled = False
        self._body = body
        self._mail = mail
        self._encode = encode
        self._predicted = 0
        self._cached = 0
        self._ended = False

    def run(self, server: xllamacpp.Server) -> None:
        """Blocks a thread until the request is done or cancelled."""
        try:
            if not self.cancelled:
                server.handle_completions(self._body, self._hear)
        finally:
            if not self._ended:
                self._send(EngineError("llama.cpp ended the request without saying why."))

    def _hear(self, data: bytes) -> bool:
        """The library's callback; true ends the request. It must not raise."""
        if self.cancelled:
            return True
        try:
            step = self._read(_decode(data))
        except EngineError as error:
            self._send(error)
        except msgspec.DecodeError as error:
            self._send(EngineError(f"llama.cpp said what cannot be understood: {error}."))
        else:
            if step is not None:
                self._send(step)
        return self._ended

    def _read(self, chunk: _Chunk) -> Step | None:
        """What a chunk means for the reader. Raises EngineError when it is the end of it."""
        said = chunk.said
        if said is None:
            reason = chunk.error.message if chunk.error else "it said something unknown"
            raise EngineError(f"llama.cpp refused the request: {reason}.")
        if said.stop:
            return self._last(said)
        if said.prompt_progress is not None:
            self._cached = said.prompt_progress.cache
            return None
        new = said.tokens_predicted - self._predicted
        first = self._predicted == 0
        self._predicted = said.tokens_predicted
        ids = said.tokens if len(said.tokens) == new else self._all_ids(said, new)
        if first:
            return Step(said.content, ids, None, said.tokens_evaluated, self._cached)
        return Step(said.content, ids)

    def _all_ids(self, said: _Said, count: int) -> Ids:
        """The ids of a character of `count` tokens, of which the library names only the last.

        They are those of its text, if these are as many and end with the same one.
        """
        ids = self._encode(said.content)
        return tuple(ids) if len(ids) == count and (*ids[-1:],) == said.tokens else None

    def _last(self, said: _Said) -> Step:
        self._ended = True
        match said.stop_type:
            case "limit":
                return Step(said.content, (), "length")
            case "eos":
                return Step(said.content, (), "stop")
        raise EngineError(f"llama.cpp ended the request for no good reason: {said.stop_type}.")

    def _send(self, item: Step | EngineError) -> None:
        self._ended = self._ended or isinstance(item, EngineError)
        try:
            self._mail.send(self.relay, item)
        except RuntimeError:  # The event loop is closed: nobody will read on.
            self._ended = True


class _Http:
    """The library's HTTP port, on a socket file of our own."""

    def __init__(self) -> None:
        self._folder = TemporaryDirectory(prefix="mesh-llamacpp-")
        self.path = str(Path(self._folder.name) / "http.sock")
        self.key = token_hex(32)

    def tokenize(self, text: str) -> list[int]:
        body = json.dumps({"content": text, "add_special": False, "parse_special": True})
        connection = _UnixConnection(self.path)
        try:
            connection.request("POST", "/tokenize", body, {"Authorization": f"Bearer {self.key}"})
            reply = connection.getresponse()
            data = reply.read()
        except (OSError, HTTPException) as error:
            raise EngineError(f"llama.cpp's tokenizer does not answer: {error}.") from error
        finally:
            connection.close()
        if reply.status != 200:
            raise EngineError(f"llama.cpp's tokenizer refused the text: {data.decode()}.")
        return msgspec.json.decode(data, type=_Tokens).tokens

    def close(self) -> None:
        self._folder.cleanup()


class _Tokens(Struct):
    tokens: list[int]


class _UnixConnection(HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost")
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.connect(self._path)


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
    )


def _params(
    path: Path, info: EngineInfo, settings: WorkerSettings, http: _Http
) -> xllamacpp.CommonParams:
    params = xllamacpp.CommonParams()
    params.model.path = str(path)
    params.model_alias = {info.model}
    params.n_parallel = info.slots
    params.n_ctx = info.slots * -(-info.context_length // 256) * 256
    params.n_batch = params.n_ubatch = PREFILL
    params.cache_ram_mib = PROMPT_CACHE_MIB
    params.hostnames = [http.path]
    params.api_keys = [http.key]
    params.n_threads_http = 2
    params.ui = False
    params.endpoint_slots = False
    params.verbosity = 1  # errors
    threads = settings.threads or (1 if path.stat().st_size < TINY else 0)
    if threads:
        params.cpuparams.n_threads = params.cpuparams_batch.n_threads = threads
    return params


def _start(params: xllamacpp.CommonParams) -> xllamacpp.Server:
    """Load the model and wait until it answers: stopped before its loop runs, it would hang."""
    server = xllamacpp.Server(params)
    server.handle_completions({"prompt": [0], "n_predict": 1})
    return server


def _sampling(sampling: Sampling) -> dict[str, float]:
    """The library's names for what the request sets; the rest is left to its defaults."""
    given = {theirs: getattr(sampling, ours) for ours, theirs in _SAMPLING_NAMES.items()}
    return {name: value for name, value in given.items() if value is not None}


def _hardware() -> str:
    """The first device that is not the CPU, else the CPU, by the name its maker gave it."""
    devices = sorted(xllamacpp.get_device_info(), key=lambda device: device["name"] == "CPU")
    return str(devices[0]["description"])


def _take_signals_back() -> None:
    """The library takes SIGINT and SIGTERM for itself; give them back to whoever had them."""
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM):
            handler = signal.getsignal(number)
            if handler is not None:
                signal.signal(number, handler)
