"""Chats as lines for those who learn from them: which, in what shape, and without names. Pure.

The command reads the database file, the gateway asks the store; both write these lines.
"""

import hmac
from collections.abc import Sequence
from hashlib import sha256

from msgspec.structs import replace

from mesh.protocol.chats import Asks, Chat, ChatMessage, Report
from mesh.protocol.wire import Wire

HEADS = 100
"""Chats whose heads one reply holds at most."""


class Filters(Wire, frozen=True, kw_only=True):
    """Which chats. user: an id, or the account's name; since, until: Unix time of creation;
    scored, reported: only those with a vote, or a report, on some message.

    Chats whose owner does not allow the use of their data are left out, unless `opted_out`.
    """

    user: str | None = None
    chat: str | None = None
    since: float | None = None
    until: float | None = None
    scored: bool = False
    reported: bool = False
    opted_out: bool = False


class ExportedChat(Wire, frozen=True, kw_only=True):
    """One line: a chat, whose it is, and its messages; their parent_id makes them a tree."""

    user_id: str
    account: str
    chat: Chat
    messages: tuple[ChatMessage, ...]


class ExportHead(Wire, frozen=True, kw_only=True):
    """A chat that is to be exported, and whose it is."""

    user_id: str
    account: str
    chat_id: str


class ExportHeads(Wire, frozen=True, kw_only=True, tag="export_heads"):
    """Some chats, oldest first; where `next` is set, there are more: ask on from it."""

    heads: tuple[ExportHead, ...]
    next: str | None = None


class ListExport(Asks[ExportHeads], frozen=True, kw_only=True, tag="list_export"):
    """The chats that some filters choose; after: the `next` of the reply before. -> ExportHeads"""

    filters: Filters = Filters()
    after: str | None = None


def with_content(messages: Sequence[ChatMessage]) -> tuple[ChatMessage, ...]:
    """The messages that say something, and those that such ones hang under; oldest first."""
    needed: set[str] = set()
    for message in reversed(messages):
        if message.content or message.id in needed:
            needed.add(message.id)
            if message.parent_id is not None:
                needed.add(message.parent_id)
    return tuple(message for message in messages if message.id in needed)


class Anonymous:
    """Takes names out of lines: each id becomes another, the same wherever it occurs.

    With the same seed the same ids come out the next time; without the seed nobody finds back.
    What people wrote stays as it is, save what they said of themselves to be answered by; the
    sentence of an error goes, for it may name a worker, and its code stays.
    """

    def __init__(self, seed: str) -> None:
        self._seed = seed.encode()

    def chat(self, line: ExportedChat) -> ExportedChat:
        tail = line.chat.active_thread_tail_message_id
        chat = replace(
            line.chat,
            id=self._of(line.chat.id),
            active_thread_tail_message_id=None if tail is None else self._of(tail),
        )
        return ExportedChat(
            user_id=self._of(line.user_id),
            account="",
            chat=chat,
            messages=tuple(map(self._message, line.messages)),
        )

    def _message(self, message: ChatMessage) -> ChatMessage:
        work = message.work
        if work is not None:
            work = replace(work, user_profile="", response_instructions="")
        return replace(
            message,
            id=self._of(message.id),
            chat_id=self._of(message.chat_id),
            parent_id=None if message.parent_id is None else self._of(message.parent_id),
            worker=None if message.worker is None else self._of(message.worker),
            error=None,
            inferior=tuple(map(self._of, message.inferior)),
            reports=tuple(map(self._report, message.reports)),
            work=work,
        )

    def _report(self, report: Report) -> Report:
        return replace(report, id=self._of(report.id))

    def _of(self, name: str) -> str:
        return hmac.digest(self._seed, name.encode(), sha256).hex()[:32]
