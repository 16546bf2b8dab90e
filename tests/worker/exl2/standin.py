"""Lets the real exllamav2 run without a GPU: stand-ins for its extension, its model, its devices.

Run as a program, it is the `mesh` command with all of that in place. Each step of the model takes
STANDIN_STEP seconds; the one after 50, and no other, raises STANDIN_FAULT, if that is set.
"""

import os
import time
import warnings
from itertools import count

GIB = 1 << 30


FREE = [24 * GIB]
"""Bytes free on each of the GPUs that there seem to be: tests change it."""


def install() -> None:
    """Once in a process, before exllamav2 is imported."""
    os.environ["EXLLAMA_NO_FLASH_ATTN"] = "1"
    from tests.worker.exl2 import standin_extension

    standin_extension.install()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import exllamav2
    del os.environ["EXLLAMA_NO_FLASH_ATTN"]
    from mesh.worker.engines.exllamav2 import hardware
    from mesh.worker.engines.exllamav2.memory import Device
    from tests.worker.exl2.standin_model import StandinModel

    exllamav2.ExLlamaV2 = StandinModel
    hardware.devices = lambda: [Device("Stand-in GPU", free, 24 * GIB) for free in FREE]


def main() -> None:
    install()
    from mesh.cli.main import main as mesh
    from tests.worker.exl2.standin_model import STEP_HOOKS

    steps = count()

    def hook(model: object, ids: object) -> None:
        time.sleep(float(os.environ.get("STANDIN_STEP", "0")))
        if next(steps) == 50 and (fault := os.environ.get("STANDIN_FAULT")):
            raise RuntimeError(fault)

    STEP_HOOKS.append(hook)
    mesh()


if __name__ == "__main__":
    main()
