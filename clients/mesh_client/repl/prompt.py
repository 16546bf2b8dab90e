"""The input line: its history, suggestions, completion, keys and toolbar, put together."""

from collections.abc import Callable
from typing import NamedTuple

from prompt_toolkit import PromptSession
from prompt_toolkit.auto_suggest import AutoSuggestFromHistory
from prompt_toolkit.buffer import Buffer
from prompt_toolkit.filters import Condition, to_filter
from prompt_toolkit.formatted_text import StyleAndTextTuples
from prompt_toolkit.key_binding import KeyBindings

from mesh_client.repl.completion import CommandCompleter
from mesh_client.repl.history import ForgivingHistory
from mesh_client.repl.theme import STYLE


class Writing(NamedTuple):
    """What helps with writing, in the input line and while an answer is written.

    pasted: what of a pasted text is shown.
    """

    history: ForgivingHistory
    completer: CommandCompleter
    pasted: Callable[[str], str]


def make_prompt(
    writing: Writing, keys: KeyBindings, toolbar: Callable[[], StyleAndTextTuples]
) -> PromptSession[str]:
    """A line that grows to several."""
    prompt: PromptSession[str] = PromptSession(
        [("class:prompt", "› ")],
        multiline=True,
        prompt_continuation="  ",
        history=writing.history,
        auto_suggest=AutoSuggestFromHistory(),
        completer=writing.completer,
        complete_while_typing=Condition(lambda: completes(prompt.default_buffer)),
        key_bindings=keys,
        bottom_toolbar=toolbar,
        style=STYLE,
    )
    # The toolbar stands right below the input, as it does while an answer is written.
    prompt.layout.current_window.dont_extend_height = to_filter(True)
    return prompt


def completes(buffer: Buffer) -> bool:
    """Whether to complete while it is typed: commands are, texts are not."""
    return buffer.text.startswith("/")
