"""One question to several models at once, their answers side by side."""

from collections.abc import Sequence
from html import escape
from typing import Any, Unpack

from IPython.display import DisplayHandle

from mesh_client.calls import AnswerOptions
from mesh_client.notebook.answer import Answer
from mesh_client.notebook.chat import Chat
from mesh_client.notebook.live import Talk, drive, last_line
from mesh_client.notebook.many import Answers
from mesh_client.notebook.mesh import Mesh, here
from mesh_client.notebook.showing import in_kernel, show_widget, this_cell, write
from mesh_client.notebook.views import talk


def side_by_side(
    question: str,
    models: Sequence[str],
    *,
    mesh: Mesh | None = None,
    **options: Unpack[AnswerOptions],
) -> Answers:
    """Ask several models the same, watch them write, and wait for all.

    In the end a table in Markdown stands in the cell. An interrupted cell stops them all.
    """
    mesh = mesh or here()
    answers = []
    for model in models:
        asked = AnswerOptions(**(options | {"model": model}))
        answers.append(Chat(mesh=mesh, **asked).start(question))
    views = [talk(mesh) for _ in models] if in_kernel() else []
    shown = [view for view in views if view is not None]
    handle = _show(shown, models) if shown else None
    drawing = [
        mesh.background.start(drive(answer, view))
        for answer, view in zip(answers, shown, strict=False)
    ]
    for answer, view in zip(answers, shown, strict=False):
        view.on_stop(answer.stop_soon)
    try:
        for answer in answers:
            mesh.background.wait(answer.over())
    except KeyboardInterrupt:
        for answer in answers:
            answer.stop()
        raise
    finally:
        for drawn in drawing:
            drawn.result()
        if handle is not None:
            write(handle, table(answers, models))
    found = Answers(answers)
    found.shown_in = this_cell() if handle is not None else -1
    return found


def _show(views: list[Talk], models: Sequence[str]) -> DisplayHandle:
    import ipywidgets as w

    columns: list[Any] = [
        w.VBox([w.HTML(f"<b>{escape(model)}</b>"), view.widget], layout=w.Layout(flex="1 1 0"))
        for model, view in zip(models, views, strict=True)
    ]
    row = w.HBox(columns, layout=w.Layout(grid_gap="24px"))
    return show_widget(row, "The answers are shown here as they are written.")


def table(answers: Sequence[Answer], models: Sequence[str]) -> str:
    """Answers as a table in Markdown, a column for each model."""
    rows = [
        [_cell(model) for model in models],
        ["---" for _ in models],
        [_cell(answer.text) for answer in answers],
        [f"<small>{_cell(_figures(answer))}</small>" for answer in answers],
    ]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _figures(answer: Answer) -> str:
    return last_line(answer).text.removeprefix(f"{answer.model} · ")


def _cell(text: str) -> str:
    """Text for a cell: what would end it, or its row, is written otherwise."""
    return escape(text.strip(), quote=False).replace("|", "&#124;").replace("\n", "<br>")
