"""Many questions at once, with a progress bar, as a DataFrame."""

import asyncio
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Unpack, overload

from mesh_client.calls import AnswerOptions
from mesh_client.errors import MeshClientError
from mesh_client.notebook.answer import Answer
from mesh_client.notebook.chat import Chat
from mesh_client.notebook.mesh import Mesh, here
from mesh_client.notebook.patience import Patience
from mesh_client.notebook.progress import Progress
from mesh_client.notebook.showing import show_value, this_cell

if TYPE_CHECKING:
    import pandas as pd

    from mesh_client.notebook.plots import Plot


class Answers(Sequence[Answer]):
    """Answers to many questions, in their order."""

    def __init__(self, answers: Iterable[Answer]) -> None:
        self._answers = tuple(answers)
        self.shown_in = -1
        """The execution count of the cell that shows them."""

    def __len__(self) -> int:
        return len(self._answers)

    @overload
    def __getitem__(self, index: int) -> Answer: ...

    @overload
    def __getitem__(self, index: slice) -> "Answers": ...

    def __getitem__(self, index: int | slice) -> "Answer | Answers":
        if isinstance(index, slice):
            return Answers(self._answers[index])
        return self._answers[index]

    def __repr__(self) -> str:
        return f"<{len(self)} answers>"

    def _ipython_display_(self) -> None:
        if self.shown_in != this_cell():
            show_value(self.df)

    @property
    def df(self) -> "pd.DataFrame":
        """A row for each."""
        from mesh_client.notebook import frames

        return frames.answers(self)

    def plot_timeline(self) -> "Plot":
        """What became of them when."""
        from mesh_client.notebook import plots

        return plots.timeline(self)

    def plot_speed(self, window: float = 0.5) -> "Plot":
        """Their tokens per second, all together."""
        from mesh_client.notebook import plots

        return plots.speed(self, window)


def ask_many(
    questions: Iterable[str],
    *,
    at_once: int = 16,
    keep: bool = False,
    show: bool = True,
    mesh: Mesh | None = None,
    **options: Unpack[AnswerOptions],
) -> Answers:
    """Ask each question in a chat of its own, `at_once` at a time, and wait for all answers.

    keep: leave the chats in the mesh; else they are deleted in the end. show: a progress bar.
    What the mesh cannot take just then waits, and is asked again as long as others are taken.
    An answer that failed says so itself (`state`, `sentence`); nothing is raised for it. An
    interrupted cell stops what is being written.
    """
    mesh = mesh or here()
    many = _Many(list(questions), at_once, mesh, options)
    progress = Progress(len(many.questions)) if show else None
    drawing = mesh.background.start(progress.drive(many.answers, many.over)) if progress else None
    try:
        mesh.background.wait(many.run())
    except KeyboardInterrupt:
        mesh.background.wait(many.stop())
        raise
    finally:
        mesh.background.wait(many.end(keep))
        if drawing is not None:
            drawing.result()
    return Answers(many.answers)


class _Many:
    """Questions on their way, on the client's loop."""

    def __init__(
        self,
        questions: list[str],
        at_once: int,
        mesh: Mesh,
        options: AnswerOptions,
    ) -> None:
        self.questions = questions
        self.answers: list[Answer] = []
        self._chats = [Chat(mesh=mesh, **options) for _ in questions]
        self._room = asyncio.Semaphore(at_once)
        self._patience = Patience()
        self.over = asyncio.Event()

    async def run(self) -> None:
        async with asyncio.TaskGroup() as asking:
            for chat, question in zip(self._chats, self.questions, strict=True):
                await self._room.acquire()
                answer = chat.start_patiently(question, self._patience)
                self.answers.append(answer)
                asking.create_task(self._finish(answer))

    async def stop(self) -> None:
        """Stop what is being written, and ask no more."""
        self._patience.end()
        running = [answer for answer in self.answers if not answer.ended]
        await asyncio.gather(*(answer.stop_here() for answer in running), return_exceptions=True)

    async def end(self, keep: bool) -> None:
        """Leave no chats behind, unless they are to be kept."""
        self.over.set()
        for chat in [] if keep else self._chats:
            with suppress(MeshClientError):
                await chat.delete()

    async def _finish(self, answer: Answer) -> None:
        try:
            await answer.over()
        finally:
            self._room.release()
