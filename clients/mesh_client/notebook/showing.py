"""Shows an answer in the cell that asked for it: live while it is written, then as Markdown.

The end is written once, through the cell's display handle, as `text/markdown`: so it stands in the
saved notebook as Markdown, with nothing left of the view. Without a notebook the text is printed.
"""

import asyncio
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

from IPython.core.getipython import get_ipython
from IPython.display import DisplayHandle, display

from mesh_client.notebook.answer import Answer
from mesh_client.notebook.live import Talk, drive
from mesh_client.notebook.mesh import Mesh
from mesh_client.notebook.pacing import NOTEBOOK
from mesh_client.notebook.transcript import answer_markdown
from mesh_client.notebook.views import talk

if TYPE_CHECKING:
    from collections.abc import Coroutine

WIDGET = "application/vnd.jupyter.widget-view+json"


class Showing:
    """An answer on its way to the eye."""

    def __init__(self, drawing: Future[None]) -> None:
        self._drawing = drawing

    def finish(self) -> None:
        """Wait until its end is shown."""
        self._drawing.result()

    async def afinish(self) -> None:
        """`finish` for event loops."""
        await asyncio.wrap_future(self._drawing)


def show(answer: Answer, mesh: Mesh) -> Showing:
    """Show an answer in the current cell, until its end and after it."""
    answer.shown_in = this_cell()
    if not in_kernel():
        return _begin(_print(answer), mesh)
    view = talk(mesh)
    if view is None:
        handle = raw({"text/plain": ""})
        return _begin(_rewrite(answer, handle), mesh)
    view.on_stop(answer.stop_soon)
    handle = show_widget(view.widget, "The answer is shown here as it is written.")
    return _begin(_live(answer, view, handle), mesh)


def show_again(answer: Answer) -> None:
    """Show an answer that is the value of a cell, unless that cell has shown it already."""
    if answer.shown_in != this_cell():
        markdown = answer_markdown(answer)
        raw({"text/markdown": markdown, "text/plain": str(answer)})


def this_cell() -> int:
    """The execution count of the cell that runs; 0 outside of IPython."""
    shell: Any = get_ipython()
    return shell.execution_count if shell is not None else 0


def in_kernel() -> bool:
    """Whether there is a notebook, and not only a terminal or a script."""
    return hasattr(get_ipython(), "kernel")


def show_widget(widget: Any, instead: str) -> DisplayHandle:
    """Display a widget, with a sentence for where widgets cannot be shown."""
    data = widget._repr_mimebundle_()  # ipywidgets has no other way to name the view
    if isinstance(data, tuple):
        data = data[0]
    return raw({WIDGET: data[WIDGET], "text/plain": instead})


def raw(bundle: dict[str, Any]) -> DisplayHandle:
    """Display a bundle of MIME types; the handle replaces it."""
    show: Any = display  # IPython does not type it
    handle: DisplayHandle = show(bundle, raw=True, display_id=True)
    return handle


def show_value(value: object) -> None:
    """Display something as IPython would."""
    show: Any = display
    show(value)


def write(handle: DisplayHandle, markdown: str) -> None:
    """Put Markdown where a handle is."""
    _replace(handle, {"text/markdown": markdown, "text/plain": markdown})


def _replace(handle: Any, bundle: dict[str, str]) -> None:
    handle.update(bundle, raw=True)


def _begin(showing: "Coroutine[Any, Any, None]", mesh: Mesh) -> Showing:
    return Showing(mesh.background.start(showing))


async def _live(answer: Answer, view: Talk, handle: DisplayHandle) -> None:
    await drive(answer, view)
    write(handle, answer_markdown(answer))


async def _rewrite(answer: Answer, handle: DisplayHandle) -> None:
    """Where there is no widget at all, the output itself is written anew."""
    while not answer.ended:
        await NOTEBOOK.turn()
        seen = answer.version
        _replace(handle, {"text/plain": answer.text})
        if not answer.ended:
            await answer.changed(seen)
    write(handle, answer_markdown(answer))


async def _print(answer: Answer) -> None:
    seen = 0
    while True:
        version, ended, pieces = answer.version, answer.ended, answer.pieces[seen:]
        seen += len(pieces)
        print("".join(pieces), end="", flush=True)
        if ended:
            break
        await answer.changed(version)
    print()
