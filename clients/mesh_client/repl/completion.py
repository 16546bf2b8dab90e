"""Completes slash commands and their arguments from what the session knows already."""

from collections.abc import Iterable

from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document

from mesh_client.objects import ChatInfo, Model
from mesh_client.repl.commands import COMMANDS


class Known:
    """What was last heard of models and chats; asking the gateway at each key would be slow."""

    def __init__(self) -> None:
        self.models: list[Model] = []
        self.chats: list[ChatInfo] = []


class CommandCompleter(Completer):
    """Names after a slash at the beginning, then what the command takes."""

    def __init__(self, known: Known) -> None:
        self._known = known

    def get_completions(self, document: Document, event: CompleteEvent) -> Iterable[Completion]:
        line = document.text_before_cursor
        if not line.startswith("/") or "\n" in line:
            return
        name, space, argument = line[1:].partition(" ")
        if not space:
            yield from self._names(name)
        elif name in COMMANDS:
            yield from self._arguments(COMMANDS[name].argument, argument.lstrip())

    def _names(self, begun: str) -> Iterable[Completion]:
        for command in COMMANDS.values():
            if command.name.startswith(begun):
                text = command.name + (" " if command.argument else "")
                yield Completion(
                    text, -len(begun), display=f"/{command.name}", display_meta=command.meaning
                )

    def _arguments(self, kind: str, begun: str) -> Iterable[Completion]:
        if kind == "model":
            for model in self._known.models:
                if model.id.startswith(begun):
                    meta = "" if model.available else "no worker now"
                    yield Completion(model.id, -len(begun), display_meta=meta)
        elif kind == "chat":
            for chat in self._known.chats:
                title = chat.title or "untitled"
                if chat.id.startswith(begun) or begun.lower() in title.lower():
                    yield Completion(chat.id, -len(begun), display=title, display_meta=chat.id)
