"""What a worker tells of itself and of its models."""

from typing import Literal

from mesh.protocol.hardware import Load, Machine
from mesh.protocol.numbers import Finite, Moment, Number
from mesh.protocol.wire import Wire


class ModelCard(Wire, frozen=True, kw_only=True):
    """A model as a worker serves it. Equal fingerprints: same tokenizer, same weights.

    size: bytes on disk; memory: bytes of GPU memory, as the engine reckons; 0: unknown.

    abilities: what not every engine can: `mesh.protocol.abilities` lists them.
    """

    name: str
    fingerprint: str
    engine: str
    context_length: Number
    size: Number = 0
    memory: Number = 0
    abilities: tuple[str, ...] = ()


WorkerState = Literal["serving", "resting", "loading", "unloading", "unloaded"]


class WorkerInfo(Wire, frozen=True, kw_only=True, tag="worker"):
    """A worker's presence, renewed every few seconds; gone, it is dead or cut off.

    slots: requests it can work on at once; speed: tokens per second over the last seconds, all
    requests together; hardware: name of the GPU or CPU, for people; memory: bytes of the process.
    models: what it takes requests for now, those of a model that rests included: the next request
    loads it again. target: the model that is being loaded; trouble: why the last one was not;
    changes: how often its model was changed, or could not be. lanes: it takes prompts from lanes;
    machine, load: what it runs on.
    """

    name: str
    inc: str
    protocol: Number
    version: str
    models: tuple[ModelCard, ...]
    slots: Number
    running: Number = 0
    speed: Finite = 0.0
    draining: bool = False
    started: Moment
    host: str = ""
    pid: Number = 0
    hardware: str = ""
    state: WorkerState = "serving"
    target: str = ""
    trouble: str = ""
    changes: Number = 0
    memory: Number = 0
    lanes: bool = False
    machine: Machine | None = None
    load: Load | None = None
