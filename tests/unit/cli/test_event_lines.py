"""How `mesh events` looks: on a terminal of any width, and for programs."""

import re
from io import StringIO

from rich.console import Console

from mesh.cli.events import shower
from mesh.cli.lines import Line
from mesh.cli.screen import PIPED

ID = "0123456789abcdef" * 2
TOLD = "stop, 214 tokens in 4.2 s, queued 1 ms, first token after 120 ms"


def shown(columns: int, *, terminal: bool = True) -> list[str]:
    """The rows that an event takes."""
    out = StringIO()
    console = Console(file=out, width=columns, force_terminal=terminal, highlight=False)
    event = Line(seq=1, at=0.25, event="done", rid=ID, worker="attic", by="attic", detail=TOLD)
    shower(console)(event)
    return [row.rstrip() for row in re.sub(r"\x1b\[[0-9;]*m", "", out.getvalue()).splitlines()]


def test_an_event_that_is_too_long_goes_on_below_what_it_says() -> None:
    rows = shown(80)
    assert len(rows) > 1 and max(map(len, rows)) <= 80
    column = rows[0].index("attic:")
    assert rows[0].endswith("done       " + rows[0][column:]) and rows[0][14:22] == ID[:8]
    assert all(row[:column].isspace() for row in rows[1:])
    assert " ".join(row[column:] for row in rows) == f"attic: {TOLD}"


def test_an_event_is_one_line_where_there_is_room() -> None:
    (row,) = shown(119)
    assert row.endswith(f"{ID[:8]}  done       attic: {TOLD}")
    (row,) = shown(PIPED, terminal=False)
    assert row.endswith(f"{ID}  done       attic: {TOLD}")
