"""`%mesh` and `%%mesh`. What they do is decided in `Chat` and `Mesh`; here is how it is said."""

import re
import shlex
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NoReturn, get_type_hints

import msgspec
from IPython.core.error import UsageError
from IPython.core.interactiveshell import InteractiveShell

from mesh.protocol.hidden import without_userinfo
from mesh_client.calls import AnswerOptions
from mesh_client.errors import MeshClientError, NotFound
from mesh_client.notebook.chat import Chat
from mesh_client.notebook.mesh import here
from mesh_client.notebook.showing import raw, show

if TYPE_CHECKING:
    import pandas as pd

FIRST = "magic"
"""The chat of those cells that name none."""

_NAME = re.compile(r"\{\{|\}\}|\{([^\W\d]\w*)\}")

HELP = """\
%mesh status            the gateway, its models and workers
%mesh chats             your newest chats
%mesh resume [CHAT]     show a chat here, by default the newest; mid-answer too
%mesh cancel [CHAT]     stop what this notebook's chats, or this one, are writing

%%mesh [MODEL] [-o key=value] [--chat NAME] [--out VAR] [--bg]
The cell is the question; {name} in it is the variable of that name, {{ and }} are braces."""


class MeshMagics:
    """The magics of one notebook, and the chats it talks in, by name."""

    def __init__(self, variables: dict[str, Any]) -> None:
        self._variables = variables
        self._chats: dict[str, Chat] = {}

    def line(self, line: str) -> Any:
        """See HELP."""
        command, *words = shlex.split(line) or ["help"]
        commands: dict[str, Callable[[str], Any]] = {
            "status": self._status,
            "chats": lambda _: here().chats_df(20)[["title", "modified_at", "id"]],
            "resume": self._resume,
            "cancel": self._cancel,
            "help": lambda _: print(HELP),
        }
        if command not in commands:
            known = ", ".join(commands)
            raise UsageError(f"%mesh {command} is not known; there are: {known}.")
        return self._said(lambda: commands[command](" ".join(words)))

    def cell(self, line: str, cell: str) -> None:
        """Ask what the cell says, and stream the answer below it."""
        asked = arguments(line)
        question = interpolated(cell.strip(), self._variables)
        if not question:
            raise UsageError("There is no question in this cell.")
        options = parsed(asked.option)
        if asked.model:
            options["model"] = asked.model
        self._said(lambda: self._ask(question, options, asked.chat, asked.out, asked.bg))

    def _ask(self, question: str, options: AnswerOptions, name: str, out: str, bg: bool) -> None:
        chat = self._chat(name)
        answer = chat.start(question, **options)
        if out:
            self._variables[out] = answer
        showing = show(answer, chat.mesh)
        if not bg:
            try:
                answer.wait()
            finally:
                showing.finish()
            if name and chat.title != name:
                chat.rename(name)

    def _chat(self, name: str) -> Chat:
        """The chat of this title: this notebook's, or the mesh's, or a new one."""
        if (name or FIRST) not in self._chats:
            known = [chat.id for chat in here().chats() if name and chat.title == name]
            self._chats[name or FIRST] = Chat.resume(known[0]) if known else Chat()
        return self._chats[name or FIRST]

    def _status(self, _: str) -> "pd.DataFrame":
        mesh = here()
        models = [
            f"`{model.id}`" if model.available else f"~~{model.id}~~" for model in mesh.models()
        ]
        where = without_userinfo(mesh.url)
        raw({"text/markdown": f"**{where}** serves {', '.join(models) or 'no model'}."})
        return mesh.workers_df()

    def _resume(self, which: str) -> Chat:
        chats = here().chats()
        if not which and not chats:
            raise UsageError("You have no chat yet; ask something with %%mesh.")
        titled = {chat.title: chat.id for chat in reversed(chats)}
        found = titled.get(which) or which or chats[0].id
        try:
            return Chat.resume(found)
        except NotFound:
            raise UsageError(
                f"There is no chat {which}: give its id or title; %mesh chats lists them."
            ) from None

    def _cancel(self, which: str) -> None:
        chats = [
            chat for name, chat in self._chats.items() if which in ("", name, chat.id)
        ] or self._elsewhere(which)
        running = [chat.running for chat in chats if chat.running]
        if not running:
            print("Nothing is being written.")
        for answer in running:
            print(f"{answer.stop() or 'It had not been begun'}.")

    def _elsewhere(self, which: str) -> list[Chat]:
        return [self._resume(which)] if which else []

    def _said(self, work: Callable[[], Any]) -> Any:
        """What the mesh refuses is said in a sentence, without a traceback."""
        try:
            return work()
        except MeshClientError as error:
            raise UsageError(error.sentence) from None


class _Arguments(ArgumentParser):
    """Says what is wrong as IPython does, and does not end the kernel."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message}\n{HELP}")


def arguments(line: str) -> Namespace:
    """What stands behind %%mesh. Raises UsageError."""
    parser = _Arguments("%%mesh", add_help=False)
    parser.add_argument("model", nargs="?", default="")
    parser.add_argument("-o", "--option", action="append", default=[])
    parser.add_argument("--chat", default="")
    parser.add_argument("--out", default="")
    parser.add_argument("--bg", action="store_true")
    return parser.parse_args(shlex.split(line))


def register(shell: InteractiveShell) -> None:
    """Give a shell the magics."""
    magics = MeshMagics(shell.user_ns)
    add: Any = shell.register_magic_function
    add(magics.line, "line", "mesh")
    add(magics.cell, "cell", "mesh")


def interpolated(text: str, variables: Mapping[str, Any]) -> str:
    """The text with each {name} replaced. Raises UsageError for names that are not there."""

    def replace(found: re.Match[str]) -> str:
        name = found[1]
        if name is None:
            return found[0][0]
        if name not in variables:
            raise UsageError(
                f"There is no variable {name}; write {{{{{name}}}}} for the braces themselves."
            )
        return str(variables[name])

    return _NAME.sub(replace, text)


def parsed(pairs: list[str]) -> AnswerOptions:
    """key=value pairs as options of an answer. Raises UsageError."""
    kinds = get_type_hints(AnswerOptions)
    found: dict[str, str] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or key not in kinds:
            raise UsageError(f"-o {pair}: give key=value with one of {', '.join(kinds)}.")
        found[key] = value
    try:
        return msgspec.convert(found, AnswerOptions, strict=False)
    except msgspec.ValidationError as error:
        raise UsageError(f"-o: {error}.") from None
