"""The keys of the input line, and what Ctrl-C means by when it was pressed last."""

import time
from collections.abc import Callable

from prompt_toolkit.enums import DEFAULT_BUFFER
from prompt_toolkit.filters import completion_is_selected, has_focus
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


def input_keys(interrupts: Interrupts, hint: Callable[[str], None]) -> KeyBindings:
    """Enter sends, Alt-Enter and Ctrl-J begin a new line, Ctrl-C clears or leaves.

    Leaving ends the prompt with EOFError, as Ctrl-D on an empty line does.
    """
    keys = KeyBindings()
    typing = has_focus(DEFAULT_BUFFER)

    @keys.add("enter", filter=typing & ~completion_is_selected)
    def send(event: KeyPressEvent) -> None:
        hint("")
        interrupts.forget()
        event.current_buffer.validate_and_handle()

    @keys.add("enter", filter=typing & completion_is_selected)
    def choose(event: KeyPressEvent) -> None:
        event.current_buffer.complete_state = None

    @keys.add("escape", "enter", filter=typing)
    @keys.add("c-j", filter=typing)
    def new_line(event: KeyPressEvent) -> None:
        event.current_buffer.newline(copy_margin=False)

    @keys.add("c-c")
    @keys.add(Keys.SIGINT)
    def interrupt(event: KeyPressEvent) -> None:
        if interrupts.twice():
            event.app.exit(exception=EOFError())
            return
        hint("" if event.current_buffer.text else "Ctrl-C again leaves")
        event.current_buffer.reset()

    return keys
