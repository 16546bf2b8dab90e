"""What `mesh top` draws: the mesh now, its last minute as curves, its last events. Pure."""

import time
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from io import StringIO

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from mesh.cli.fleet import Snapshot, Worker
from mesh.cli.lines import STYLES, Line
from mesh.cli.ps import queues_table
from mesh.cli.screen import cell, count, duration, table

SAMPLES = 60
"""Looks that a curve remembers."""

_BARS = "▁▂▃▄▅▆▇█"


@dataclass
class Overview:
    """What was seen. speeds: each worker's last tokens per second; waiting: requests in the queue;
    trouble: why the last look failed, "" if it did not."""

    where: str = ""
    now: Snapshot | None = None
    speeds: dict[str, deque[float]] = field(default_factory=dict)
    total: deque[float] = field(default_factory=lambda: deque(maxlen=SAMPLES))
    waiting: deque[float] = field(default_factory=lambda: deque(maxlen=SAMPLES))
    trouble: str = ""
    paused: bool = False

    def see(self, snapshot: Snapshot) -> None:
        """Take in another look."""
        self.now, self.trouble = snapshot, ""
        for worker in snapshot.workers:
            self.speeds.setdefault(worker.name, deque(maxlen=SAMPLES)).append(worker.speed)
        gone = set(self.speeds) - {worker.name for worker in snapshot.workers}
        for name in gone:
            del self.speeds[name]
        self.total.append(sum(worker.speed for worker in snapshot.workers))
        self.waiting.append(float(sum(queue.waiting for queue in snapshot.queues)))


def draw(overview: Overview, events: Iterable[Line], columns: int, rows: int, now: float) -> str:
    """The screen as text with ANSI colours, `columns` by `rows` cells."""
    room = rows
    parts: list[list[str]] = []
    for part in (_head(overview, columns, now), *_tables(overview, columns)):
        drawn = _lines(part, columns)
        parts.append(drawn)
        room -= len(drawn) + 1
    shown = [line for part in parts for line in (*part, "")]
    if room > 2:
        latest = list(events)[-(room - 1) :]
        shown += _lines(_events(latest, columns), columns)
    return "\n".join(shown[:rows])


def curve(values: Iterable[float], width: int) -> str:
    """The last `width` values as bars, the highest one as high as a row."""
    last = list(values)[-width:]
    top = max(last, default=0.0)
    if top <= 0:
        return "▁" * len(last)
    return "".join(_BARS[min(len(_BARS) - 1, int(value / top * len(_BARS)))] for value in last)


def bar(part: int, whole: int, width: int = 8) -> str:
    """How much of a whole is taken, at a glance."""
    taken = round(width * part / whole) if whole else 0
    return "█" * max(taken, 1 if part else 0) + "░" * (width - max(taken, 1 if part else 0))


def _head(overview: Overview, columns: int, now: float) -> RenderableType:
    clock = time.strftime("%H:%M:%S", time.localtime(now))
    title = Text.assemble(
        ("mesh top", "bold"), ("  " + overview.where, "dim"), ("  " + clock, "dim")
    )
    if overview.paused:
        title.append("  paused: p goes on", style="yellow")
    else:
        title.append("  q leaves, p pauses", style="dim")
    if overview.trouble:
        return Group(title, Text(overview.trouble, style="red"))
    snapshot = overview.now
    if snapshot is None:
        return title
    slots = sum(worker.slots for worker in snapshot.workers)
    busy = sum(worker.running for worker in snapshot.workers)
    width = max(8, min(SAMPLES, (columns - 60) // 2))
    said = Text.assemble(
        f"{count(len(snapshot.workers), 'worker')}, {busy} of {count(slots, 'slot')} busy   ",
        (f"{overview.total[-1]:.0f} tokens/s ", "bold"),
        (curve(overview.total, width), "green"),
        (f"   {overview.waiting[-1]:.0f} waiting ", "bold"),
        (curve(overview.waiting, width), "yellow"),
    )
    return Group(title, said)


def _tables(overview: Overview, columns: int) -> list[RenderableType]:
    if overview.now is None:
        return []
    return [
        _workers(overview.now.workers, overview.speeds, columns),
        queues_table(overview.now.queues),
    ]


def _workers(
    workers: list[Worker], speeds: dict[str, deque[float]], columns: int
) -> RenderableType:
    if not workers:
        return Text("No worker is there: start one with `mesh worker`.", style="yellow")
    names = ("WORKER", "MODEL", "SLOTS", "TOKENS/S", "LAST MINUTE", "UP", "HOST", "")
    made = table(None, *names, right=("TOKENS/S",))
    for worker in workers:
        full = worker.running >= worker.slots
        made.add_row(
            cell(worker.name, "green"),
            cell(", ".join(worker.models)),
            Text.assemble(
                (bar(worker.running, worker.slots), "yellow" if full else "cyan"),
                f" {worker.running}/{worker.slots}",
            ),
            Text(f"{worker.speed:.0f}", justify="right"),
            Text(curve(speeds.get(worker.name, ()), max(6, min(30, columns - 80))), style="green"),
            duration(worker.up),
            cell(worker.host, "dim"),
            cell(worker.remark, "yellow"),
        )
    return made


def _events(latest: list[Line], columns: int) -> RenderableType:
    made = Table(
        box=None, show_header=True, header_style="dim", pad_edge=False, padding=(0, 2, 0, 0)
    )
    for name in ("AT", "OF", "EVENT", "WHAT"):
        made.add_column(name, no_wrap=True, overflow="ellipsis")
    for line in latest:
        clock, subject, event, said = line.parts(short=True)
        style = STYLES.get(line.event, "")
        made.add_row(
            Text(clock, style="dim"), Text(subject.strip()), Text(event, style=style), Text(said)
        )
    return made


def _lines(part: RenderableType, columns: int) -> list[str]:
    screen = Console(
        file=StringIO(),
        width=columns,
        force_terminal=True,
        color_system="standard",
        highlight=False,
    )
    with screen.capture() as capture:
        screen.print(part)
    return capture.get().rstrip("\n").split("\n")
