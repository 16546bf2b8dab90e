"""`make bench`: starts its own meshes, puts loads on them and on their limits, prints tables.

Takes about ten minutes, with --quick about three, and stops by itself. What is compared is
measured in turns in the same run. Exit status 1 if a streamed answer was not whole;
what was to be reached, and was not, is in the last table.
"""

import argparse
import os
import platform
import signal
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks import admission, first, repl, report, schemas, short, subjects
from benchmarks.report import Aim, Pair, per_token, share
from benchmarks.subjects import STORY, Target
from mesh.cli.load.figures import Figures
from mesh.cli.load.question import REPEAT

RATE = 30
"""Tokens per second of a stream, where it is paced."""

TOKENS = 200

Loads = dict[int, Figures]


class Run:
    """One run. quick: fewer streams and shorter loads."""

    def __init__(self, folder: Path, quick: bool) -> None:
        self._folder = folder
        self._quick = quick
        self._streams = (1, 32, 256) if quick else (1, 32, 256, 1000)
        self._seconds = 2.0 if quick else 5.0
        self._pairs = 3 if quick else 7
        self._aims: list[Aim] = []
        self._failures = 0

    def all(self) -> int:
        """Measure everything and print it. Returns the number of answers that were not whole."""
        self._fast()
        self._paced()
        self._llamacpp()
        self._aims += first.run(self._folder)
        self._aims += repl.run(self._folder)
        self._aims += short.run(self._folder)
        self._aims += admission.run(self._folder)
        self._aims += schemas.measure(self._folder, 100 if self._quick else schemas.COUNT)
        _say(report.aims_table(self._aims))
        return self._failures

    def _fast(self) -> None:
        """The echo engine as fast as it can, and the bare app."""
        echo = {"MESH_ENGINE": "echo", "MESH_SLOTS": "1000"}
        with ExitStack() as open_:
            mesh = open_.enter_context(subjects.mesh(self._folder, "fast", echo))
            bare = open_.enter_context(subjects.bare(self._folder, 0))
            alone = open_.enter_context(subjects.alone(self._folder, "echo", REPEAT, TOKENS))
            mesh.load(8, 1, TOKENS)
            loads, limits = self._loads(mesh), self._loads(bare)
            pairs = [
                Pair(self._load(mesh, 32).tokens_per_second, self._load(bare, 32).tokens_per_second)
                for _ in range(self._pairs)
            ]
            own = alone.load(1, 1).first_token_ms
        self._print("The echo engine as fast as it can", loads, limits)
        _say(report.pairs_table("as fast as it can", [("32 streams", pairs)]))
        later = loads[1].first_token_ms.median - own
        self._aims += [
            Aim("32 streams flat out, share of the bare app", share(pairs), 0.5, True),
            Aim("1 stream, first token later than the engine's, ms", later, 5.0, False),
        ]

    def _paced(self) -> None:
        """The echo engine at a real engine's pace, and the bare app at the same."""
        echo = {"MESH_ENGINE": "echo", "MESH_SLOTS": "1000", "MESH_ECHO_RATE": str(RATE)}
        with ExitStack() as open_:
            mesh = open_.enter_context(subjects.mesh(self._folder, "paced", echo))
            bare = open_.enter_context(subjects.bare(self._folder, RATE))
            mesh.load(8, 0, 30)
            loads, limits = self._loads(mesh), self._loads(bare)
        self._print(f"The echo engine at {RATE} tokens/s a stream", loads, limits)
        at_256 = per_token(loads[256])
        self._aims.append(Aim("256 streams paced, CPU µs per token", at_256, 60.0, False))
        if 1000 in loads:
            many = loads[1000]
            memory = many.costs["gateway"].memory_mb
            self._aims += [
                Aim("1,000 streams paced, share of the pace", many.pace / RATE, 0.95, True),
                Aim("1,000 streams paced, of the slowest stream", many.slowest / RATE, 0.95, True),
                Aim("1,000 streams paced, failures", many.failures, 0, False),
                Aim("1,000 streams paced, MB in the gateway", memory, 400.0, False),
            ]

    def _llamacpp(self) -> None:
        """The llama.cpp engine with the bundled model, through the mesh and called directly."""
        settings = {"MESH_ENGINE": "llamacpp", "MESH_THREADS": "1"}
        rows: list[tuple[str, list[Pair]]] = []
        with ExitStack() as open_:
            mesh = open_.enter_context(subjects.mesh(self._folder, "llamacpp", settings))
            alone = open_.enter_context(subjects.alone(self._folder, "llamacpp", STORY, TOKENS))
            mesh.load(1, 0, TOKENS, STORY)
            for streams in (1, 8, 16):  # of 8 slots
                pairs = []
                for _ in range(self._pairs):
                    through = self._load(mesh, streams, STORY).tokens_per_second
                    direct = alone.load(streams, self._seconds).tokens_per_second
                    pairs.append(Pair(through, direct))
                rows.append((f"{streams} streams", pairs))
        _say(report.pairs_table("llama.cpp, bundled model, 1 thread", rows))
        self._aims += [
            Aim(f"llama.cpp at {name}, share of direct", share(pairs), 0.9, True)
            for name, pairs in rows
        ]

    def _loads(self, target: Target) -> Loads:
        return {streams: self._load(target, streams) for streams in self._streams}

    def _load(self, target: Target, streams: int, prompt: str = REPEAT) -> Figures:
        found = target.load(streams, self._seconds, TOKENS, prompt)
        self._failures += found.failures
        return found

    def _print(self, title: str, loads: Loads, limits: Loads) -> None:
        _say(report.loads_table(title, [(f"{n:,} streams", of) for n, of in loads.items()]))
        _say(
            report.loads_table("The bare app", [(f"{n:,} streams", of) for n, of in limits.items()])
        )


def _say(text: str) -> None:
    print(f"\n{text}", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser("make bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="Fewer streams, shorter loads.")
    quick = parser.parse_args().quick
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    print(f"{platform.machine()}, {os.cpu_count()} cores, load average {os.getloadavg()[0]:.1f}")
    begun = time.monotonic()
    with TemporaryDirectory(prefix=".bench-", dir=subjects.ROOT) as folder:
        failures = Run(Path(folder), quick).all()
    _say(f"{time.monotonic() - begun:.0f} s; {failures} answers were not whole.")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
