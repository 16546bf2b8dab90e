"""The branches of a chat to choose from, named by what tells them apart. Pure."""

from mesh_client.objects import Message
from mesh_client.thread import Thread

NAMED = 32
"""Characters of a branch's name."""


def choices(thread: Thread) -> list[tuple[str, str]]:
    """(name, id of its last message) of each branch, oldest first; one, where nothing branches."""
    messages = thread.messages()
    parents = {message.parent_id for message in messages}
    tails = [message for message in messages if message.id not in parents]
    known = {message.id: message for message in messages}
    return [
        (f"{number}/{len(tails)} {_name(tail, known)}", tail.id)
        for number, tail in enumerate(tails, 1)
    ]


def _name(tail: Message, known: dict[str, Message]) -> str:
    """The beginning of its last answer, else of its last question."""
    text = tail.content or ""
    if not text.strip() and tail.parent_id in known:
        text = known[tail.parent_id].content or ""
    text = " ".join(text.split())
    return text if len(text) <= NAMED else f"{text[: NAMED - 1]}…"
