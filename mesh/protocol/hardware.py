"""The machine that a worker runs on: what it is, said once, and how busy it is, said all the time.

How busy and how full something is, is a fraction of 1.
"""

from msgspec import Struct

from mesh.protocol.numbers import Finite, Number


class Gpu(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A GPU and its memory in bytes."""

    name: str
    memory: Number = 0


class Machine(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What there is. cores: that the system schedules on; memory, swap: bytes; driver: of the GPUs,
    "" without any."""

    system: str
    cpu: str = ""
    cores: Number = 0
    memory: Number = 0
    swap: Number = 0
    driver: str = ""
    gpus: tuple[Gpu, ...] = ()


class GpuLoad(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How busy a GPU is, and how many bytes of its memory are in use."""

    usage: Finite = 0.0
    memory: Number = 0


class Load(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How busy the whole machine is, and how full its memory, whoever does that. gpus: in the order
    of the machine's."""

    cpu: Finite = 0.0
    memory: Finite = 0.0
    swap: Finite = 0.0
    gpus: tuple[GpuLoad, ...] = ()


def described(machine: Machine) -> str:
    """A machine in a few words, for people."""
    parts = [machine.cpu or machine.system, f"{machine.cores} cores", _gib(machine.memory)]
    parts += [f"{gpu.name} with {_gib(gpu.memory)}" for gpu in machine.gpus]
    return ", ".join(parts)


def _gib(size: int) -> str:
    return f"{size / (1 << 30):.0f} GiB"
