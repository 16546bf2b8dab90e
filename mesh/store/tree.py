"""How a chat grows: titles, and new messages under old ones. Pure; the rules of asking live in
`queries/`, because the log is obeyed without asking.
"""

from math import inf, nextafter

from mesh.protocol.request import UserMessage
from mesh.store.models import Chat, Message

TITLE_LENGTH = 100


def title(content: str) -> str | None:
    """The first whole words of a text, at most 100 characters; None where there are none."""
    text = " ".join(content.split(maxsplit=TITLE_LENGTH)[:TITLE_LENGTH])
    if len(text) > TITLE_LENGTH:
        head = text[: TITLE_LENGTH + 1]
        text = head.rpartition(" ")[0] or head[:TITLE_LENGTH]
    return text or None


def question(chat: Chat, said: UserMessage, parent: Message | None) -> Message:
    """A person's new message. The first one gives the chat its title, if it has none."""
    if parent is None and chat.title is None:
        chat.title = title(said.content)
    return _message(chat, said.id, "prompter", said.content, said.created, parent)


def answer(chat: Chat, rid: str, created: float, parent: Message) -> Message:
    """The place of an answer to come."""
    return _message(chat, rid, "assistant", None, created, parent)


def _message(
    chat: Chat, id: str, role: str, content: str | None, created: float, parent: Message | None
) -> Message:
    """A message is later than its parent, however the clocks of gateways differ."""
    if parent is not None:
        created = max(created, nextafter(parent.created_at, inf))
    chat.modified_at = max(chat.modified_at, created)
    return Message(
        id=id,
        chat_id=chat.id,
        parent_id=parent.id if parent else None,
        role=role,
        content=content,
        created_at=created,
    )
