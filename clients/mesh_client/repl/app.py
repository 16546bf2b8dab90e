"""The REPL: reads a line, does what it says, and keeps the toolbar true. The wiring of this folder.

What a line means is in `commands` and what it does in `doing`; how one talks is in `talking`, what
is remembered in `session`, and what the screen looks like in `view` and `toolbar`.
"""

import asyncio
import time
from collections.abc import Awaitable
from pathlib import Path

from prompt_toolkit.formatted_text import StyleAndTextTuples

from mesh.protocol.hidden import without_userinfo
from mesh_client.async_client import AsyncClient
from mesh_client.errors import MeshClientError
from mesh_client.repl import saying
from mesh_client.repl.commands import Do, Say, Unknown, parse, typed
from mesh_client.repl.completion import CommandCompleter
from mesh_client.repl.doing import Doing
from mesh_client.repl.history import open_history
from mesh_client.repl.keys import Interrupts, input_keys
from mesh_client.repl.outlook import look_at_chat, watch
from mesh_client.repl.pastes import Pastes
from mesh_client.repl.prompt import Writing, make_prompt
from mesh_client.repl.session import Question, Session
from mesh_client.repl.talking import Talking
from mesh_client.repl.toolbar import Status, fragments


class Repl:
    """One sitting. `run` returns when the user leaves."""

    def __init__(self, client: AsyncClient, watcher: AsyncClient, history: Path) -> None:
        self._session = Session(client)
        self._watcher = watcher
        self._status = Status()
        self._pastes = Pastes()
        self._history = open_history(history, self._pastes.expanded)
        completer = CommandCompleter(self._session.known)
        writing = Writing(self._history, completer, self._pastes.shown)
        interrupts = Interrupts()
        self._talking = Talking(
            self._session,
            self._status,
            writing,
            interrupts,
            toolbar=self._toolbar,
            hint=self._hint,
        )
        self._doing = Doing(self._session, self._talking)
        keys = input_keys(interrupts, self._hint, writing.pasted)
        self._prompt = make_prompt(writing, keys, self._toolbar)

    async def run(self, *, model: str = "", system: str = "", resume: str | None = None) -> None:
        """Greet, perhaps go on with a chat, and talk until the user leaves."""
        self._session.model, self._session.system = model, system
        await self._greet()
        # Raw throughout: keys that fall between two pictures wait as they are for the next one.
        with self._prompt.input.raw_mode():
            if resume is not None:
                await self._guarded(self._doing.resume(resume))
            await self._sit()
        self._say_goodbye()

    async def _sit(self) -> None:
        app = self._prompt.app
        watching = asyncio.create_task(
            watch(self._watcher, self._session, self._status, app.invalidate)
        )
        try:
            while not self._talking.left:
                await self._turn()
        except EOFError:
            pass
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
            await self._talking.background.close()

    async def _turn(self) -> None:
        line = self._talking.sent_ahead() or await self._read()
        match parse(line):
            case Say(""):
                return
            case Say(text):
                asked = Question(typed(text), self._pastes.expanded(text))
                await self._guarded(self._talking.converse(asked))
            case Do(command, argument):
                await self._guarded(self._doing.run(command, self._pastes.expanded(argument)))
            case Unknown(sentence):
                saying.error(sentence)
        saying.blank()

    async def _read(self) -> str:
        self._look_at_chat()
        return await self._prompt.prompt_async(default=self._talking.take_draft())

    async def _guarded(self, work: Awaitable[None]) -> None:
        """What the gateway refuses is said, and the sitting goes on."""
        try:
            await work
        except MeshClientError as error:
            saying.error(saying.sentence_of(error))

    # --- the screen -------------------------------------------------------------------------------

    async def _greet(self) -> None:
        await self._session.refresh()
        self._look_at_chat()
        where = without_userinfo(self._session.client.url)
        saying.rows([
            [("bold", "mesh chat"), ("class:note", f" at {where}")],
            [("class:note", "Enter sends · Ctrl-C stops the answer · /help lists the rest")],
        ])  # fmt: skip
        if (trouble := self._history.trouble) is not None:
            saying.note(f"what you ask is not remembered: {trouble}")
        saying.blank()

    def _say_goodbye(self) -> None:
        for line in self._talking.unsent():
            self._history.append_string(line)
            saying.note("not sent, but remembered:")
            saying.question(line)
        if self._session.chat is not None:
            saying.note(f"go on with: mesh chat --resume {self._session.chat.id}")

    def _toolbar(self) -> StyleAndTextTuples:
        return fragments(self._status, time.monotonic(), saying.width())

    def _hint(self, text: str) -> None:
        self._status.hint = text
        self._status.background = len(self._talking.background)
        if self._prompt.app.is_running:
            self._prompt.app.invalidate()

    def _look_at_chat(self) -> None:
        look_at_chat(self._session, self._status)
        self._status.background = len(self._talking.background)
