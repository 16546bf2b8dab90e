"""`Chat`: what a notebook's code talks to. How it looks is decided in `showing` and `panel`."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from concurrent.futures import Future
from contextlib import suppress
from secrets import token_hex
from typing import TYPE_CHECKING, Unpack

from mesh_client.async_client import AsyncAnswer, AsyncChat
from mesh_client.calls import AnswerOptions
from mesh_client.errors import MeshClientError, Rejected
from mesh_client.notebook import views
from mesh_client.notebook.answer import Answer
from mesh_client.notebook.mesh import Mesh, here
from mesh_client.notebook.patience import Patience
from mesh_client.notebook.reading import Begin, read
from mesh_client.notebook.showing import show
from mesh_client.objects import Message
from mesh_client.thread import Thread

if TYPE_CHECKING:
    import pandas as pd

    from mesh_client.notebook.panel import Panel


class Chat:
    """A chat in a notebook. Shown, it is a window to talk in; from code:

        chat = Chat(model="mesh-demo", temperature=0)
        chat.ask("What colour is grass?")             # streams into the cell
        await chat.aask("And the sky?")               # the same, awaited
        for token in chat.stream("And snow?"): ...
        Chat.resume(chat.id)                          # here or elsewhere, mid-answer too

    mesh: the gateway to ask, by default the one that MESH_URL names; options: as for
    `mesh_client.Chat.ask`, for every question. It is begun in the mesh with its first question.
    """

    def __init__(self, *, mesh: Mesh | None = None, **options: Unpack[AnswerOptions]) -> None:
        self.mesh = mesh or here()
        self.options = options
        self.answers: list[Answer] = []
        """What this object has asked, or read along, oldest first."""
        self._remote: AsyncChat | None = None
        self._key = token_hex(16)
        """What the mesh makes this chat by, once, however often it is asked to."""
        self._watchers: list[Callable[[], None]] = []
        self._panel: Panel | None = None

    @classmethod
    def resume(
        cls, chat_id: str, *, mesh: Mesh | None = None, **options: Unpack[AnswerOptions]
    ) -> "Chat":
        """Open a chat of the mesh; an answer that is being written is read along."""
        chat = cls(mesh=mesh, **options)
        chat.mesh.background.wait(chat.open(chat_id))
        return chat

    @property
    def id(self) -> str:
        """By which any client opens this chat; "" before its first question."""
        return self._remote.id if self._remote else ""

    @property
    def title(self) -> str:
        """As lists show it; "" before its first question."""
        return (self._remote.info.title or "") if self._remote else ""

    def rename(self, title: str) -> None:
        """Give the chat another title."""
        remote = self._opened()
        self.mesh.background.wait(remote.rename(title))
        self.mesh.background.wait(remote.refresh())

    @property
    def thread(self) -> Thread:
        """Its messages as a tree."""
        return self._remote.thread if self._remote else Thread()

    @property
    def messages(self) -> list[Message]:
        """The current branch, from the first message to the last."""
        return self.thread.branch()

    @property
    def running(self) -> Answer | None:
        """The answer that is being written now, if this object reads it."""
        return next((answer for answer in reversed(self.answers) if not answer.ended), None)

    def __repr__(self) -> str:
        return f"<Chat {self.id or 'without a question yet'}: {len(self.messages)} messages>"

    def messages_df(self) -> "pd.DataFrame":
        """All messages of all branches, with the figures of the answers."""
        from mesh_client.notebook import frames

        return frames.messages(self.thread)

    # --- asking -----------------------------------------------------------------------------------

    def ask(self, content: str, *, show: bool = True, **options: Unpack[AnswerOptions]) -> Answer:
        """Ask, stream the answer into the cell, and wait for its end.

        Raises MeshClientError. An interrupted cell stops the answer and waits for the worker's
        acknowledgement.
        """
        return self._shown(self.start(content, **options), show)

    async def aask(
        self, content: str, *, show: bool = True, **options: Unpack[AnswerOptions]
    ) -> Answer:
        """`ask` for event loops; who cancels it stops the answer."""
        return await self._ashown(self.start(content, **options), show)

    def stream(self, content: str, **options: Unpack[AnswerOptions]) -> Iterator[str]:
        """Ask, and yield the pieces of the answer as they come. Leaving early stops it."""
        answer = self.start(content, **options)
        try:
            seen = 0
            while not (answer.ended and seen == len(answer.pieces)):
                version = self.mesh.background.wait(_more(answer, seen))
                pieces = answer.pieces[seen:version]
                seen += len(pieces)
                yield from pieces
            answer.wait()
        finally:
            if not answer.ended:
                answer.stop()

    async def astream(
        self, content: str, **options: Unpack[AnswerOptions]
    ) -> AsyncGenerator[str, None]:
        """`stream` for event loops."""
        answer = self.start(content, **options)
        try:
            seen = 0
            while not (answer.ended and seen == len(answer.pieces)):
                until = await self.mesh.background.await_(_more(answer, seen))
                pieces = answer.pieces[seen:until]
                seen += len(pieces)
                for piece in pieces:
                    yield piece
            await answer.await_()
        finally:
            if not answer.ended:
                answer.stop_soon()

    def start(self, content: str, **options: Unpack[AnswerOptions]) -> Answer:
        """Ask, and return at once; nothing is shown. The answer goes on in the background."""
        return self._begun(content, lambda merged: self._ask(content, merged), options)

    def start_patiently(
        self, content: str, patience: Patience, **options: Unpack[AnswerOptions]
    ) -> Answer:
        """`start` that is no more refused than the patience says."""

        async def begin(merged: AnswerOptions) -> AsyncAnswer:
            keys: dict[str, str] = {}  # by chat: what was asked in one may stand there already

            async def ask() -> AsyncAnswer:
                keyed = AnswerOptions(**merged)
                keyed["key"] = keys.setdefault(self._key, token_hex(16))
                return await self._ask(content, keyed)

            return await patience.take(ask)

        return self._begun(content, begin, options)

    def retry(self, *, show: bool = True, **options: Unpack[AnswerOptions]) -> Answer:
        """Have the last question answered again, beside the answers it has already."""
        return self._shown(self.start_retry(**options), show)

    def start_retry(self, **options: Unpack[AnswerOptions]) -> Answer:
        """`retry` that returns at once and shows nothing."""
        remote = self._opened()
        question = self.thread.last_question().content or ""
        return self._begun(question, lambda merged: remote.retry(**merged), options)

    def edit(self, content: str, *, show: bool = True, **options: Unpack[AnswerOptions]) -> Answer:
        """Ask something in place of the last question, which stays beside it as a branch."""
        return self._shown(self.start_edit(content, **options), show)

    def start_edit(self, content: str, **options: Unpack[AnswerOptions]) -> Answer:
        """`edit` that returns at once and shows nothing."""
        remote = self._opened()
        return self._begun(content, lambda merged: remote.edit(content, **merged), options)

    def stop(self) -> None:
        """Stop what is being written, and wait until its worker has."""
        if (answer := self.running) is not None:
            answer.stop()

    def switch(self, message_id: str) -> None:
        """Go on with the newest branch through this message, here and for other clients."""
        self.mesh.background.wait(self.switch_to(message_id))

    # --- showing ----------------------------------------------------------------------------------

    def _ipython_display_(self) -> None:
        if not views.widgets():
            print(f"{self!r}\nA window to talk in needs: pip install 'inference-mesh[notebook]'")
            return
        from mesh_client.notebook.panel import Panel

        self._panel = Panel(self)
        self._panel.show()

    def watch(self, changed: Callable[[], None]) -> None:
        """Call this, on the client's loop, when an answer begins or ends or the branch changes."""
        self._watchers.append(changed)

    def _shown(self, answer: Answer, visibly: bool) -> Answer:
        if visibly:
            showing = show(answer, self.mesh)
            try:
                answer.wait()
            finally:
                showing.finish()
        return answer.wait()

    async def _ashown(self, answer: Answer, visibly: bool) -> Answer:
        if visibly:
            showing = show(answer, self.mesh)
            try:
                await answer.await_()
            finally:
                await showing.afinish()
        return await answer.await_()

    # --- on the client's loop ---------------------------------------------------------------------

    async def open(self, chat_id: str) -> None:
        """Open another chat in place of this one."""
        self._remote = await self.mesh.client.chat(chat_id)
        self.answers = []
        running = self._remote.running()
        if running is not None:
            self._attach(running)
        self._changed()

    def leave(self) -> None:
        """The next question begins a new chat."""
        self._forget()
        self.answers = []
        self._changed()

    async def delete(self) -> None:
        """Delete it from the mesh, if it was begun."""
        if self._remote is not None:
            await self._remote.delete()

    async def switch_to(self, message_id: str) -> None:
        """`switch` on the client's loop."""
        await self._opened().switch(message_id)
        self._changed()

    def _attach(self, running: AsyncAnswer) -> None:
        questions = {message.id: message.content or "" for message in self.messages}
        (answering,) = [m for m in self.messages if m.id == running.id]
        question = questions.get(answering.parent_id or "", "")

        async def begin() -> AsyncAnswer:
            return running

        self._start(question, begin, answering.model or self.options.get("model", ""))

    def _begun(
        self,
        question: str,
        begin: Callable[[AnswerOptions], Awaitable[AsyncAnswer]],
        options: AnswerOptions,
    ) -> Answer:
        """An answer that is begun with these options, and the chat's own where they say nothing."""
        merged = self._merged(options)
        return self._start(question, lambda: begin(merged), merged.get("model", ""))

    def _start(self, question: str, begin: Begin, model: str) -> Answer:
        background = self.mesh.background
        answer = Answer(question, background, model)
        self.answers.append(answer)
        reading: Future[None] = background.start(self._read(answer, begin))
        answer.read_by(reading)
        return answer

    async def _read(self, answer: Answer, begin: Begin) -> None:
        self._changed()
        await read(answer, begin)
        self._changed()

    async def _ask(self, content: str, options: AnswerOptions) -> AsyncAnswer:
        if self._remote is None:
            self._remote = await self.mesh.client.new_chat(key=self._key)
        remote = self._remote
        try:
            return await remote.ask(content, **options)
        except Rejected:
            if not remote.messages:  # nothing to come back to
                with suppress(MeshClientError):
                    await remote.delete()
                    self._forget()
            raise

    def _forget(self) -> None:
        """The next question begins another chat."""
        self._remote, self._key = None, token_hex(16)

    def _opened(self) -> AsyncChat:
        if self._remote is None:
            raise MeshClientError("Nothing was asked in this chat yet.", code="bad_request")
        return self._remote

    def _merged(self, options: AnswerOptions) -> AnswerOptions:
        merged = AnswerOptions()
        merged.update(self.options)
        merged.update(options)
        return merged

    def _changed(self) -> None:
        for watcher in self._watchers:
            watcher()


async def _more(answer: Answer, seen: int) -> int:
    """Wait for more pieces than were seen, or the end; returns how many there are."""
    while len(answer.pieces) == seen and not answer.ended:
        await answer.changed(answer.version)
    return len(answer.pieces)
