"""What a view of a running answer is, and how often it is drawn. Which one there is: `views`."""

from collections.abc import Callable
from typing import Any, Literal, Protocol

from msgspec import Struct

from mesh_client.events import Failed
from mesh_client.notebook.answer import Answer
from mesh_client.notebook.pacing import NOTEBOOK, Pacer

Tone = Literal["", "bad"]


class Line(Struct, frozen=True):
    """The line below an answer. tone `bad`: something went wrong."""

    text: str
    tone: Tone = ""


class View(Protocol):
    """Shows one answer after the other. All of it may be called from any thread."""

    widget: Any
    """What is displayed: an ipywidgets widget."""

    def draw(self, answer: Answer) -> None:
        """Show the answer as it stands."""
        ...

    def clear(self) -> None:
        """Show no answer."""
        ...

    def on_stop(self, stop: Callable[[], None]) -> None:
        """Call this when Stop is pressed."""
        ...


class Talk(View, Protocol):
    """A view with a place to type in."""

    def on_send(self, send: Callable[[str], None]) -> None:
        """Call this with what is to be sent; it stays where it is until `draft` replaces it."""
        ...

    def draft(self, text: str) -> None:
        """Put this where one types."""
        ...

    def typed(self) -> str:
        """What stands where one types, as far as the page has told."""
        ...

    def say(self, line: Line) -> None:
        """Say something while there is no answer."""
        ...

    def turn(self, markdown: str) -> None:
        """A question and its answer are over, and stand in the notebook."""
        ...


async def drive(answer: Answer, view: View, pacer: Pacer = NOTEBOOK) -> None:
    """Draw an answer until its end, whenever it has changed and the page has a turn for it."""
    while True:
        await pacer.turn()
        seen, ended = answer.version, answer.ended
        view.draw(answer)
        if ended:
            return
        await answer.changed(seen)


def line_of(answer: Answer) -> Line:
    """How an answer stands, for the line below it."""
    match answer.phase:
        case "sending":
            return Line("sending …")
        case "waiting" if answer.before:
            return Line(f"in the queue, {answer.before} before this one")
        case "waiting":
            return Line("waiting for the first token …")
        case "reconnecting":
            return Line("lost the gateway, looking for it again; the answer goes on meanwhile")
        case "answering":
            return Line(answer.summary)
    return last_line(answer)


def last_line(answer: Answer) -> Line:
    """How it ended."""
    if answer.error is not None or isinstance(answer.end, Failed):
        return Line(answer.sentence, "bad")
    if answer.state == "cancelled":
        stop = answer.stopped
        return Line(str(stop) if stop else f"stopped after {answer.tokens} tokens")
    return Line(answer.summary)
