"""Questions and answers as the Markdown that stays in a notebook. Pure."""

import re
from html import escape
from itertools import pairwise

from mesh_client.notebook.answer import Answer
from mesh_client.notebook.live import last_line
from mesh_client.objects import Message

LONGEST_QUESTION = 2000
"""Characters of a question that are repeated; who pasted a book has it already."""

_FENCE = re.compile(r"^ {0,3}(`{3,}|~{3,})", re.M)

CUT = {
    "cancelled": "stopped",
    "timeout": "not finished by its deadline",
    "aborted_by_worker": "failed",
}


def answer_markdown(answer: Answer) -> str:
    """An answer alone, with its figures; its question stands in the cell."""
    line = last_line(answer)
    below = line.text
    if answer.state == "cancelled":
        below = f"{line.text} · {answer.model}" if answer.model else line.text
    if line.tone:
        return "\n\n".join(filter(None, [closed(answer.text), warning(line.text)]))
    return "\n\n".join(filter(None, [closed(answer.text), small(below)]))


def branch_markdown(messages: list[Message]) -> str:
    """A branch of a chat, questions quoted, answers as their model wrote them."""
    unfinished = messages[-1].id if messages and messages[-1].unfinished else None
    asked = {old.id for old, new in pairwise(messages) if new.id == unfinished}
    return "\n\n".join(
        message_markdown(message)
        for message in messages
        if message.id != unfinished and message.id not in asked
    )


def message_markdown(message: Message) -> str:
    """One message of a chat."""
    if message.role == "prompter":
        return quoted(message.content or "")
    return "\n\n".join(filter(None, [closed(message.content or ""), _below(message)]))


def _below(message: Message) -> str:
    if message.error:
        return warning(message.error)
    return small(figures(message))


def figures(message: Message) -> str:
    """An answer's figures in a line."""
    parts = [
        message.model,
        CUT.get(message.state, ""),
        f"{message.usage.completion_tokens} tokens" if message.usage else "",
    ]
    if message.usage and message.timings and message.timings.generate > 0:
        speed = message.usage.completion_tokens / message.timings.generate
        parts.append(f"{speed:.0f} tokens/s")
    if message.worker:
        parts.append(f"on {message.worker}")
    return " · ".join(filter(None, parts))


def quoted(question: str) -> str:
    """What a person wrote, as a quotation."""
    left = len(question) - LONGEST_QUESTION
    text = closed(question[:LONGEST_QUESTION])
    if left > 0:
        text += f"\n\n… and {left:,} more characters"
    return "\n".join(f"> {line}".rstrip() for line in text.splitlines())


def closed(text: str) -> str:
    """The text with an open code block closed, so that it does not swallow what follows."""
    fence = ""
    for found in _FENCE.finditer(text):
        mark = found[1]
        if not fence:
            fence = mark
        elif mark[0] == fence[0] and len(mark) >= len(fence):
            fence = ""
    return f"{text.rstrip()}\n{fence}" if fence else text.rstrip()


def small(text: str) -> str:
    return f"<small>{escape(text)}</small>" if text else ""


def warning(sentence: str) -> str:
    return f"⚠️ **{escape(sentence)}**"
