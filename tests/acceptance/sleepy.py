"""Runs the `mesh` command with a model that takes LOAD_AGAIN seconds to be loaded once more.

python -m tests.acceptance.sleepy worker --worker-name w1 --engine echo --idle-unload 0.5 ...
"""

import asyncio
import os

from mesh.cli.main import main
from mesh.settings import WorkerSettings
from mesh.worker.engines import choose
from mesh.worker.engines.base import Engine

SECONDS = float(os.environ["LOAD_AGAIN"])
load = choose.load


async def first(settings: WorkerSettings) -> Engine:
    choose.load = again
    return await load(settings)


async def again(settings: WorkerSettings) -> Engine:
    await asyncio.sleep(SECONDS)
    return await load(settings)


if __name__ == "__main__":
    choose.load = first
    main()
