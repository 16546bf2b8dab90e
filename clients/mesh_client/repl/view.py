"""What is on screen while an answer is written: its unfinished rows, what is typed ahead, toolbar.

Rows that are complete are printed above and never touched again. While nothing is typed the
cursor stays at the top left of what is redrawn, so that erasing it is exact whatever a resized
terminal has done to the rows below.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Literal

from prompt_toolkit.application import Application
from prompt_toolkit.filters import Condition
from prompt_toolkit.formatted_text import FormattedText, StyleAndTextTuples
from prompt_toolkit.layout import ConditionalContainer, HSplit, Layout, Window
from prompt_toolkit.layout.controls import FormattedTextControl
from prompt_toolkit.renderer import print_formatted_text

from mesh_client.repl.drafting import Drafting
from mesh_client.repl.keys import Typing, answer_keys
from mesh_client.repl.markdown import MarkdownPrinter
from mesh_client.repl.markdown.rows import Row, cells, last
from mesh_client.repl.prompt import Writing
from mesh_client.repl.theme import STYLE

FRAME = 0.04
"""Seconds between two pictures at least, so that fast models do not burn the terminal."""


class AnswerView:
    """Runs beside a piece of work and shows the text that it is given.

    `queued` is what was sent ahead with Enter. `parted` says how the user left before the end: to
    do something else (detached), or the whole sitting (left). `interrupt` is told of each Ctrl-C,
    with whether there was a draft to clear, and answers whether to leave; `at_once` is offered each
    line that is sent, and may take it; the work goes on until `before_parting` returns.
    """

    def __init__(
        self,
        toolbar: Callable[[], StyleAndTextTuples],
        writing: Writing,
        draft: str = "",
        *,
        interrupt: Callable[[bool], bool],
        at_once: Callable[[str], bool],
        before_parting: Callable[[], Awaitable[None]],
    ) -> None:
        self.queued: list[str] = []
        self.parted: Literal["", "detached", "left"] = ""
        self._toolbar = toolbar
        self._interrupt = interrupt
        self._at_once = at_once
        self._before_parting = before_parting
        self._printer = MarkdownPrinter()
        self._changed = asyncio.Event()
        self._work: asyncio.Task[None] | None = None
        self._tail = Window(
            FormattedTextControl(self._tail_text, focusable=True, show_cursor=False),
            wrap_lines=True,
            dont_extend_height=True,
        )
        self._drafting = Drafting(writing, draft)
        self._app: Application[None] = Application(
            Layout(self._rows(), self._tail),
            key_bindings=answer_keys(self._typing(writing)),
            style=STYLE,
            erase_when_done=True,
            refresh_interval=0.5,
        )
        self._drafting.buffer.on_text_changed += self._focus
        self._app.before_render += self._focus  # a search that is given up leaves it at the line

    @property
    def draft(self) -> str:
        """What is typed, and not sent."""
        return self._drafting.buffer.text

    def text(self, text: str) -> None:
        """Show more of the answer."""
        self._printer.feed(text)
        self._changed.set()

    def changed(self) -> None:
        """Something in the toolbar is different."""
        self._changed.set()

    def part(self, how: Literal["detached", "left"]) -> None:
        """Leave before the end; what was read so far is all printed."""
        self.parted = how
        self._print(self._printer.finish(self._columns))
        if not self._app.is_done:
            self._app.exit()

    async def run(self, work: Coroutine[None, None, None]) -> None:
        """Be on screen until the work is done, or the user leaves; raises what the work raises."""
        self._work = asyncio.create_task(work)
        self._work.add_done_callback(lambda _: self._changed.set())
        try:
            await self._app.run_async(pre_run=self._begin)
            if self.parted:
                await self._before_parting()
        finally:
            self._work.cancel()
        if not self.parted:
            await self._work
        await asyncio.gather(self._work, return_exceptions=True)

    def _begin(self) -> None:
        self._drafting.recall()
        self._app.create_background_task(self._paint())

    async def _paint(self) -> None:
        """Print what is complete and draw the rest anew, whenever something has changed."""
        assert self._work is not None
        while not self._work.done():
            await self._changed.wait()
            self._changed.clear()
            self._print(self._printer.take(self._columns))
            self._app.invalidate()
            await asyncio.wait({self._work}, timeout=FRAME)
        self._print(self._printer.finish(self._columns))
        if self._app.is_running and not self._app.is_done:
            self._app.exit()

    @property
    def _columns(self) -> int:
        return self._app.output.get_size().columns

    def _print(self, rows: list[Row]) -> None:
        """Put complete rows where the picture is, and the picture below them."""
        if rows:
            self._app.renderer.erase()
            text: StyleAndTextTuples = []
            for row in rows:
                text += [*row, ("", "\n")]
            print_formatted_text(
                self._app.output,
                FormattedText(text),
                STYLE,
                color_depth=self._app.color_depth,
            )
            self._app.renderer.render(self._app, self._app.layout)

    def _rows(self) -> HSplit:
        queued = Condition(lambda: bool(self.queued))
        return HSplit([
            self._tail,
            ConditionalContainer(
                Window(FormattedTextControl(self._queued_text), dont_extend_height=True), queued
            ),
            *self._drafting.rows(),
            Window(FormattedTextControl(self._toolbar), height=1, style="class:bottom-toolbar"),
        ])  # fmt: skip

    def _tail_text(self) -> StyleAndTextTuples:
        """The last rows of what is not done, as many as there is room for."""
        size = self._app.output.get_size()
        room = max(1, size.rows - 4 - self._drafting.height)
        text: StyleAndTextTuples = []
        for row in reversed(self._printer.tail(size.columns)):
            height = max(1, -(-cells(row) // max(1, size.columns)))
            shown = row if height <= room else last(row, room * size.columns)
            text = [*shown, *([("", "\n")] if text else []), *text]
            room -= height
            if room <= 0:
                break
        return text

    def _queued_text(self) -> StyleAndTextTuples:
        lines = (f"next: {text.splitlines()[0]}" for text in self.queued)
        return [("class:dim", "\n".join(lines))]

    def _typing(self, writing: Writing) -> Typing:
        return Typing(
            self._drafting.buffer,
            send=self._send,
            interrupt=self._interrupted,
            part=self.part,
            search=lambda: self._drafting.search(self._app.layout),
            pasted=writing.pasted,
        )

    def _send(self) -> None:
        line = self._drafting.clear()
        if not self._at_once(line):
            self.queued.append(line)

    def _interrupted(self) -> None:
        leaves = self._interrupt(bool(self._drafting.clear()))
        if leaves:
            self.part("left")

    def _focus(self, _: object) -> None:
        self._drafting.focus(self._app.layout, self._tail)
