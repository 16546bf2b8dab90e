"""Talking: asks, shows each answer until it ends or is left, and keeps what is typed meanwhile.

A question is never lost: what nobody accepted, or what was to be asked after an answer that did not
come to its end, stands in the input line again.
"""

from collections.abc import Callable

from prompt_toolkit.formatted_text import StyleAndTextTuples

from mesh_client.async_client import AsyncAnswer
from mesh_client.errors import MeshClientError
from mesh_client.events import Failed
from mesh_client.objects import Message
from mesh_client.repl import saying
from mesh_client.repl.asking import Asking
from mesh_client.repl.background import Background
from mesh_client.repl.commands import at_once
from mesh_client.repl.keys import Interrupts
from mesh_client.repl.prompt import Writing
from mesh_client.repl.session import Question, Session
from mesh_client.repl.toolbar import Status
from mesh_client.repl.view import AnswerView


class Talking:
    """The answers of one sitting. left: the user leaves after this turn."""

    def __init__(
        self,
        session: Session,
        status: Status,
        writing: Writing,
        interrupts: Interrupts,
        *,
        toolbar: Callable[[], StyleAndTextTuples],
        hint: Callable[[str], None],
    ) -> None:
        self.left = False
        self.background = Background(hint)
        self._session = session
        self._status = status
        self._writing = writing
        self._interrupts = interrupts
        self._toolbar = toolbar
        self._draft = ""
        self._waiting: list[str] = []

    # --- what is to be asked ----------------------------------------------------------------------

    def sent_ahead(self) -> str | None:
        """The next line of those that were sent while an answer was written, as if typed now."""
        if not self._waiting:
            return None
        line = self._waiting.pop(0)
        self._writing.history.append_string(line)
        saying.question(line)
        return line

    def take_draft(self) -> str:
        """What stands in the input line already."""
        draft, self._draft = self._draft, ""
        return draft

    def offer(self, line: str) -> None:
        """Put a line where it can be changed and sent."""
        self._draft = line

    def unsent(self) -> list[str]:
        """What was typed and never sent."""
        return [line for line in [*self._waiting, self._draft] if line]

    def quit(self) -> None:
        """Leave after this turn."""
        self.left = True

    # --- answers ----------------------------------------------------------------------------------

    async def converse(self, question: Question) -> None:
        """Ask, and show the answer. One that is still running in this chat is read to its end."""
        chat = self._session.chat
        if chat is not None and question.text is not None and (running := chat.running()):
            self.background.forget(running.id)
            await self.follow(running)
            if self.left or running.id in self.background:
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
        answer = self.background.last()
        if answer is None:
            return False
        self._session.chat = answer.chat
        saying.question(answer.chat.thread.last_question().content or "")
        await self.follow(answer)
        return True

    # --- showing ----------------------------------------------------------------------------------

    async def _show(self, asking: Asking) -> None:
        """Be on screen until the answer has ended, and say so where it did not end well."""
        view = self._view(asking)
        saying.blank()
        try:
            await view.run(asking.run(view))
        finally:
            self.left = view.parted == "left"
            self._draft = view.draft
            self._waiting = view.queued + self._waiting
        if view.parted == "detached":
            self._detached(asking)
        elif not self.left:
            self._say_end(asking)

    def _view(self, asking: Asking) -> AnswerView:
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
            self._writing,
            self.take_draft(),
            interrupt=interrupt,
            at_once=do_at_once,
            before_parting=asking.heard,
        )
        return view

    def _detached(self, asking: Asking) -> None:
        if asking.answer is not None:
            self.background.add(asking.answer)
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
            _remark(asking.end.message)
            self._session.answered(asking.end.message)
            self._status.model = self._session.shown_model

    def _hold_back(self) -> None:
        """After an answer that did not come to its end, what was sent ahead is looked at again."""
        self._draft = "\n".join(self.unsent())
        self._waiting = []

    def _take_back(self, question: Question) -> None:
        """Put a question that nobody accepted where it can be sent again."""
        self._waiting.insert(0, question.line)
        self._hold_back()


def _remark(message: Message) -> None:
    """Say what of an answer or of its conversation is missing."""
    if message.truncated:
        saying.note(message.beyond_context)
    if message.finish == "length":
        saying.note("cut off at the limit of tokens")
