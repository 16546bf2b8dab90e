"""What a run found, as tables of plain text, and whether it is what was to be reached. Pure."""

from collections.abc import Sequence
from statistics import median
from typing import NamedTuple

from mesh.cli.load.figures import Figures
from mesh.cli.load.table import aligned, table

OURS = ("gateway", "worker", "broker")
"""The processes through which a token goes."""


class Pair(NamedTuple):
    """The mesh and what it is held against, measured one after the other."""

    mesh: float
    limit: float


class Aim(NamedTuple):
    """One thing to reach. `least`: whether the bound is a lower one."""

    what: str
    found: float
    bound: float
    least: bool

    @property
    def reached(self) -> bool:
        return self.found >= self.bound if self.least else self.found <= self.bound


def share(pairs: Sequence[Pair]) -> float:
    """The median of the ratios."""
    return median(pair.mesh / pair.limit for pair in pairs)


def per_token(figures: Figures) -> float:
    """Microseconds of CPU time per token in all processes through which it goes."""
    return sum(figures.costs[kind].cpu_us for kind in OURS)


def pairs_table(what: str, rows: Sequence[tuple[str, Sequence[Pair]]]) -> str:
    """Tokens per second through the mesh, of the limit, and the ratio: medians of all pairs."""
    lines = [[what, "mesh", "limit", "ratio", "pairs"]]
    for name, pairs in rows:
        through, limit = median(pair.mesh for pair in pairs), median(pair.limit for pair in pairs)
        ratio = f"{share(pairs):.2f}"
        lines.append([name, f"{through:,.0f}", f"{limit:,.0f}", ratio, str(len(pairs))])
    return aligned(lines)


def aims_table(aims: Sequence[Aim]) -> str:
    lines = [["to reach", "found", "bound", ""]]
    for aim in aims:
        bound = f"{'>=' if aim.least else '<='} {aim.bound:g}"
        said = "reached" if aim.reached else "NOT REACHED"
        lines.append([aim.what, f"{aim.found:,.2f}", bound, said])
    return aligned(lines)


def loads_table(title: str, rows: Sequence[tuple[str, Figures]]) -> str:
    return f"{title}\n{table(rows)}"
