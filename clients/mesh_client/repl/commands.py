"""The slash commands: their names, what they take and mean, and what a line that was typed is.

Pure; what they do is in `doing`.
"""

import re
from difflib import get_close_matches
from typing import Literal, NamedTuple

Argument = Literal["", "model", "chat", "text", "parameter", "branch", "path", "command"]


class Command(NamedTuple):
    """One command. `argument` says what it takes, for completion; `at_once`: it does not wait for
    the answer that is being written."""

    name: str
    argument: Argument
    usage: str
    meaning: str
    at_once: bool = False


COMMANDS = {
    command.name: command
    for command in (
        Command("help", "command", "/help [COMMAND]", "list the commands and keys"),
        Command("new", "", "/new", "begin another chat"),
        Command("chats", "", "/chats", "list your chats, newest first"),
        Command("resume", "chat", "/resume [NUMBER|ID]", "go on with a chat; without: the newest"),
        Command("detach", "", "/detach", "leave the answer running and do something else", True),
        Command("attach", "", "/attach", "read along with a running answer again"),
        Command("model", "model", "/model [NAME]", "list the models, or choose one"),
        Command("system", "text", "/system [TEXT|-]", "show, set or clear (-) the system prompt"),
        Command(
            "set", "parameter", "/set [NAME VALUE|-]", "show, set or clear (-) how to choose tokens"
        ),
        Command("retry", "model", "/retry [MODEL]", "have the last question answered again"),
        Command("edit", "text", "/edit [TEXT]", "ask the last question in other words"),
        Command("tree", "", "/tree", "show all branches of this chat"),
        Command("branch", "branch", "/branch [NUMBER]", "go to a branch; without: the next one"),
        Command("file", "path", "/file [PATH|-]", "send a text file with the next question"),
        Command("title", "text", "/title TEXT", "give this chat another title"),
        Command("export", "path", "/export [FILE]", "write this chat as .md or .json"),
        Command("quit", "", "/quit", "leave", True),
    )
}

KEYS = (
    ("Enter", "send"),
    ("Alt-Enter, Ctrl-J", "new line; pasting never sends"),
    ("Ctrl-C", "stop the answer; clear what is typed; twice: leave"),
    ("Ctrl-B", "leave the answer running and do something else"),
    ("Ctrl-D", "leave; an answer that is running goes on"),
    ("Ctrl-R, Up, Right", "search, walk through, take over what was asked before"),
    ("Ctrl-G, Ctrl-X Ctrl-E", "write in your editor"),
    ("//text", "send a text that begins with a slash"),
)


class Say(NamedTuple):
    """The line is a question."""

    text: str


class Do(NamedTuple):
    """The line is a command."""

    command: Command
    argument: str


class Unknown(NamedTuple):
    """The line looks like a command, but is none. `sentence` says so and names the nearest."""

    sentence: str


_SHAPE = re.compile(r"/([A-Za-z-]+)(?:\s+(.*))?", re.DOTALL)
_ESCAPED = re.compile(r"//+[A-Za-z-]+(?:\s.*)?", re.DOTALL)


def parse(line: str) -> Say | Do | Unknown:
    """What a line means. `/usr/bin` and the like are no commands but text, and so is what begins
    with two slashes, of which one is sent."""
    text = line.strip()
    if _ESCAPED.fullmatch(text):
        return Say(text[1:])
    found = _SHAPE.fullmatch(text)
    if found is None:
        return Say(text)
    name, argument = found.group(1).lower(), (found.group(2) or "").strip()
    if name in COMMANDS:
        return Do(COMMANDS[name], argument)
    return Unknown(
        f"There is no /{name}{_nearest(name)}; /help lists the commands, and //{name} sends it "
        "as text."
    )


def typed(text: str) -> str:
    """The line that says this text: what `parse` makes a question of again."""
    text = text.strip()
    return text if parse(text) == Say(text) else f"/{text}"


def at_once(line: str) -> Command | None:
    """The command on this line, if it is one that does not wait for the running answer."""
    meant = parse(line)
    return meant.command if isinstance(meant, Do) and meant.command.at_once else None


def _nearest(name: str) -> str:
    begun = [known for known in COMMANDS if known.startswith(name)]
    near = begun or get_close_matches(name, COMMANDS, n=1, cutoff=0.5)
    return f" (did you mean /{near[0]}?)" if near else ""


def nearest_name(name: str, known: list[str]) -> str:
    """The known name that is most like this one, or ""."""
    return next(iter(get_close_matches(name, known, n=1, cutoff=0.4)), "")
