"""What is typed ahead while an answer is written: its line, completions below it, a search."""

from prompt_toolkit.auto_suggest import AutoSuggestFromHistory
from prompt_toolkit.buffer import Buffer
from prompt_toolkit.document import Document
from prompt_toolkit.filters import Condition, is_searching, to_filter
from prompt_toolkit.layout import (
    ConditionalContainer,
    Container,
    Dimension,
    Layout,
    Window,
)
from prompt_toolkit.layout.controls import BufferControl
from prompt_toolkit.layout.menus import CompletionsMenu
from prompt_toolkit.layout.processors import (
    AppendAutoSuggestion,
    BeforeInput,
    HighlightIncrementalSearchProcessor,
)
from prompt_toolkit.search import SearchDirection, start_search
from prompt_toolkit.widgets import SearchToolbar

from mesh_client.repl.prompt import Writing, completes

LINES = 8
"""Rows that what is typed takes at most."""

MENU = 6
"""Rows that its completions take at most."""


class Drafting:
    """The line, shown while there is something in it or something is searched for."""

    def __init__(self, writing: Writing, text: str) -> None:
        self.buffer = Buffer(
            document=Document(text),
            multiline=True,
            history=writing.history,
            auto_suggest=AutoSuggestFromHistory(),
            completer=writing.completer,
            complete_while_typing=Condition(lambda: completes(self.buffer)),
        )
        self._search = SearchToolbar()
        self._input = Window(
            BufferControl(
                self.buffer,
                input_processors=[
                    HighlightIncrementalSearchProcessor(),
                    BeforeInput("› ", "class:prompt"),
                    AppendAutoSuggestion(),
                ],
                search_buffer_control=self._search.control,
                preview_search=True,
            ),
            height=Dimension(max=LINES),
            wrap_lines=True,
            dont_extend_height=True,
        )

    def rows(self) -> list[Container]:
        """What is seen of it, top to bottom."""
        shown = Condition(lambda: bool(self.buffer.text)) | is_searching
        menu = CompletionsMenu(max_height=MENU, scroll_offset=1)
        assert isinstance(menu.content, Window)
        menu.content.dont_extend_height = to_filter(True)  # the toolbar stands right below it
        return [ConditionalContainer(self._input, shown), menu, self._search.container]

    @property
    def height(self) -> int:
        """Rows that may be needed for it now."""
        state = self.buffer.complete_state
        menu = min(MENU, len(state.completions)) if state else 0
        return (LINES if self.buffer.text or is_searching() else 0) + menu

    def focus(self, layout: Layout, otherwise: Window) -> None:
        """Have the cursor where one types, or elsewhere while nothing is typed."""
        wanted = self._input if self.buffer.text else otherwise
        if not layout.is_searching and layout.current_window is not wanted:
            layout.focus(wanted)

    def search(self, layout: Layout) -> None:
        """Look for what was asked before."""
        layout.focus(self._input)
        start_search(direction=SearchDirection.BACKWARD)

    def recall(self) -> None:
        """Have at hand what was asked before: the line itself does it only once it is seen."""
        self.buffer.load_history_if_not_yet_loaded()

    def clear(self) -> str:
        """Begin anew; returns what was typed."""
        text = self.buffer.text
        self.buffer.reset()
        self.recall()
        return text
