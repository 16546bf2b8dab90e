"""Figures as an aligned table of plain text."""

from collections.abc import Sequence

from mesh.cli.load.figures import Figures

HEADINGS = (
    "load",
    "tokens/s",
    "pace",
    "slowest",
    "first ms",
    "p99",
    "gap ms",
    "p99",
    "answers",
    "failed",
)


def table(rows: Sequence[tuple[str, Figures]]) -> str:
    """One line per load, with its name, and a column per kind of process for its cost."""
    kinds = sorted({kind for _, figures in rows for kind in figures.costs})
    headings = [*HEADINGS, *(f"{kind} µs" for kind in kinds), *(f"{kind} MB" for kind in kinds)]
    lines = [headings, *(_row(name, figures, kinds) for name, figures in rows)]
    return aligned(lines)


def aligned(lines: Sequence[Sequence[str]]) -> str:
    """Cells in columns: the first to the left, the others to the right."""
    widths = [max(len(cell) for cell in column) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if column else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def _row(name: str, figures: Figures, kinds: Sequence[str]) -> list[str]:
    costs = [figures.costs.get(kind) for kind in kinds]
    return [
        name,
        f"{figures.tokens_per_second:,.0f}",
        f"{figures.pace:,.1f}",
        f"{figures.slowest:,.1f}",
        f"{figures.first_token_ms.median:,.1f}",
        f"{figures.first_token_ms.p99:,.1f}",
        f"{figures.gap_ms.median:,.2f}",
        f"{figures.gap_ms.p99:,.1f}",
        f"{figures.answers:,}",
        f"{figures.failures:,}",
        *("" if cost is None else f"{cost.cpu_us:,.1f}" for cost in costs),
        *("" if cost is None else f"{cost.memory_mb:,.0f}" for cost in costs),
    ]
