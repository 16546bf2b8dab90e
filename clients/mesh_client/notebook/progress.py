"""How far many answers are: one bar, redrawn within the notebook's budget; a line in a terminal."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from html import escape
from typing import Any

from mesh_client.notebook.answer import Answer
from mesh_client.notebook.pacing import NOTEBOOK
from mesh_client.notebook.showing import in_kernel, show_widget, write
from mesh_client.notebook.transcript import small
from mesh_client.notebook.views import widgets


class Progress:
    """A bar over `total` answers, replaced by a line when all are there."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._bar: Any = None
        if in_kernel() and widgets():
            import ipywidgets as w

            self._bar = w.IntProgress(max=max(total, 1), layout=w.Layout(width="50%"))
            self._text = w.HTML()
            self._handle = show_widget(w.HBox([self._bar, self._text]), "Asking …")

    async def drive(self, answers: Sequence[Answer], over: asyncio.Event) -> None:
        """Draw until it is over. `answers` grows meanwhile."""
        began = asyncio.get_running_loop().time()
        while not over.is_set():
            await NOTEBOOK.turn()
            self._draw(answers, asyncio.get_running_loop().time() - began)
            with suppress(TimeoutError):
                await asyncio.wait_for(over.wait(), 0.1)
        self._finish(answers, asyncio.get_running_loop().time() - began)

    def _draw(self, answers: Sequence[Answer], seconds: float) -> None:
        if self._bar is not None:
            self._bar.value = sum(answer.ended for answer in answers)
            self._text.value = escape(self._line(answers, seconds))

    def _finish(self, answers: Sequence[Answer], seconds: float) -> None:
        line = self._line(answers, seconds)
        if self._bar is None:
            print(line)
        else:
            write(self._handle, small(line))

    def _line(self, answers: Sequence[Answer], seconds: float) -> str:
        done = sum(answer.ended for answer in answers)
        failed = sum(answer.ended and answer.state != "complete" for answer in answers)
        tokens = sum(answer.tokens for answer in answers)
        of = "answer" if self._total == 1 else "answers"
        parts = [
            f"{done} of {self._total} {of}",
            f"{tokens:,} tokens in {seconds:.1f} s",
            f"{tokens / seconds:,.0f} tokens/s" if tokens and seconds > 0 else "",
            f"{failed} without a whole answer" if failed else "",
        ]
        return " · ".join(filter(None, parts))
