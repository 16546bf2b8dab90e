"""Completes slash commands and their arguments from what the session knows already."""

from collections.abc import Iterable

from prompt_toolkit.completion import CompleteEvent, Completer, Completion, PathCompleter
from prompt_toolkit.document import Document

from mesh_client.objects import ChatInfo, Message, Model
from mesh_client.repl.commands import COMMANDS
from mesh_client.repl.parameters import PARAMETERS


class Known:
    """What was last heard of models, chats and this chat's answers; asking the gateway at each
    key would be slow. chats: as `/chats` numbered them; recent: the newest ones."""

    def __init__(self) -> None:
        self.models: list[Model] = []
        self.chats: list[ChatInfo] = []
        self.recent: list[ChatInfo] = []
        self.answers: list[Message] = []


class CommandCompleter(Completer):
    """Names after a slash at the beginning, then what the command takes."""

    def __init__(self, known: Known) -> None:
        self._known = known
        self._paths = PathCompleter(expanduser=True)

    def get_completions(self, document: Document, event: CompleteEvent) -> Iterable[Completion]:
        line = document.text_before_cursor
        if not line.startswith("/") or "\n" in line:
            return
        name, space, argument = line[1:].partition(" ")
        if not space:
            yield from self._names(name)
        elif name in COMMANDS:
            yield from self._arguments(COMMANDS[name].argument, argument.lstrip(), event)

    def _names(self, begun: str) -> Iterable[Completion]:
        for command in COMMANDS.values():
            if command.name.startswith(begun):
                text = command.name + (" " if command.argument else "")
                yield Completion(
                    text, -len(begun), display=f"/{command.name}", display_meta=command.meaning
                )

    def _arguments(self, kind: str, begun: str, event: CompleteEvent) -> Iterable[Completion]:
        match kind:
            case "model":
                for model in self._known.models:
                    yield from _one(begun, model.id, "" if model.available else "no worker now")
            case "chat":
                yield from self._chats(begun)
            case "parameter":
                for name, parameter in PARAMETERS.items():
                    yield from _one(begun, name, parameter.meaning, after=" ")
            case "branch":
                for number, answer in enumerate(self._known.answers, start=1):
                    yield from _one(begun, str(number), " ".join((answer.content or "").split()))
            case "command":
                for command in COMMANDS.values():
                    yield from _one(begun, command.name, command.meaning)
            case "path":
                yield from self._paths.get_completions(Document(begun), event)

    def _chats(self, begun: str) -> Iterable[Completion]:
        for chat in self._known.recent:
            title = chat.title or "untitled"
            if chat.id.startswith(begun) or begun.lower() in title.lower():
                yield Completion(chat.id, -len(begun), display=title, display_meta=chat.id[:8])


def _one(begun: str, text: str, meaning: str, *, after: str = "") -> Iterable[Completion]:
    if text.startswith(begun):
        yield Completion(text + after, -len(begun), display=text, display_meta=meaning)
