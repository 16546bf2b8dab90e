"""An ExLlamaV2 worker that is given another model, or rests: its cache and weights are let go."""

import json
import subprocess
import sys
import weakref
from pathlib import Path
from typing import Any

from mesh.settings import WorkerSettings
from mesh.worker.engines.choose import load
from mesh.worker.engines.exllamav2.engine import ExLlamaV2Engine
from tests.acceptance.conftest import Process, Processes, until
from tests.acceptance.reading import Reading, holder
from tests.truth import truth_of
from tests.worker.exl2 import folders
from tests.worker.exl2.test_exllamav2_mesh import alphabet, processes, worker

__all__ = ["processes"]


def mesh(processes: Processes, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "mesh", *words],
        env=processes.env,
        capture_output=True,
        text=True,
        timeout=60,
    )


def row(processes: Processes, name: str) -> dict[str, Any]:
    served = json.loads(mesh(processes, "models", "--json").stdout)["served"]
    found: dict[str, Any] = next(each for each in served if each["worker"] == name)
    return found


def there(processes: Processes, count: int) -> None:
    """Wait for workers, with patience: importing PyTorch takes a while on a busy machine."""
    until("they are there", lambda: (processes.health() or {}).get("workers") == count, 90)


async def test_a_closed_engine_holds_neither_cache_nor_weights(chain: Path) -> None:
    engine = await load(WorkerSettings(model=str(chain)))
    assert isinstance(engine, ExLlamaV2Engine)
    held = [weakref.ref(engine._loaded.arguments[name]) for name in ("cache", "model")]
    await engine.close()
    assert [each() for each in held] == [None, None]


def test_a_switched_worker_hands_over_and_serves_the_other_folder(
    processes: Processes, chain: Path, tmp_path: Path
) -> None:
    other = folders.write(tmp_path / "other")
    processes.env["MESH_MODELS_DIR"] = str(tmp_path)
    processes.gateway()
    workers: dict[str, Process] = {
        name: worker(processes, name, chain, step=0.01) for name in ("w1", "w2")
    }
    there(processes, 2)
    reading = Reading(processes.url, 300, prompt="Say A", model="chain")
    reading.start()
    reading.await_tokens(20)
    leaving = holder(processes, workers).name
    told = mesh(processes, "switch", leaving, other.name, "--grace", "0")
    assert told.returncode == 0, told.stderr
    reading.finish()
    assert "".join(reading.texts) == alphabet(300)
    new = row(processes, leaving)
    assert (new["model"], new["engine"], new["state"]) == ("other", "exllamav2", "serving")
    assert new["memory"] > 0 and new["size"] > 0
    asked = Reading(processes.url, 40, prompt="Say A", model="other")
    asked.start()
    asked.finish()
    assert "".join(asked.texts) == alphabet(40)
    truth = truth_of(processes.broker)
    truth.check()
    assert sorted(len(claims) for claims in truth.claims.values()) == [1, 2]


def test_a_resting_worker_comes_back_when_it_is_asked(processes: Processes, chain: Path) -> None:
    processes.env["MESH_IDLE_UNLOAD"] = "0.5"
    processes.gateway()
    worker(processes, "w1", chain)
    there(processes, 1)
    until("it rests", lambda: row(processes, "w1")["state"] == "resting")
    asked = Reading(processes.url, 40, prompt="Say A")
    asked.start()
    asked.finish()
    assert "".join(asked.texts) == alphabet(40)
