"""The window of a `Chat` in a notebook: what was said, what is being said, and all one can do.

What was said is Markdown above the widgets, in an output of its own, so that the notebook's own
renderer shows it and the saved notebook keeps it. Callbacks of widgets run on the kernel's thread
and only start things; everything else runs on the client's loop.
"""

import asyncio
from collections.abc import Coroutine
from typing import Any

import ipywidgets as w
from IPython.display import DisplayHandle

from mesh_client.errors import MeshClientError
from mesh_client.notebook.answer import Answer
from mesh_client.notebook.branches import choices
from mesh_client.notebook.chat import Chat
from mesh_client.notebook.live import Line, Talk, drive, last_line
from mesh_client.notebook.showing import raw, show_widget, write
from mesh_client.notebook.transcript import branch_markdown, message_markdown, small
from mesh_client.notebook.views import talk
from mesh_client.objects import ChatInfo, Model

DEFAULT = "default"
NEW = "new chat"
LISTED = 30
EDIT = ("Edit", "pencil", "Ask it differently")
LEAVE = ("Leave edit", "times", "Leave the question as it was")
"""What stands on a button, its icon, and what it does."""
LATER = 3.0
"""Seconds after which the gateway is asked again, while it is away."""
INSTEAD = "A chat is shown here while its kernel runs."


class Panel:
    """Widgets around one chat."""

    def __init__(self, chat: Chat) -> None:
        self._chat = chat
        self._view = _talk(chat)
        self._models = w.Dropdown(description="Model", options=[(DEFAULT, "")])
        self._chats = w.Dropdown(description="Chat", options=[(NEW, "")])
        self._branches = w.Dropdown(description="Branch", options=[])
        self._retry = w.Button(description="Retry", icon="refresh", tooltip="Another answer")
        self._edit = w.Button()
        self._name_edit(EDIT)
        self._aside: str | None = None
        """While the last question is worded anew, what was typed before; None: it is not."""
        self._quiet = False
        self._transcript: DisplayHandle | None = None
        self._drawing: asyncio.Task[None] | None = None
        self._wire()

    def show(self) -> None:
        """Display it in the current cell."""
        self._transcript = raw({"text/markdown": "", "text/plain": ""})
        tools = w.HBox(
            [self._models, self._chats, self._branches, self._retry, self._edit],
            layout=w.Layout(flex_flow="row wrap", grid_gap="4px"),
        )
        for dropdown in (self._models, self._chats, self._branches):
            dropdown.layout = w.Layout(width="auto", max_width="24em")
            dropdown.style = {"description_width": "initial"}
        for button in (self._retry, self._edit):
            button.layout = w.Layout(width="auto")
        show_widget(w.VBox([self._view.widget, tools]), INSTEAD)
        self._chat.watch(self._changed)
        self._start(self._begin())

    # --- what a person does, on the kernel's thread ---------------------------------------------

    def _wire(self) -> None:
        self._view.on_send(lambda text: self._start(self._send(text)))
        self._view.on_stop(self._stop)
        self._retry.on_click(lambda _: self._start(self._again()))
        self._edit.on_click(lambda _: self._start(self._edit_last()))
        self._models.observe(self._choose_model, "value")
        self._chats.observe(self._choose_chat, "value")
        self._branches.observe(self._choose_branch, "value")

    def _stop(self) -> None:
        if (answer := self._chat.running) is not None:
            answer.stop_soon()

    def _choose_model(self, change: Any) -> None:
        if change["new"]:
            self._chat.options["model"] = change["new"]
        elif not self._quiet:
            self._chat.options.pop("model", None)

    def _choose_chat(self, change: Any) -> None:
        if not self._quiet:
            self._start(self._open(change["new"]))

    def _choose_branch(self, change: Any) -> None:
        if not self._quiet and change["new"]:
            self._start(self._chat.switch_to(change["new"]))

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        self._chat.mesh.background.start(self._safely(work))

    # --- on the client's loop ---------------------------------------------------------------------

    async def _safely(self, work: Coroutine[Any, Any, None]) -> None:
        """What goes wrong is said where one types."""
        try:
            await work
        except MeshClientError as error:
            self._view.say(Line(error.sentence, "bad"))

    async def _begin(self) -> None:
        """Learn what there is to choose from, as soon as there is a gateway."""
        self._changed()
        away = False
        while True:
            try:
                models = await self._chat.mesh.client.models()
                break
            except MeshClientError as error:
                self._view.say(Line(error.sentence, "bad"))
                away = True
                await asyncio.sleep(LATER)
        self._offer_models(models)
        if away and self._chat.running is None:
            self._view.clear()
        await self._list_chats()

    async def _send(self, text: str) -> None:
        """Ask; what is typed is taken away once the mesh has it, and stays where it has not."""
        if not text.strip() or self._chat.running is not None:
            self._view.draft(text)
            return
        editing = self._aside is not None
        answer = self._chat.start_edit(text) if editing else self._chat.start(text)
        while not answer.id and not answer.ended:
            await answer.changed(answer.version)
        typed_on = self._view.typed() not in (text, "")
        if answer.id:
            if not typed_on:
                self._end_edit()
            await self._list_chats()
        elif not typed_on:
            self._view.draft(text)

    async def _again(self) -> None:
        if self._chat.running is None:
            self._chat.start_retry()

    async def _edit_last(self) -> None:
        """Word the last question anew, or leave it as it was."""
        if self._aside is not None:
            self._end_edit()
            return
        question = self._chat.thread.last_question()
        self._aside = self._view.typed()
        self._name_edit(LEAVE)
        self._view.draft(question.content or "")

    def _end_edit(self) -> None:
        """What was typed before stands there again, if a question was worded anew."""
        self._view.draft(self._aside or "")
        self._name_edit(EDIT)
        self._aside = None

    def _name_edit(self, name: tuple[str, str, str]) -> None:
        self._edit.description, self._edit.icon, self._edit.tooltip = name

    async def _open(self, chat_id: str) -> None:
        if self._aside is not None:
            self._end_edit()
        if not chat_id:
            self._chat.leave()
        elif chat_id != self._chat.id:
            await self._chat.open(chat_id)

    def _changed(self) -> None:
        """Draw what was said, and begin to draw what is being said."""
        running = self._chat.running
        messages = self._chat.messages
        if self._transcript is not None:
            write(self._transcript, self._said())
        if running is not None and (self._drawing is None or self._drawing.done()):
            self._drawing = asyncio.ensure_future(self._draw(running))
        elif running is None and self._drawing is None:
            self._view.clear()
        self._retry.disabled = self._edit.disabled = not messages or running is not None
        self._offer_branches()

    async def _draw(self, answer: Answer) -> None:
        await drive(answer, self._view)
        self._drawing = None
        self._view.turn("\n\n".join(message_markdown(m) for m in self._chat.messages[-2:]))
        if answer.error is not None or answer.state in ("failed", "cancelled"):
            self._view.say(last_line(answer))
        else:
            self._view.clear()

    def _said(self) -> str:
        said = branch_markdown(self._chat.messages)
        if not said:
            return ""
        return f"{said}\n\n{small(f'Kept in the mesh as chat {self._chat.id}')}"

    # --- what there is to choose from -------------------------------------------------------------

    def _offer_models(self, models: list[Model]) -> None:
        named = [(_name(model), model.id) for model in models]
        chosen = self._chat.options.get("model", "")
        if chosen and chosen not in {model.id for model in models}:
            named.append((f"{chosen} (unknown)", chosen))
        self._offer(self._models, [(DEFAULT, ""), *named], chosen)

    async def _list_chats(self) -> None:
        chats = await self._chat.mesh.list_chats(LISTED)
        listed = [(_title(chat), chat.id) for chat in chats]
        if self._chat.id and self._chat.id not in {chat.id for chat in chats}:
            listed.insert(0, (self._chat.id, self._chat.id))
        self._offer(self._chats, [(NEW, ""), *listed], self._chat.id)

    def _offer_branches(self) -> None:
        found = choices(self._chat.thread)
        self._branches.layout.display = "" if len(found) > 1 else "none"
        self._offer(self._branches, found, self._chat.thread.tail)

    def _offer(self, dropdown: Any, options: list[tuple[str, str]], value: str | None) -> None:
        """Change what a list offers without taking it for a person's choice."""
        values = [option[1] for option in options]
        self._quiet = True
        try:
            dropdown.options = options
            if values:
                dropdown.value = value if value in values else values[0]
        finally:
            self._quiet = False


def _talk(chat: Chat) -> Talk:
    view = talk(chat.mesh, composer=True)
    assert view is not None  # ipywidgets is imported above
    return view


def _name(model: Model) -> str:
    return model.id if model.available else f"{model.id} (not served now)"


def _title(chat: ChatInfo) -> str:
    title = " ".join((chat.title or chat.id).split())
    return title if len(title) <= 40 else f"{title[:39]}…"
