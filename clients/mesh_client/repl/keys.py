"""The keys, of the input line and while an answer is written, and what Ctrl-C means by the time."""

import time
from collections.abc import Callable
from typing import Literal, NamedTuple

from prompt_toolkit.buffer import Buffer
from prompt_toolkit.enums import DEFAULT_BUFFER
from prompt_toolkit.filters import (
    Condition,
    Filter,
    completion_is_selected,
    has_focus,
    is_searching,
)
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.keys import Keys

TWICE = 2.0
"""Seconds within which a second Ctrl-C means leaving."""


class Interrupts:
    """Tells a first Ctrl-C from a second one, also across the input line and a running answer."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._last: float | None = None

    def twice(self) -> bool:
        """Note a Ctrl-C; whether it is the second one in a short time."""
        now = self._clock()
        last, self._last = self._last, now
        return last is not None and now - last <= TWICE

    def forget(self) -> None:
        """Something was sent since: the next Ctrl-C is a first one."""
        self._last = None


class Typing(NamedTuple):
    """What the keys do while an answer is written. pasted: what of a pasted text is shown."""

    draft: Buffer
    send: Callable[[], None]
    interrupt: Callable[[], None]
    part: Callable[[Literal["detached", "left"]], None]
    search: Callable[[], None]
    pasted: Callable[[str], str]


def input_keys(
    interrupts: Interrupts, hint: Callable[[str], None], pasted: Callable[[str], str]
) -> KeyBindings:
    """Enter sends, Alt-Enter and Ctrl-J begin a new line, Ctrl-C clears or leaves.

    Leaving ends the prompt with EOFError, as Ctrl-D on an empty line does.
    """
    keys = KeyBindings()
    typing = has_focus(DEFAULT_BUFFER)
    _new_line(keys, typing)
    _paste(keys, typing, pasted)
    _choose(keys, typing)

    @keys.add("enter", filter=typing & ~completion_is_selected)
    def send(event: KeyPressEvent) -> None:
        hint("")
        interrupts.forget()
        event.current_buffer.validate_and_handle()

    @keys.add("c-g", filter=typing)
    @keys.add("c-x", "c-e", filter=typing)
    def edit(event: KeyPressEvent) -> None:
        event.current_buffer.open_in_editor()

    @keys.add("c-c", filter=~is_searching)
    @keys.add(Keys.SIGINT)
    def interrupt(event: KeyPressEvent) -> None:
        if interrupts.twice():
            event.app.exit(exception=EOFError())
            return
        hint("" if event.current_buffer.text else "Ctrl-C again leaves")
        event.current_buffer.reset()

    return keys


def answer_keys(typing: Typing) -> KeyBindings:
    """The same while an answer is written: Enter sends ahead, Ctrl-B leaves it to itself."""
    keys = KeyBindings()
    something = Condition(lambda: bool(typing.draft.text))
    typed, nothing = something & ~is_searching, ~something & ~is_searching
    _new_line(keys, typed)
    _paste(keys, typed, typing.pasted)
    _choose(keys, typed)

    @keys.add("c-c", eager=True, filter=~is_searching)
    @keys.add(Keys.SIGINT)
    def interrupt(event: KeyPressEvent) -> None:
        typing.interrupt()

    @keys.add("c-d", filter=nothing)
    def leave(event: KeyPressEvent) -> None:
        typing.part("left")

    @keys.add("c-b", filter=nothing)
    def detach(event: KeyPressEvent) -> None:
        typing.part("detached")

    @keys.add("enter", filter=typed & ~completion_is_selected)
    def send(event: KeyPressEvent) -> None:
        typing.send()

    @keys.add("c-r", filter=nothing)
    def search(event: KeyPressEvent) -> None:
        typing.search()

    @keys.add("up", filter=nothing)
    def earlier(event: KeyPressEvent) -> None:
        typing.draft.history_backward()

    @keys.add(Keys.BracketedPaste, filter=nothing)
    @keys.add(Keys.Any, filter=nothing)
    def type_ahead(event: KeyPressEvent) -> None:
        pasted = event.key_sequence[0].key == Keys.BracketedPaste
        if pasted:
            typing.draft.insert_text(typing.pasted(_lines(event.data)))
        elif event.data.isprintable():
            typing.draft.insert_text(event.data)

    return keys


def _new_line(keys: KeyBindings, typing: Filter) -> None:
    @keys.add("escape", "enter", filter=typing)
    @keys.add("c-j", filter=typing)
    def new_line(event: KeyPressEvent) -> None:
        event.current_buffer.newline(copy_margin=False)


def _paste(keys: KeyBindings, typing: Filter, pasted: Callable[[str], str]) -> None:
    @keys.add(Keys.BracketedPaste, filter=typing)
    def paste(event: KeyPressEvent) -> None:
        event.current_buffer.insert_text(pasted(_lines(event.data)))


def _choose(keys: KeyBindings, typing: Filter) -> None:
    @keys.add("enter", filter=typing & completion_is_selected)
    def choose(event: KeyPressEvent) -> None:
        event.current_buffer.complete_state = None


def _lines(pasted: str) -> str:
    """With the line ends that are ours: terminals paste what Enter sends."""
    return pasted.replace("\r\n", "\n").replace("\r", "\n")
