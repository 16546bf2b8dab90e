"""A chat's messages as a tree, and the branch one is talking on. Pure; asks nobody.

Several answers under one message are retries; several messages under one answer are edits. The
branch is named by its last message, the tail; the rest of it follows the parents to the root.
"""

from collections.abc import Iterable

from msgspec.structs import replace

from mesh_client.errors import MeshClientError
from mesh_client.events import End, Finished
from mesh_client.objects import Message, MessageState


class Thread:
    """The messages known so far and the tail of the current branch, None while it is empty."""

    def __init__(self, messages: Iterable[Message] = (), tail: str | None = None) -> None:
        self._messages = {message.id: message for message in sorted(messages, key=_age)}
        self.tail = self.shown_elsewhere(tail)

    def add(self, *messages: Message) -> None:
        """Take in new or newer messages; the last one becomes the tail."""
        for message in messages:
            self._messages[message.id] = message
            self.tail = message.id

    def end(self, message_id: str, end: End) -> None:
        """Take in how an answer ended, whether or not the gateway sent its message along."""
        if end.message is not None:
            self._messages[message_id] = end.message
        elif (known := self._messages.get(message_id)) is not None:
            state: MessageState = "complete" if isinstance(end, Finished) else "aborted_by_worker"
            self._messages[message_id] = replace(known, state=state, content=end.text)

    def shown_elsewhere(self, kept: str | None) -> str | None:
        """The tail that a client sees which opens the chat now, where `kept` is the stored one."""
        return self._leaf(kept) if kept in self._messages else self._newest()

    def branch(self) -> list[Message]:
        """The current branch, from the root to the tail."""
        found: list[Message] = []
        at = self._messages.get(self.tail or "")
        while at is not None:
            found.append(at)
            at = self._messages.get(at.parent_id or "")
        return found[::-1]

    def messages(self) -> list[Message]:
        """All messages of all branches, oldest first."""
        return list(self._messages.values())

    def siblings(self, message_id: str) -> list[Message]:
        """The messages beside this one, itself included, oldest first: retries, or edits."""
        parent_id = self._messages[message_id].parent_id
        return [message for message in self._messages.values() if message.parent_id == parent_id]

    def switch(self, message_id: str) -> None:
        """Make the newest branch through this message the current one."""
        if message_id not in self._messages:
            raise MeshClientError("This chat has no such message.", code="not_found")
        self.tail = self._leaf(message_id)

    def last_answer(self) -> Message | None:
        """The last answer of the branch that has ended: the parent of what is written next.

        One that failed or was stopped counts, with as much text as it has.
        """
        answers = (m for m in reversed(self.branch()) if m.role == "assistant")
        return next((m for m in answers if not m.unfinished), None)

    def last_question(self) -> Message:
        """The last message of the branch that a person wrote: what a retry answers again."""
        for message in reversed(self.branch()):
            if message.role == "prompter":
                return message
        raise MeshClientError(
            "This chat has no question yet that could be answered again; ask one.",
            code="bad_request",
        )

    def running(self) -> Message | None:
        """The answer at the tail, if it is still being written."""
        tail = self._messages.get(self.tail or "")
        return tail if tail is not None and tail.unfinished else None

    def _newest(self) -> str | None:
        return next(reversed(self._messages), None)

    def _leaf(self, at: str | None) -> str | None:
        """The newest end of the branch that goes on from here: others may have gone on."""
        newest = {m.parent_id: m.id for m in self._messages.values() if m.parent_id}
        while at in newest:
            at = newest[at]
        return at


def _age(message: Message) -> float:
    """Sort key; messages of a gateway that gives no times stay in its order."""
    return message.created_at.timestamp() if message.created_at else 0.0
