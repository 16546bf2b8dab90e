"""The view for notebooks with ipywidgets alone: the same in slower, and Stop asks the kernel."""

from collections.abc import Callable
from html import escape
from typing import Any

import ipywidgets as w

from mesh_client.notebook.answer import Answer
from mesh_client.notebook.live import Line, line_of

TEXT = '<div dir="auto" style="white-space:pre-wrap;overflow-wrap:anywhere">{}</div>'
ASIDE = '<div dir="auto" style="opacity:.7;white-space:pre-wrap">{}</div>'
SHOWN = 20_000
"""Characters at the end of a long answer that are redrawn while it is written."""


class Plain:
    """A `Talk` (a `View` without composer)."""

    def __init__(self, *, composer: bool = False) -> None:
        self._question = w.HTML()
        self._text = w.HTML()
        self._line = w.HTML(layout=w.Layout(flex="1"))
        self._stop = w.Button(description="Stop", button_style="danger")
        self._stop.layout.display = "none"
        self._input = w.Textarea(
            placeholder="Ask something …", rows=2, layout=w.Layout(width="100%")
        )
        self._send = w.Button(description="Send", button_style="primary")
        parts: list[Any] = [self._question, self._text, w.HBox([self._line, self._stop])]
        if composer:
            parts.append(w.HBox([self._input, self._send]))
        self.widget: Any = w.VBox(parts)
        self._composer = composer

    def on_stop(self, stop: Callable[[], None]) -> None:
        self._stop.on_click(lambda _: stop())

    def on_send(self, send: Callable[[str], None]) -> None:
        self._send.on_click(lambda _: send(self._input.value))

    def draft(self, text: str) -> None:
        self._input.value = text

    def typed(self) -> str:
        return str(self._input.value)

    def say(self, line: Line) -> None:
        self.clear()
        self._say(line)

    def clear(self) -> None:
        self._question.value = self._text.value = self._line.value = ""
        self._stop.layout.display = "none"

    def turn(self, markdown: str) -> None:
        """It stands in the notebook; that is enough here."""

    def draw(self, answer: Answer) -> None:
        if self._composer:
            self._question.value = ASIDE.format(escape(answer.question[:2000]))
        self._text.value = TEXT.format(escape(answer.text[-SHOWN:]))
        self._say(line_of(answer))
        self._stop.layout.display = "none" if answer.ended else ""
        self._send.disabled = not answer.ended

    def _say(self, line: Line) -> None:
        colour = ' style="color:var(--jp-error-color1,#c62828)"' if line.tone else ""
        self._line.value = f"<span{colour}>{escape(line.text)}</span>" if line.text else ""
