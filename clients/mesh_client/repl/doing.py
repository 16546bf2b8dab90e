"""What the slash commands do. What a line means is in `commands`; how one talks, in `talking`."""

from collections.abc import Awaitable, Callable

from mesh_client import files
from mesh_client.errors import MeshClientError
from mesh_client.repl import saying, tree
from mesh_client.repl.commands import COMMANDS, KEYS, Command
from mesh_client.repl.markdown.rows import cut
from mesh_client.repl.parameters import PARAMETERS, setting
from mesh_client.repl.session import Question, Session
from mesh_client.repl.talking import Talking
from mesh_client.terminal import in_one_line


class Doing:
    """The commands, by name."""

    def __init__(self, session: Session, talking: Talking) -> None:
        self._session = session
        self._talking = talking
        self._do: dict[str, Callable[[str], Awaitable[None]]] = {
            "help": self._help,
            "new": self._new,
            "chats": self._chats,
            "resume": self.resume,
            "attach": self._attach,
            "detach": self._detach,
            "model": self._model,
            "system": self._system,
            "set": self._set,
            "retry": self._retry,
            "edit": self._edit,
            "tree": self._tree,
            "branch": self._branch,
            "file": self._file,
            "title": self._title,
            "export": self._export,
            "quit": self._quit,
        }

    async def run(self, command: Command, argument: str) -> None:
        """Do what a command says; raises MeshClientError."""
        await self._do[command.name](argument)

    # --- chats ------------------------------------------------------------------------------------

    async def _new(self, argument: str) -> None:
        self._session.chat = None
        saying.note("a new chat")

    async def _chats(self, argument: str) -> None:
        chats = await self._session.list_chats()
        if not chats:
            saying.note("no chats yet")
            return
        room = max(20, saying.width() - 36)
        lines = []
        for number, chat in enumerate(chats, start=1):
            title = cut(in_one_line(chat.title or "untitled"), room)[0]
            when = chat.modified_at.astimezone().strftime("%d %b %H:%M") if chat.modified_at else ""
            lines.append((f"{number:>2}", chat.id[:8], title, when))
        saying.table(lines, "class:name", "class:dim", "", "class:dim")

    async def resume(self, argument: str) -> None:
        """Go on with a chat: what was said so far is shown, and what is being said followed."""
        chat = await self._session.resume(argument)
        running = chat.running()
        for message in chat.messages:
            if running is None or message.id != running.id:
                saying.message(message)
                saying.blank()
        if running is not None:
            await self._talking.follow(running)

    async def _attach(self, argument: str) -> None:
        if await self._talking.attach():
            return
        chat = self._session.talked()
        await chat.refresh()
        running = chat.running()
        if running is None:
            raise _wrong("Nothing is being answered here; /resume goes on with another chat.")
        await self._talking.follow(running)

    async def _detach(self, argument: str) -> None:
        raise _wrong("Nothing is being answered; /detach leaves an answer while it is written.")

    async def _title(self, argument: str) -> None:
        if not argument:
            raise _wrong("Give the title: /title TEXT.")
        await self._session.talked().rename(argument)
        saying.note(f"this chat is now called {argument}")

    async def _export(self, argument: str) -> None:
        chat = self._session.talked()
        await chat.refresh()
        saying.note(f"written to {files.export(chat.info, chat.thread, argument)}")

    # --- how to answer ----------------------------------------------------------------------------

    async def _model(self, argument: str) -> None:
        if argument:
            await self._session.choose(argument)
            saying.note(f"{argument} answers from now on")
            return
        await self._session.refresh()
        lines = []
        for model in self._session.known.models:
            mark = "●" if model.id == self._session.shown_model else " "
            reads = f"reads {model.context_length:,} tokens" if model.context_length else ""
            lines.append((mark, model.id, reads if model.available else "no worker now"))
        if not lines:
            saying.note("no model was ever served here; `mesh worker` adds one")
            return
        saying.table(lines, "class:good", "class:name", "class:dim")

    async def _system(self, argument: str) -> None:
        if argument:
            self._session.system = "" if argument == "-" else argument
        saying.note(f"system prompt: {self._session.system or 'none'}")

    async def _set(self, argument: str) -> None:
        values = self._session.parameters
        if argument:
            name, value = setting(argument)
            values.pop(name, None)
            if value is not None:
                values[name] = value
        shown = [
            (name, f"{values[name]:g}" if name in values else "-", parameter.meaning)
            for name, parameter in PARAMETERS.items()
        ]
        saying.table(shown, "class:name", "", "class:dim")

    async def _file(self, argument: str) -> None:
        if argument == "-":
            self._session.files.clear()
        elif argument:
            self._session.files.append(files.attach(argument))
        attached = self._session.files
        for file in attached:
            saying.note(f"{file.name}, {len(file.text):,} characters, goes with the next question")
        if not attached:
            saying.note("no file is attached")

    # --- branches ---------------------------------------------------------------------------------

    async def _retry(self, argument: str) -> None:
        self._session.talked()
        if argument:
            await self._session.check_model(argument)
        line = f"/retry {argument}".strip()
        await self._talking.converse(Question(line, None, model=argument))

    async def _edit(self, argument: str) -> None:
        asked = self._session.talked().thread.last_question()
        if argument:
            await self._talking.converse(Question(f"/edit {argument}", argument, edits=True))
        else:
            self._talking.offer(f"/edit {asked.content or ''}")

    async def _tree(self, argument: str) -> None:
        chat = self._session.talked()
        await chat.refresh()
        self._session.known.answers = tree.numbered(chat.thread)
        saying.rows(tree.draw(chat.thread, saying.width()))

    async def _branch(self, argument: str) -> None:
        chat = self._session.talked()
        await chat.refresh()
        answers = tree.numbered(chat.thread)
        self._session.known.answers = answers
        wanted = tree.next_branch(chat.thread)
        if argument:
            number = int(argument) if argument.isdecimal() else 0
            if not 1 <= number <= len(answers):
                raise _wrong(f"There is no answer {argument}; /tree numbers them.")
            wanted = answers[number - 1]
        if wanted is None:
            raise _wrong("This chat has one branch; /retry and /edit make others.")
        await chat.switch(wanted.id)
        for message in chat.messages[-2:]:
            saying.message(message)
            saying.blank()

    # --- the sitting ------------------------------------------------------------------------------

    async def _help(self, argument: str) -> None:
        wanted = argument.removeprefix("/")
        chosen = [command for command in COMMANDS.values() if not wanted or command.name == wanted]
        if not chosen:
            raise _wrong(f"There is no /{wanted}; /help lists the commands.")
        saying.table([(c.usage, c.meaning) for c in chosen], "class:name", "")
        if not wanted:
            saying.blank()
            saying.table([*KEYS], "class:name", "")

    async def _quit(self, argument: str) -> None:
        self._talking.quit()


def _wrong(sentence: str) -> MeshClientError:
    return MeshClientError(sentence, code="bad_request")
