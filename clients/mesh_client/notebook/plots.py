"""Plots of answers: tokens per second over time, and the time line of requests."""

from collections.abc import Iterable, Sequence
from io import BytesIO
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mesh_client.notebook.answer import Answer
from mesh_client.notebook.hearing import ENDS

INK, QUIET, GRID = "#24292f", "#6e7781", "#d0d7de"
WAIT, FIRST, WRITE, LOST = "#d0d7de", "#f2b84b", "#3b82c4", "#d1495b"
DPI = 160
WIDTH = 8.0
"""Inches."""
LABEL = 28
"""Characters of a question beside its bar."""
PAUSE, PAUSES = 0.15, 5.0
"""A pause is longer than so many seconds, and so many times longer than most gaps of its answer."""


class Plot:
    """A figure that shows itself as a picture; `figure` is matplotlib's."""

    def __init__(self, figure: Figure) -> None:
        self.figure = figure

    def _repr_mimebundle_(self, **_: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        width = int(self.figure.get_figwidth() * 96)
        return {"image/png": self._png(), "text/plain": "<Plot>"}, {"image/png": {"width": width}}

    def save(self, path: str | Path) -> None:
        """Write it to a file; the name's ending says the format."""
        self.figure.savefig(path, dpi=DPI, bbox_inches="tight")

    def _png(self) -> bytes:
        file = BytesIO()
        self.figure.savefig(file, format="png", dpi=DPI, bbox_inches="tight")
        return file.getvalue()


def speed(answers: Iterable[Answer], window: float = 0.5) -> Plot:
    """Tokens per second of all answers together, from the first asking on.

    window: seconds over which each point is averaged.
    """
    found = [answer for answer in answers if answer.times]
    began = min((answer.asked_at for answer in found), default=None)
    arrivals = sorted(
        (answer.asked_at - began).total_seconds() + at
        for answer in found
        if began is not None
        for at in answer.times
    )
    figure, axes = _axes(2.6)
    _draw_rate(axes, arrivals, window)
    axes.set(xlabel="seconds")
    return Plot(figure)


def timeline(answers: Iterable[Answer]) -> Plot:
    """A bar for each answer: waiting, until the first token, writing, pauses; and how it ended."""
    found = list(answers)
    figure, axes = _axes(max(1.3, 0.7 + 0.34 * len(found)))
    began = min((answer.asked_at for answer in found), default=None)
    for row, answer in enumerate(found):
        start = (answer.asked_at - began).total_seconds() if began else 0.0
        _bar(axes, row, start, answer)
    axes.set_yticks(range(len(found)), [_label(answer) for answer in found])
    axes.set(xlabel="seconds", ylim=(len(found) - 0.4, -0.6), xlim=(0, None))
    axes.grid(axis="y", visible=False)
    _legend(axes, any(_pauses(answer.times) for answer in found))
    return Plot(figure)


def one(answer: Answer, window: float = 0.5) -> Plot:
    """The time line of one answer, and below it its tokens per second."""
    figure = Figure(figsize=(WIDTH, 3.0), layout="constrained", facecolor="white")
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=[1, 3])
    for axes in (above, below):
        _style(axes)
    _bar(above, 0, 0.0, answer)
    above.set(yticks=[], ylim=(0.6, -0.6))
    above.grid(visible=False)
    above.spines["bottom"].set_visible(False)
    _legend(above, bool(_pauses(answer.times)))
    _draw_rate(below, answer.times, window)
    below.set(xlabel="seconds")
    return Plot(figure)


def _draw_rate(axes: Axes, arrivals: Sequence[float], window: float) -> None:
    at, rate = _rate(arrivals, window)
    axes.fill_between(at, rate, color=WRITE, alpha=0.18, linewidth=0)
    axes.plot(at, rate, color=WRITE, linewidth=1.8)
    axes.set(ylabel="tokens per second", ylim=(0, None), xlim=(0, None))


def _bar(axes: Axes, row: int, start: float, answer: Answer) -> None:
    accepted = _at(answer, "accepted") or 0.0
    first = answer.first_token if answer.first_token is not None else answer.seconds
    last = max(first, answer.seconds)
    bars = [(0.0, accepted, WAIT), (accepted, first, FIRST), (first, last, WRITE)]
    bars += [(left, right, LOST) for left, right in _pauses(answer.times)]
    for left, right, colour in bars:
        if right > left:
            axes.barh(row, right - left, left=start + left, height=0.56, color=colour, linewidth=0)
    note = {"complete": f"{answer.tokens} tokens", "running": "…"}.get(answer.state, answer.state)
    axes.annotate(
        note,
        (start + last, row),
        xytext=(5, 0),
        textcoords="offset points",
        va="center",
        fontsize=8,
        color=QUIET if answer.state in ("complete", "running") else LOST,
    )


def _pauses(times: Sequence[float]) -> list[tuple[float, float]]:
    gaps = [two - one for one, two in pairwise(times)]
    if not gaps:
        return []
    least = max(PAUSE, PAUSES * median(gaps))
    return [(left, left + gap) for left, gap in zip(times, gaps, strict=False) if gap > least]


def _at(answer: Answer, kind: str) -> float | None:
    assert kind not in ENDS
    return next((heard.at for heard in answer.heard_of if heard.kind == kind), None)


def _rate(arrivals: Sequence[float], window: float) -> tuple[list[float], list[float]]:
    """(seconds, tokens per second) in steps of a fifth of the window."""
    if not arrivals:
        return [0.0], [0.0]
    step = window / 5
    ends = [step * index for index in range(int((arrivals[-1] + window) / step) + 1)]
    rates, low, high = [], 0, 0
    for end in ends:
        while high < len(arrivals) and arrivals[high] <= end:
            high += 1
        while low < high and arrivals[low] <= end - window:
            low += 1
        rates.append((high - low) / window)
    return ends, rates


def _label(answer: Answer) -> str:
    text = " ".join(answer.question.split())
    return text if len(text) <= LABEL else f"{text[: LABEL - 1]}…"


def _legend(axes: Axes, pauses: bool) -> None:
    names = [("being accepted", WAIT), ("until the first token", FIRST), ("writing", WRITE)]
    names += [("pause", LOST)] if pauses else []
    handles = [axes.barh(0, 0, color=colour, label=name) for name, colour in names]
    axes.legend(
        handles=handles,
        loc="lower right",
        bbox_to_anchor=(1.0, 1.0),
        ncols=len(handles),
        frameon=False,
        fontsize=8,
        labelcolor=QUIET,
        handlelength=1.0,
        borderaxespad=0.2,
    )


def _axes(height: float) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(WIDTH, height), layout="constrained", facecolor="white")
    axes = figure.add_subplot()
    _style(axes)
    return figure, axes


def _style(axes: Axes) -> None:
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color(GRID)
    axes.tick_params(colors=QUIET, labelcolor=INK, labelsize=9, length=0)
    axes.xaxis.label.set(color=QUIET, size=9)
    axes.yaxis.label.set(color=QUIET, size=9)
    axes.grid(color=GRID, linewidth=0.6)
    axes.set_axisbelow(True)
