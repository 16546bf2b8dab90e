"""The way in: looks for all that has to be there, imports the library, loads the model.

Nothing else of this room may be imported before `load` has run, as it imports the library.
"""

import logging
from asyncio import to_thread
from pathlib import Path

from mesh.settings import WorkerSettings
from mesh.worker.engines.base import Engine
from mesh.worker.engines.exllamav2 import hardware
from mesh.worker.engines.exllamav2.folder import read_folder
from mesh.worker.engines.exllamav2.plan import make_plan

log = logging.getLogger(__name__)


async def load(path: Path, settings: WorkerSettings) -> Engine:
    """Raises MeshError, with a sentence that says what to do, when the model cannot be served."""
    folder = await to_thread(read_folder, path)
    if folder.chat_template is None:
        log.warning("%s has no chat template; ChatML is used.", path)
    devices = await to_thread(hardware.devices)
    plan = make_plan(folder, settings, devices)
    await to_thread(hardware.import_library)
    from mesh.worker.engines.exllamav2.engine import ExLlamaV2Engine

    return await ExLlamaV2Engine.load(plan, settings, devices)
