"""A chat's branches, drawn. Pure: makes rows of styled text from messages.

Answers are numbered in the order in which they were made; a number names the branch through it.
"""

from collections.abc import Iterator

from mesh_client.objects import Message
from mesh_client.repl.markdown.rows import Row, cut
from mesh_client.terminal import in_one_line
from mesh_client.thread import Thread

LEAST = 12
"""Cells of a message that are shown, however narrow the terminal is."""


def numbered(thread: Thread) -> list[Message]:
    """All answers, oldest first: answer n is the n-th."""
    return [message for message in thread.messages() if message.role == "assistant"]


def next_branch(thread: Thread) -> Message | None:
    """An answer on another branch: the one beside the last fork of this one, in turn."""
    for message in reversed(thread.branch()):
        beside = thread.siblings(message.id)
        if len(beside) > 1:
            at = [other.id for other in beside].index(message.id)
            return beside[(at + 1) % len(beside)]
    return None


def place(thread: Thread) -> tuple[int, int]:
    """Which of how many branches one is on, counted by their ends."""
    parents = {message.parent_id for message in thread.messages()}
    ends = [message.id for message in thread.messages() if message.id not in parents]
    return (ends.index(thread.tail) + 1 if thread.tail in ends else 1), len(ends)


def draw(thread: Thread, width: int) -> list[Row]:
    """The whole tree, a message a row; a fork is drawn where there is one, and nowhere else."""
    return list(_Drawing(thread, width).below(None, ""))


class _Drawing:
    def __init__(self, thread: Thread, width: int) -> None:
        self._children: dict[str | None, list[Message]] = {}
        known = {message.id for message in thread.messages()}
        for message in thread.messages():
            parent = message.parent_id if message.parent_id in known else None
            self._children.setdefault(parent, []).append(message)
        self._number = {answer.id: n for n, answer in enumerate(numbered(thread), start=1)}
        self._here = {message.id for message in thread.branch()}
        self._tail = thread.tail
        self._width = width

    def below(self, parent: str | None, indent: str) -> Iterator[Row]:
        """The messages under a parent. A chain goes down without recursion: chats are long."""
        while len(beneath := self._children.get(parent, [])) == 1:
            yield self._row(beneath[0], indent)
            parent = beneath[0].id
        for number, message in enumerate(beneath, start=1):
            last = number == len(beneath)
            yield self._row(message, indent + ("└─" if last else "├─"))
            yield from self.below(message.id, indent + ("  " if last else "│ "))

    def _row(self, message: Message, indent: str) -> Row:
        here = message.id in self._here
        mark = f"{self._number[message.id]} " if message.id in self._number else "› "
        after = _remark(message) + (" ← here" if message.id == self._tail else "")
        room = max(LEAST, self._width - len(indent) - len(mark) - len(after) - 1)
        return [
            ("class:dim", indent),
            ("class:name" if here else "class:dim", mark),
            ("" if here else "class:dim", _short(message.content or "", room)),
            ("class:good" if message.id == self._tail else "class:dim", after),
        ]


def _short(text: str, room: int) -> str:
    line = in_one_line(text)
    head, rest = cut(line, room)
    return f"{cut(line, room - 1)[0]}…" if rest else head


def _remark(message: Message) -> str:
    match message.state:
        case "pending" | "in_progress":
            return " (being written)"
        case "cancelled":
            return " (stopped)"
        case "aborted_by_worker" | "timeout":
            return " (failed)"
        case _:
            return ""
