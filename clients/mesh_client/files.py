"""Text files that go with a question, and chats that become files. Reads and writes them."""

import re
from pathlib import Path
from typing import NamedTuple

import msgspec

from mesh_client.errors import MeshClientError
from mesh_client.objects import ChatInfo, Message
from mesh_client.thread import Thread

LARGEST = 1 << 20
"""Bytes of the largest file that is read. What a mesh accepts is its own setting, and less."""


class UnfitFile(MeshClientError):
    """A file cannot be read, sent or written; the sentence names it and says what would do."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence, code="bad_request")


class Attached(NamedTuple):
    """A file that goes with the next question."""

    name: str
    text: str

    def quoted(self) -> str:
        """As it stands in the question: a block of code under its name."""
        marks = "`" * max(3, 1 + max(map(len, re.findall(r"`+", self.text)), default=0))
        language = Path(self.name).suffix.removeprefix(".")
        return f"{self.name}:\n\n{marks}{language}\n{self.text.rstrip()}\n{marks}"


def attach(name: str) -> Attached:
    """Read a text file."""
    path = Path(name).expanduser()
    try:
        if path.is_file() and path.stat().st_size > LARGEST:
            raise UnfitFile(f"{name} has more than {LARGEST >> 20} MiB; send a part of it.")
        text = path.read_bytes().decode()
    except UnicodeDecodeError as error:
        raise UnfitFile(
            f"{name} is no UTF-8 text (byte {error.start}); only texts can be sent."
        ) from error
    except OSError as error:
        raise UnfitFile(f"{name} cannot be read: {error.strerror}.") from error
    if not text.strip():
        raise UnfitFile(f"{name} is empty.")
    return Attached(path.name, text)


def with_files(text: str, files: list[Attached]) -> str:
    """A question behind its files."""
    return "\n\n".join([*(file.quoted() for file in files), text])


class Exported(msgspec.Struct, frozen=True, kw_only=True):
    """A chat as a JSON file. messages: of all branches, as the gateway tells them; `parent_id`
    makes them a tree; branch: the ids of those that one was on."""

    id: str
    title: str | None
    branch: list[str]
    messages: list[Message]


def as_json(info: ChatInfo, thread: Thread) -> str:
    """The whole tree."""
    branch = [message.id for message in thread.branch()]
    whole = Exported(id=info.id, title=info.title, branch=branch, messages=thread.messages())
    return msgspec.json.format(msgspec.json.encode(whole)).decode() + "\n"


def as_markdown(info: ChatInfo, thread: Thread) -> str:
    """The branch that one is on, for people."""
    parts = [f"# {info.title or 'A chat'}"]
    for message in thread.branch():
        who = "You" if message.role == "prompter" else message.model or "Answer"
        said = (message.content or "").strip()
        parts.append(f"## {who}\n\n{said}" if said else f"## {who}")
    return "\n\n".join(parts) + "\n"


def export(info: ChatInfo, thread: Thread, name: str) -> Path:
    """Write a chat, by the name's ending as JSON or Markdown; what is there is not overwritten."""
    path = Path(name or f"{_slug(info.title)}.md").expanduser()
    if path.suffix not in (".md", ".json"):
        raise UnfitFile(f"A chat is written as .md or .json; try {path.name}.md.")
    text = as_json(info, thread) if path.suffix == ".json" else as_markdown(info, thread)
    try:
        file = path.open("x", encoding="utf-8")
    except FileExistsError as error:
        raise UnfitFile(f"{path} is there already; give another name.") from error
    except OSError as error:
        raise UnfitFile(f"{path} cannot be written: {error.strerror}.") from error
    try:
        with file:
            file.write(text)
    except OSError as error:
        path.unlink()
        raise UnfitFile(f"{path} cannot be written: {error.strerror}.") from error
    return path


def _slug(title: str | None) -> str:
    words = re.findall(r"\w+", (title or "").lower())
    return "-".join(words)[:40].strip("-") or "chat"
