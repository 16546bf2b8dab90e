"""What is on screen while an answer is written: its unfinished line, what is typed ahead, toolbar.

Lines that are complete are printed above and never touched again. While nothing is typed the
cursor stays at the top left of what is redrawn, so that erasing it is exact whatever a resized
terminal has done to the rows below.
"""

import asyncio
from collections.abc import Callable, Coroutine

from prompt_toolkit.application import Application
from prompt_toolkit.buffer import Buffer
from prompt_toolkit.filters import Condition
from prompt_toolkit.formatted_text import StyleAndTextTuples
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.keys import Keys
from prompt_toolkit.layout import ConditionalContainer, HSplit, Layout, Window
from prompt_toolkit.layout.controls import BufferControl, FormattedTextControl
from prompt_toolkit.layout.processors import BeforeInput
from prompt_toolkit.styles import BaseStyle

from mesh_client.repl.printer import LinePrinter, last_rows

FRAME = 0.04
"""Seconds between two pictures at least, so that fast models do not burn the terminal."""


class AnswerView:
    """Runs beside a piece of work and shows the text that it is given.

    `draft` is what was typed ahead, `queued` what was sent ahead with Enter; `left` is set when
    the user wants to leave rather than wait. `interrupt` is told of each Ctrl-C, with whether
    there was a draft to clear, and answers whether to leave.
    """

    def __init__(
        self,
        toolbar: Callable[[], StyleAndTextTuples],
        interrupt: Callable[[bool], bool],
        style: BaseStyle,
        draft: str = "",
    ) -> None:
        self.draft = Buffer(multiline=True)
        self.queued: list[str] = []
        self.left = False
        self._toolbar = toolbar
        self._interrupt = interrupt
        self._printer = LinePrinter()
        self._changed = asyncio.Event()
        self.draft.on_text_changed += lambda _: self._focus()
        self._work: asyncio.Task[None] | None = None
        self._tail = Window(
            FormattedTextControl(self._tail_text, focusable=True, show_cursor=False),
            wrap_lines=True,
            dont_extend_height=True,
        )
        self._input = Window(
            BufferControl(self.draft, input_processors=[BeforeInput("› ", "class:prompt")]),
            wrap_lines=True,
            dont_extend_height=True,
        )
        self._app: Application[None] = Application(
            Layout(self._rows(), self._tail),
            key_bindings=self._keys(),
            style=style,
            erase_when_done=True,
            refresh_interval=0.5,
        )
        self.draft.insert_text(draft)

    def text(self, text: str) -> None:
        """Show more of the answer."""
        self._printer.feed(text)
        self._changed.set()

    def changed(self) -> None:
        """Something in the toolbar is different."""
        self._changed.set()

    async def run(self, work: Coroutine[None, None, None]) -> None:
        """Be on screen until the work is done, or the user leaves; raises what the work raises."""
        self._work = asyncio.create_task(work)
        self._work.add_done_callback(lambda _: self._changed.set())
        try:
            await self._app.run_async(pre_run=self._begin)
        finally:
            self._work.cancel()
        if not self.left:
            await self._work
        await asyncio.gather(self._work, return_exceptions=True)

    def _begin(self) -> None:
        self._app.create_background_task(self._paint())

    async def _paint(self) -> None:
        """Print what is complete and draw the rest anew, whenever something has changed."""
        assert self._work is not None
        while not self._work.done():
            await self._changed.wait()
            self._changed.clear()
            self._print(self._printer.take())
            self._app.invalidate()
            await asyncio.wait({self._work}, timeout=FRAME)
        self._print(self._printer.finish())
        if self._app.is_running and not self._app.is_done:
            self._app.exit()

    def _print(self, lines: str) -> None:
        """Put complete lines where the picture is, and the picture below them."""
        if lines:
            self._app.renderer.erase()
            self._app.output.write(lines)
            self._app.renderer.render(self._app, self._app.layout)

    def _rows(self) -> HSplit:
        typed = Condition(lambda: bool(self.draft.text))
        queued = Condition(lambda: bool(self.queued))
        return HSplit([
            ConditionalContainer(self._tail, Condition(lambda: bool(self._printer.tail)) | ~typed),
            ConditionalContainer(
                Window(FormattedTextControl(self._queued_text), dont_extend_height=True), queued
            ),
            ConditionalContainer(self._input, typed),
            Window(FormattedTextControl(self._toolbar), height=1, style="class:bottom-toolbar"),
        ])  # fmt: skip

    def _tail_text(self) -> str:
        size = self._app.output.get_size()
        return last_rows(self._printer.tail.expandtabs(), size.columns, max(1, size.rows - 4))

    def _queued_text(self) -> StyleAndTextTuples:
        lines = (f"next: {text.splitlines()[0]}" for text in self.queued)
        return [("class:dim", "\n".join(lines))]

    def _keys(self) -> KeyBindings:
        keys = KeyBindings()
        typed = Condition(lambda: bool(self.draft.text))

        @keys.add("c-c", eager=True)
        @keys.add(Keys.SIGINT)
        def interrupt(event: KeyPressEvent) -> None:
            leaves = self._interrupt(bool(self.draft.text))
            self.draft.reset()
            if leaves:
                self._leave()

        @keys.add("c-d", filter=~typed)
        def leave(event: KeyPressEvent) -> None:
            self._leave()

        @keys.add("enter", filter=typed)
        def send(event: KeyPressEvent) -> None:
            self.queued.append(self.draft.text)
            self.draft.reset()

        @keys.add("escape", "enter", filter=typed)
        @keys.add("c-j", filter=typed)
        def new_line(event: KeyPressEvent) -> None:
            self.draft.newline(copy_margin=False)

        @keys.add(Keys.BracketedPaste, filter=~typed)
        @keys.add(Keys.Any, filter=~typed)
        def type_ahead(event: KeyPressEvent) -> None:
            if event.data.isprintable() or event.key_sequence[0].key == Keys.BracketedPaste:
                self.draft.insert_text(event.data.replace("\r\n", "\n").replace("\r", "\n"))

        return keys

    def _leave(self) -> None:
        self.left = True
        self._print(self._printer.finish())
        if not self._app.is_done:
            self._app.exit()

    def _focus(self) -> None:
        self._app.layout.focus(self._input if self.draft.text else self._tail)
