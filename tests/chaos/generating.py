"""The words of `/generate`: what a client asks there, and what it takes for an end. Pure."""

from collections.abc import Sequence
from typing import Any

from tests.chaos.checker import Transcript
from tests.chaos.door import STOPPING
from tests.chaos.plan import ECHO, Ask


def body_of(ask: Ask) -> dict[str, object]:
    """Greedy, so that a model has one thing to say."""
    params = {"max_tokens": ask.tokens, "temperature": 0}
    return {"prompt": ask.prompt, "model": ask.model or ECHO, "params": params}


def refused(status: int, transcript: Transcript, events: Sequence[tuple[int | None, Any]]) -> None:
    """A failure of the answer itself is its end; a gateway that cannot now is asked again."""
    if status in (500, 504):
        said = events[0][1] if events else {}
        note_last({"error": str(status)} | said, transcript)


def note_last(event: dict[str, Any], transcript: Transcript) -> None:
    """Take note of the last event."""
    if event.get("done"):
        transcript.ended, transcript.total = "done", event["total_tokens"]
    elif event["error"] != STOPPING:
        transcript.ended = f"error: {event['error']}"
