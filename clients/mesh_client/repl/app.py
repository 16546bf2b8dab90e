"""The REPL: reads a line, does what it says, shows what comes. The wiring of this folder.

What a line means is in `commands`, what is remembered in `session`, how an answer is followed in
`asking`, and what the screen looks like in `view` and `toolbar`.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from prompt_toolkit import PromptSession, print_formatted_text
from prompt_toolkit.auto_suggest import AutoSuggestFromHistory
from prompt_toolkit.filters import Condition, to_filter
from prompt_toolkit.formatted_text import FormattedText, StyleAndTextTuples
from prompt_toolkit.history import FileHistory
from prompt_toolkit.styles import Style

from mesh_client.async_client import AsyncAnswer, AsyncClient
from mesh_client.errors import MeshClientError, Refused
from mesh_client.events import Failed
from mesh_client.objects import Message
from mesh_client.repl.asking import Asking
from mesh_client.repl.commands import COMMANDS, KEYS, Command, Do, Say, Unknown, parse, typed
from mesh_client.repl.completion import CommandCompleter
from mesh_client.repl.keys import Interrupts, input_keys
from mesh_client.repl.session import Question, Session
from mesh_client.repl.toolbar import Status, fragments
from mesh_client.repl.view import AnswerView
from mesh_client.terminal import printable

STYLE = Style.from_dict({
    "prompt": "bold",
    "note": "italic",
    "error": "bold",
    "dim": "",
    "model": "bold",
    "offline": "bold",
    "bottom-toolbar": "reverse",
})  # fmt: skip

LOOK = 3.0
"""Seconds between two looks at whether the gateway is there, while nothing is asked."""


class Repl:
    """One sitting. `run` returns when the user leaves."""

    def __init__(self, client: AsyncClient, watcher: AsyncClient, history: Path) -> None:
        self._session = Session(client)
        self._watcher = watcher
        self._status = Status()
        self._interrupts = Interrupts()
        self._draft = ""
        self._waiting: list[str] = []
        self._left = False
        self._prompt = self._make_prompt(history)
        self._do: dict[str, Callable[[str], Awaitable[None]]] = {
            "help": self._help,
            "new": self._new,
            "chats": self._chats,
            "resume": self._resume,
            "model": self._model,
            "system": self._system,
            "retry": self._retry,
            "quit": self._quit,
        }

    async def run(self, *, model: str = "", system: str = "", resume: str | None = None) -> None:
        """Greet, perhaps go on with a chat, and talk until the user leaves."""
        self._session.model, self._session.system = model, system
        await self._greet()
        # Raw throughout: keys that fall between two pictures wait as they are for the next one.
        with self._prompt.input.raw_mode():
            if resume is not None:
                await self._guarded(self._resume(resume))
            await self._talk()
        self._say_goodbye()

    async def _talk(self) -> None:
        watching = asyncio.create_task(self._watch())
        try:
            while not self._left:
                await self._turn()
        except EOFError:
            pass
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)

    async def _turn(self) -> None:
        line = self._sent_ahead() if self._waiting else await self._read()
        match parse(line):
            case Say(""):
                return
            case Say(text):
                await self._guarded(self._converse(Question(text)))
            case Do(command, argument):
                await self._guarded(self._run_command(command, argument))
            case Unknown(sentence):
                self._error(sentence)

    def _sent_ahead(self) -> str:
        """The next line of those that were sent while an answer was written, as if typed now."""
        line = self._waiting.pop(0)
        self._prompt.history.append_string(line)
        self._print_question(line)
        return line

    async def _read(self) -> str:
        draft, self._draft = self._draft, ""
        return await self._prompt.prompt_async(default=draft)

    async def _guarded(self, work: Awaitable[None]) -> None:
        """What the gateway refuses is said, and the sitting goes on."""
        try:
            await work
        except MeshClientError as error:
            wait = f" Wait about {error.retry_after:.0f} s." if error.retry_after else ""
            self._error(error.sentence + (wait if isinstance(error, Refused) else ""))

    # --- talking ------------------------------------------------------------------------------

    async def _converse(self, question: Question) -> None:
        asking = Asking(lambda: self._session.ask(question), self._status)
        try:
            await self._show(asking)
        except MeshClientError:
            if asking.answer is None:
                self._take_back(question)
            raise
        if asking.withdrawn:
            self._take_back(question)

    async def _follow(self, answer: AsyncAnswer) -> None:
        """Read along with an answer that is running already."""

        async def begun() -> AsyncAnswer:
            return answer

        await self._show(Asking(begun, self._status, asked=False))

    async def _show(self, asking: Asking) -> None:
        """Be on screen until the answer has ended, and say so where it did not end well."""

        def interrupt(typed: bool) -> bool:
            if self._interrupts.twice():
                return True
            if not typed:
                asking.stop()
            return False

        view = AnswerView(self._toolbar, interrupt, STYLE, self._draft)
        self._draft = ""
        try:
            await view.run(asking.run(view))
        finally:
            self._left = view.left
            self._draft = view.draft.text
            self._waiting = view.queued + self._waiting
        if asking.stopped is not None:
            self._note(f"{asking.stopped}")
            self._hold_back()
        elif isinstance(asking.end, Failed):
            self._error(asking.end.sentence)
            self._hold_back()
        elif asking.end is not None and asking.end.message is not None:
            self._remark(asking.end.message)
            self._session.answered(asking.end.message)
            self._status.model = self._session.shown_model

    def _remark(self, message: Message) -> None:
        """Say what of an answer or of its conversation is missing."""
        if message.truncated:
            self._note(f"{message.truncated} earlier messages did not fit and were left out")
        if message.finish == "length":
            self._note("cut off at the limit of tokens")

    def _hold_back(self) -> None:
        """After an answer that did not come to its end, what was sent ahead is looked at again."""
        self._draft = "\n".join([*self._waiting, *filter(None, [self._draft])])
        self._waiting = []

    def _take_back(self, question: Question) -> None:
        """Put a question that nobody accepted where it can be sent again."""
        line = "/retry" if question.text is None else typed(question.text)
        self._waiting.insert(0, line)
        self._hold_back()

    # --- commands -----------------------------------------------------------------------------

    async def _run_command(self, command: Command, argument: str) -> None:
        await self._do[command.name](argument)

    async def _help(self, argument: str) -> None:
        for command in COMMANDS.values():
            self._print(f"  {command.usage:<22} {command.meaning}")
        self._print("")
        for key, meaning in KEYS:
            self._print(f"  {key:<22} {meaning}")

    async def _new(self, argument: str) -> None:
        self._session.chat = None
        self._note("a new chat")

    async def _chats(self, argument: str) -> None:
        chats = await self._session.list_chats()
        for number, chat in enumerate(chats, start=1):
            title = printable((chat.title or "untitled").splitlines()[0])
            self._print(f"  {number:>2}  {chat.id[:8]}  {title[:60]}")
        if not chats:
            self._note("no chats yet")

    async def _resume(self, argument: str) -> None:
        chat = await self._session.resume(argument)
        running = chat.running()
        for message in chat.messages:
            if running is None or message.id != running.id:
                self._replay(message)
        if running is not None:
            await self._follow(running)

    async def _model(self, argument: str) -> None:
        if argument:
            await self._session.choose(argument)
        else:
            await self._session.refresh()
            for model in self._session.known.models:
                mark = "*" if model.id == self._session.shown_model else " "
                self._print(f"  {mark} {model.id}{'' if model.available else '  (no worker now)'}")
        self._status.model = self._session.shown_model

    async def _system(self, argument: str) -> None:
        if argument:
            self._session.system = "" if argument == "-" else argument
        self._note(f"system prompt: {self._session.system or 'none'}")

    async def _retry(self, argument: str) -> None:
        self._session.talked()
        await self._converse(Question(None))

    async def _quit(self, argument: str) -> None:
        self._left = True

    # --- the screen ---------------------------------------------------------------------------

    async def _greet(self) -> None:
        await self._session.refresh()
        self._status.model = self._session.shown_model
        self._note(f"mesh chat at {self._session.client.url}; /help lists the commands")

    def _say_goodbye(self) -> None:
        if self._session.chat is not None:
            self._note(f"go on with: mesh chat --resume {self._session.chat.id}")

    def _replay(self, message: Message) -> None:
        text = (message.content or "").rstrip("\n")
        if message.role == "prompter":
            self._print_question(text)
        else:
            self._print(printable(text))

    def _toolbar(self) -> StyleAndTextTuples:
        return fragments(self._status, time.monotonic())

    def _hint(self, text: str) -> None:
        self._status.hint = text

    def _print_question(self, text: str) -> None:
        rows = printable(text).replace("\n", "\n  ")
        _print([("class:prompt", "› "), ("", rows)])

    def _print(self, text: str) -> None:
        _print([("", text)])

    def _note(self, text: str) -> None:
        _print([("class:note", text)])

    def _error(self, text: str) -> None:
        _print([("class:error", printable(text))])

    def _make_prompt(self, history: Path) -> PromptSession[str]:
        history.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        history.touch(mode=0o600)
        prompt: PromptSession[str] = PromptSession(
            [("class:prompt", "› ")],
            multiline=True,
            prompt_continuation="  ",
            history=FileHistory(str(history)),
            auto_suggest=AutoSuggestFromHistory(),
            completer=CommandCompleter(self._session.known),
            complete_while_typing=Condition(lambda: prompt.default_buffer.text.startswith("/")),
            key_bindings=input_keys(self._interrupts, self._hint),
            bottom_toolbar=self._toolbar,
            enable_open_in_editor=True,
            style=STYLE,
        )
        # The toolbar stands right below the input, as it does while an answer is written.
        prompt.layout.current_window.dont_extend_height = to_filter(True)
        return prompt

    async def _watch(self) -> None:
        """Keep the toolbar's word on the connection true while nothing is asked."""
        while True:
            await asyncio.sleep(LOOK)
            if self._status.activity:
                continue
            try:
                self._session.known.models = await self._watcher.models()
                self._status.model = self._session.shown_model
                self._status.online = True
            except MeshClientError:
                self._status.online = False
            self._prompt.app.invalidate()


def _print(text: StyleAndTextTuples) -> None:
    print_formatted_text(FormattedText(text), style=STYLE)
