"""Chats that a user knows by a number, as `POST /generate` keeps them: what the store is asked.

A chat that was begun elsewhere has no number.
"""

from mesh.protocol.chats import Asks, Chat
from mesh.protocol.wire import Wire


class NumberedChat(Wire, frozen=True, kw_only=True):
    """A chat under its number. latest: the beginning of what was said in it last."""

    number: int
    chat_id: str
    latest: str = ""


class NumberedChats(Wire, frozen=True, kw_only=True, tag="numbered_chats"):
    """A user's chats that have numbers, by number; next: the number of a new one."""

    chats: tuple[NumberedChat, ...]
    next: int = 1


class ListNumbered(Asks[NumberedChats], frozen=True, kw_only=True, tag="list_numbered"):
    """-> NumberedChats: the `limit` highest numbers"""

    user_id: str
    limit: int = 1_000


class OpenChat(Asks[Chat], frozen=True, kw_only=True, tag="open_chat"):
    """The chat that a user knows by a number; begun if there is none. -> Chat

    number 0: a new one, with the next number; known_only: not_found instead of a new one.
    """

    user_id: str
    number: int = 0
    known_only: bool = False
