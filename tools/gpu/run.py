"""The stages of a run, each of which may fail without the others."""

import argparse
import os
import shlex
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from statistics import median

from mesh.protocol.errors import MeshError
from tools.gpu.report import Report, Row
from tools.gpu.subjects import Machine

ROOT = Path(__file__).resolve().parents[2]
TESTS = ("test_exllamav2_contract.py", "test_exllamav2_continuation.py")
STREAMS = (1, 8, 32, 64)
TOKENS = 256


def look_for_gpus() -> None:
    """End here, with a sentence, where there is none."""
    from mesh.worker.engines.exllamav2 import hardware

    try:
        hardware.devices()
    except MeshError as error:
        raise SystemExit(f"{error.detail} --stand-in tries this tool without a GPU.") from None


class Run:
    """One run. The models that the stages need are made by the first that asks for them."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._work: Path = options.work
        self._quick: bool = options.quick
        self._standin: bool = options.stand_in
        self._work.mkdir(parents=True, exist_ok=True)
        self.report = Report(shlex.join(["python", "-m", "tools.gpu", *sys.argv[1:]]))

    def all(self) -> None:
        """Do every stage, and note those that fail."""
        stages: list[tuple[str, Callable[[], None]]] = [
            ("The extension", self._extension),
            ("Contract and exact continuation", self._tests),
            ("Greedy answers", self._exactness),
            ("A killed worker", self._take_over),
            ("Throughput", self._throughput),
        ]
        for title, stage in stages:
            print(f"== {title}", flush=True)
            try:
                stage()
            except Exception:
                print(traceback.format_exc(), flush=True)
                self.report.failed(title, traceback.format_exc(limit=-3))

    def _extension(self) -> None:
        began = time.monotonic()
        if not self._standin:
            code = "from mesh.worker.engines.exllamav2 import hardware as h; h.import_library()"
            subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)
        self.report.say("The extension", f"Imported within {time.monotonic() - began:.0f} s.")

    def _tests(self) -> None:
        files = [f"tests/worker/exl2/{name}" for name in TESTS]
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *files]
        gpu = {} if self._standin else {"MESH_TEST_GPU": "1"}
        if self._quick:
            command += ["-k", "TestContract"]
        ran = subprocess.run(
            command, cwd=ROOT, env=os.environ | gpu, capture_output=True, text=True
        )
        title, said = "Contract and exact continuation", ran.stdout.strip()[-4000:]
        if ran.returncode:
            self.report.failed(title, said + ran.stderr[-2000:])
        else:
            self.report.say(title, f"```\n{said.splitlines()[-1]}\n```")

    def _exactness(self) -> None:
        from tools.gpu.exactness import PROMPTS, compare

        prompts: tuple[str, ...] = PROMPTS
        if self._standin:
            from tests.worker.exl2 import standin

            standin.install()
            prompts = ("Say A", "What is 0 + 1?", "!")
        self.report.agreements(compare(*self._small(), prompts))

    def _take_over(self) -> None:
        from tools.gpu.takeover import take_over

        with self._machine().mesh(self._small()[0], 2) as mesh:
            self.report.taken_over(take_over(mesh, 600))

    def _throughput(self) -> None:
        rows = self._rows("bundled", self._small()[0])
        if not self._quick and not self._standin:
            from tools.gpu import models

            rows += self._rows("8B fp16", models.large(self._work, self._small()[0]))
        self.report.throughput(rows)

    def _rows(self, name: str, model: Path) -> list[Row]:
        """Bare loop and mesh in turns, as neither fits beside the other on one GPU."""
        rows: list[Row] = []
        prompt = "Say A" if self._standin else "Tell me a story about a fox and a lake."
        seconds = 2.0 if self._quick else 10.0
        with self._machine().bare(model, prompt, TOKENS) as bare:
            before = {n: bare.load(n, seconds) for n in STREAMS}
        with self._machine().mesh(model, 1) as mesh:
            mesh.target.load(8, 1, TOKENS, prompt)
            through = {n: mesh.target.load(n, seconds, TOKENS, prompt) for n in STREAMS}
        with self._machine().bare(model, prompt, TOKENS) as bare:
            after = {n: bare.load(n, seconds) for n in STREAMS}
        for n in STREAMS:
            bares = before[n], after[n]
            rows.append(
                Row(
                    name,
                    n,
                    median(each.tokens_per_second for each in bares),
                    through[n].tokens_per_second,
                    median(each.first_token_ms for each in bares),
                    through[n].first_token_ms.median,
                )
            )
        return rows

    def _small(self) -> tuple[Path, Path]:
        """The bundled model for the engine and for llama.cpp; of the stand-in, the known one."""
        if self._standin:
            from tests.worker import chain_model
            from tests.worker.exl2 import folders

            return folders.write(self._work / "chain"), chain_model.write(self._work / "chain.gguf")
        from tools.gpu import models

        return models.bundled(self._work)

    def _machine(self) -> Machine:
        settings = {"MESH_ENGINE": "exllamav2", "MESH_SLOTS": str(max(STREAMS))}
        return Machine(self._work, settings, self._standin)
