"""The input line: its history, suggestions, completion, keys and toolbar, put together."""

from collections.abc import Callable

from prompt_toolkit import PromptSession
from prompt_toolkit.auto_suggest import AutoSuggestFromHistory
from prompt_toolkit.filters import Condition, to_filter
from prompt_toolkit.formatted_text import StyleAndTextTuples
from prompt_toolkit.history import History
from prompt_toolkit.key_binding import KeyBindings

from mesh_client.repl.completion import CommandCompleter, Known
from mesh_client.repl.theme import STYLE


def make_prompt(
    history: History,
    known: Known,
    keys: KeyBindings,
    toolbar: Callable[[], StyleAndTextTuples],
) -> PromptSession[str]:
    """A line that grows to several; commands are completed as they are typed, texts are not."""
    prompt: PromptSession[str] = PromptSession(
        [("class:prompt", "› ")],
        multiline=True,
        prompt_continuation="  ",
        history=history,
        auto_suggest=AutoSuggestFromHistory(),
        completer=CommandCompleter(known),
        complete_while_typing=Condition(lambda: prompt.default_buffer.text.startswith("/")),
        key_bindings=keys,
        bottom_toolbar=toolbar,
        style=STYLE,
    )
    # The toolbar stands right below the input, as it does while an answer is written.
    prompt.layout.current_window.dont_extend_height = to_filter(True)
    return prompt
