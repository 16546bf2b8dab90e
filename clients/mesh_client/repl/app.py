"""The REPL: reads a line, does what it says, shows what comes. The wiring of this folder.

What a line means is in `commands` and what it does in `doing`; what is remembered is in `session`,
how an answer is followed in `asking`, and what the screen looks like in `view` and `toolbar`.
"""

import asyncio
import time
from collections.abc import Awaitable
from pathlib import Path

from prompt_toolkit.formatted_text import StyleAndTextTuples

from mesh_client.async_client import AsyncAnswer, AsyncClient
from mesh_client.errors import MeshClientError
from mesh_client.events import Failed
from mesh_client.objects import Message
from mesh_client.repl import saying
from mesh_client.repl.asking import Asking
from mesh_client.repl.background import Background
from mesh_client.repl.commands import Do, Say, Unknown, at_once, parse, typed
from mesh_client.repl.doing import Doing
from mesh_client.repl.history import open_history
from mesh_client.repl.keys import Interrupts, input_keys
from mesh_client.repl.outlook import look_at_chat, watch
from mesh_client.repl.pastes import Pastes
from mesh_client.repl.prompt import make_prompt
from mesh_client.repl.session import Question, Session
from mesh_client.repl.theme import STYLE
from mesh_client.repl.toolbar import Status, fragments
from mesh_client.repl.view import AnswerView


class Repl:
    """One sitting. `run` returns when the user leaves."""

    def __init__(self, client: AsyncClient, watcher: AsyncClient, history: Path) -> None:
        self._session = Session(client)
        self._watcher = watcher
        self._status = Status()
        self._interrupts = Interrupts()
        self._pastes = Pastes()
        self._background = Background(self._hint)
        self._doing = Doing(self._session, self)
        self._draft = ""
        self._waiting: list[str] = []
        self._left = False
        self._history = open_history(history, self._pastes.expanded)
        keys = input_keys(self._interrupts, self._hint, self._pastes.shown)
        self._prompt = make_prompt(self._history, self._session.known, keys, self._toolbar)

    async def run(self, *, model: str = "", system: str = "", resume: str | None = None) -> None:
        """Greet, perhaps go on with a chat, and talk until the user leaves."""
        self._session.model, self._session.system = model, system
        await self._greet()
        # Raw throughout: keys that fall between two pictures wait as they are for the next one.
        with self._prompt.input.raw_mode():
            if resume is not None:
                await self._guarded(self._doing.resume(resume))
            await self._talk()
        self._say_goodbye()

    async def _talk(self) -> None:
        app = self._prompt.app
        watching = asyncio.create_task(
            watch(self._watcher, self._session, self._status, app.invalidate)
        )
        try:
            while not self._left:
                await self._turn()
        except EOFError:
            pass
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
            await self._background.close()

    async def _turn(self) -> None:
        line = self._sent_ahead() if self._waiting else await self._read()
        match parse(line):
            case Say(""):
                return
            case Say(text):
                asked = Question(typed(text), self._pastes.expanded(text))
                await self._guarded(self.converse(asked))
            case Do(command, argument):
                await self._guarded(self._doing.run(command, self._pastes.expanded(argument)))
            case Unknown(sentence):
                saying.error(sentence)
        saying.blank()

    def _sent_ahead(self) -> str:
        """The next line of those that were sent while an answer was written, as if typed now."""
        line = self._waiting.pop(0)
        self._history.append_string(line)
        saying.question(line)
        return line

    async def _read(self) -> str:
        draft, self._draft = self._draft, ""
        self._look_at_chat()
        return await self._prompt.prompt_async(default=draft)

    async def _guarded(self, work: Awaitable[None]) -> None:
        """What the gateway refuses is said, and the sitting goes on."""
        try:
            await work
        except MeshClientError as error:
            saying.error(saying.sentence_of(error))

    # --- talking ----------------------------------------------------------------------------------

    async def converse(self, question: Question) -> None:
        """Ask, and show the answer. One that is still running in this chat is read to its end."""
        chat = self._session.chat
        if chat is not None and question.text is not None and (running := chat.running()):
            self._background.forget(running.id)
            await self.follow(running)
            if self._left or running.id in self._background:
                self._take_back(question)
                return
        asking = Asking(lambda: self._session.ask(question), self._status)
        try:
            await self._show(asking)
        except MeshClientError:
            if asking.answer is None:
                self._take_back(question)
            raise
        if asking.answer is None:  # taken back, or left before anybody had it
            self._take_back(question)
        elif question.text is not None:
            self._session.files.clear()

    async def follow(self, answer: AsyncAnswer) -> None:
        """Read along with an answer that is running already."""

        async def begun() -> AsyncAnswer:
            return answer

        await self._show(Asking(begun, self._status, asked=False))

    async def attach(self) -> bool:
        """Rejoin the answer that was left last; whether there was one."""
        answer = self._background.last()
        if answer is None:
            return False
        self._session.chat = answer.chat
        saying.question(answer.chat.thread.last_question().content or "")
        await self.follow(answer)
        return True

    async def _show(self, asking: Asking) -> None:
        """Be on screen until the answer has ended, and say so where it did not end well."""

        def interrupt(typed: bool) -> bool:
            if self._interrupts.twice():
                return True
            if not typed:
                asking.stop()
            return False

        def do_at_once(line: str) -> bool:
            command = at_once(line)
            if command is None or (command.name == "quit" and view.queued):
                return False
            view.part("left" if command.name == "quit" else "detached")
            return True

        view = AnswerView(
            self._toolbar,
            interrupt,
            STYLE,
            self._draft,
            history=self._history,
            at_once=do_at_once,
            paste=self._pastes.shown,
            before_parting=asking.heard,
        )
        self._draft = ""
        saying.blank()
        try:
            await view.run(asking.run(view))
        finally:
            self._left = view.parted == "left"
            self._draft = view.draft.text
            self._waiting = view.queued + self._waiting
        if view.parted == "detached":
            self._detached(asking)
        elif not self._left:
            self._say_end(asking)

    def _detached(self, asking: Asking) -> None:
        if asking.answer is not None:
            self._background.add(asking.answer)
            saying.note(
                "it goes on without you: /attach reads along again, /new begins another chat"
            )
        self._hold_back()

    def _say_end(self, asking: Asking) -> None:
        if asking.stopped is not None:
            saying.note(f"■ {asking.stopped}")
            self._hold_back()
        elif isinstance(asking.end, Failed):
            saying.error(asking.end.sentence)
            saying.note("/retry asks again")
            self._hold_back()
        elif asking.end is not None and asking.end.message is not None:
            self._remark(asking.end.message)
            self._session.answered(asking.end.message)
            self._status.model = self._session.shown_model

    def _remark(self, message: Message) -> None:
        """Say what of an answer or of its conversation is missing."""
        if message.truncated:
            saying.note(f"{message.truncated} earlier messages did not fit and were left out")
        if message.finish == "length":
            saying.note("cut off at the limit of tokens")

    def _hold_back(self) -> None:
        """After an answer that did not come to its end, what was sent ahead is looked at again."""
        self._draft = "\n".join([*self._waiting, *filter(None, [self._draft])])
        self._waiting = []

    def _take_back(self, question: Question) -> None:
        """Put a question that nobody accepted where it can be sent again."""
        self._waiting.insert(0, question.line)
        self._hold_back()

    def offer(self, line: str) -> None:
        """Put a line where it can be changed and sent."""
        self._draft = line

    def quit(self) -> None:
        """Leave after this turn."""
        self._left = True

    # --- the screen -------------------------------------------------------------------------------

    async def _greet(self) -> None:
        await self._session.refresh()
        self._look_at_chat()
        saying.rows([
            [("bold", "mesh chat"), ("class:note", f" at {self._session.client.url}")],
            [("class:note", "Enter sends · Ctrl-C stops the answer · /help lists the rest")],
        ])  # fmt: skip
        if (trouble := self._history.trouble) is not None:
            saying.note(f"what you ask is not remembered: {trouble}")
        saying.blank()

    def _say_goodbye(self) -> None:
        for line in filter(None, [*self._waiting, self._draft]):
            self._history.append_string(line)
            saying.note("not sent, but remembered:")
            saying.question(line)
        if self._session.chat is not None:
            saying.note(f"go on with: mesh chat --resume {self._session.chat.id}")

    def _toolbar(self) -> StyleAndTextTuples:
        return fragments(self._status, time.monotonic(), saying.width())

    def _hint(self, text: str) -> None:
        self._status.hint = text
        self._status.background = len(self._background)
        if self._prompt.app.is_running:
            self._prompt.app.invalidate()

    def _look_at_chat(self) -> None:
        look_at_chat(self._session, self._status)
        self._status.background = len(self._background)
