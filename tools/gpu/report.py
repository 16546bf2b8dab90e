"""The report of a run, as the page docs/gpu-report.md. Pure, but for asking what the machine is."""

import platform
import subprocess
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import NamedTuple

from benchmarks.report import Aim
from tools.gpu.exactness import Agreement
from tools.gpu.takeover import TakeOver

PACKAGES = ("torch", "exllamav2", "flash-attn", "transformers", "xllamacpp", "tokenizers")

SHARE, FIRST_TOKEN, TAKE_OVER = 0.97, 5.0, 1.0
"""To be reached: of the bare loop's tokens/s; milliseconds of a first token later than its; seconds
of a take-over beyond its prefill."""


class Row(NamedTuple):
    """One load: tokens/s and milliseconds to the first token, bare and through the mesh."""

    model: str
    streams: int
    bare: float
    mesh: float
    bare_first: float
    mesh_first: float

    @property
    def share(self) -> float:
        return self.mesh / self.bare


class Report:
    """What was found, stage by stage; `failures` are the stages that did not end well."""

    def __init__(self, command: str) -> None:
        self._parts = [
            "# GPU report\n\nWritten by `python -m tools.gpu`, as measured.\n",
            f"## Machine\n\n{_machine()}\n\nCommand: `{command}`\n",
        ]
        self._aims: list[Aim] = []
        self.failures: list[str] = []

    def say(self, title: str, text: str) -> None:
        self._parts.append(f"## {title}\n\n{text}\n")

    def failed(self, title: str, why: str) -> None:
        self.failures.append(title)
        self.say(title, f"**Failed.**\n\n```\n{why.strip()}\n```")

    def agreements(self, found: Sequence[Agreement]) -> None:
        rows: list[list[object]] = [
            [each.other, each.answers, each.equal_answers, each.equal_tokens, each.tokens]
            for each in found
        ]
        head = ["against", "answers", "equal to the end", "tokens before a difference", "tokens"]
        self.say("Greedy answers on the same fp16 weights", table(head, rows))

    def taken_over(self, found: TakeOver) -> None:
        rows: list[list[object]] = [
            ["tokens of the answer", found.tokens],
            ["killed after", found.killed_after],
            ["longest pause of the reader, s", f"{found.gap:.2f}"],
            ["first token of an unbroken answer, prefill included, s", f"{found.first_token:.2f}"],
            ["equal to the unbroken answer", "yes" if found.exact else "no"],
        ]
        self.say("kill -9 of a worker in mid-answer", table(["", ""], rows))
        beyond = found.gap - found.first_token
        self._aims.append(Aim("take-over beyond its prefill, s", beyond, TAKE_OVER, False))

    def throughput(self, rows: Sequence[Row]) -> None:
        shown = [
            [
                row.model,
                row.streams,
                f"{row.bare:,.0f}",
                f"{row.mesh:,.0f}",
                f"{row.share:.3f}",
                f"{row.bare_first:.1f}",
                f"{row.mesh_first:.1f}",
            ]
            for row in rows
        ]
        head = [
            "model",
            "streams",
            "bare tok/s",
            "mesh tok/s",
            "share",
            "bare first ms",
            "first ms",
        ]
        self.say("Through the mesh, and the bare generator loop", table(head, shown))
        for row in rows:
            name = f"{row.model}, {row.streams} streams"
            later = row.mesh_first - row.bare_first
            self._aims.append(Aim(f"{name}: share of the bare loop", row.share, SHARE, True))
            self._aims.append(Aim(f"{name}: first token later, ms", later, FIRST_TOKEN, False))

    def text(self) -> str:
        aims = [
            [
                aim.what,
                f"{aim.found:.3f}",
                f"{'>=' if aim.least else '<='} {aim.bound:g}",
                "yes" if aim.reached else "**no**",
            ]
            for aim in self._aims
        ]
        summary = table(["to reach", "found", "bound", "reached"], aims) if aims else "Nothing."
        failed = ", ".join(self.failures) or "none"
        end = f"## What was to be reached\n\n{summary}\n\nStages that failed: {failed}.\n"
        return "\n".join([*self._parts, end])


def table(head: Sequence[object], rows: Sequence[Sequence[object]]) -> str:
    """A table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)


def _machine() -> str:
    rows: list[list[object]] = [
        ["system", f"{platform.system()} {platform.release()} {platform.machine()}"],
        ["Python", platform.python_version()],
        ["GPUs", _gpus()],
    ]
    return table(["", ""], rows + [[name, _version(name)] for name in PACKAGES])


def _gpus() -> str:
    query = ["nvidia-smi", "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader"]
    try:
        found = subprocess.run(query, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return "none"
    return "; ".join(found.strip().splitlines())


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"
