"""The state of one sitting at the REPL: which chat, which model, what was heard. No terminal.

It asks the gateway through `AsyncClient` and keeps what completion and toolbar want to know.
"""

from contextlib import suppress
from uuid import uuid4

from mesh_client.async_client import AsyncAnswer, AsyncChat, AsyncClient
from mesh_client.calls import AnswerOptions
from mesh_client.errors import MeshClientError, Rejected, no_such_model
from mesh_client.files import Attached, with_files
from mesh_client.objects import ChatInfo, Message
from mesh_client.repl import parameters
from mesh_client.repl.commands import nearest_name
from mesh_client.repl.completion import Known

LISTED = 20
"""Chats that `/chats` shows and `/resume` knows by number."""


class Question:
    """Something to be answered, under one idempotency key however often it is sent.

    line: how it is typed again; text: what is asked, None: the last question once more;
    edits: it takes the place of the last question; model: for this turn alone, "": as ever.
    """

    def __init__(
        self, line: str, text: str | None, *, edits: bool = False, model: str = ""
    ) -> None:
        self.line = line
        self.text = text
        self.edits = edits
        self.model = model
        self.key = uuid4().hex


class Session:
    """What a sitting remembers. `chat` is None until the first question of a new chat is sent."""

    def __init__(self, client: AsyncClient, model: str = "", system: str = "") -> None:
        self.client = client
        self.chat: AsyncChat | None = None
        self.model = model
        self.system = system
        self.parameters: dict[str, float] = {}
        self.files: list[Attached] = []
        self.known = Known()
        self._answered_by = ""

    @property
    def shown_model(self) -> str:
        """The model that will answer, as far as it is known; "": the gateway's choice."""
        served = [model.id for model in self.known.models if model.available]
        likely = self._answered_by if self._answered_by in served else ""
        return self.model or likely or (served[0] if len(served) == 1 else "")

    @property
    def context_length(self) -> int | None:
        """Tokens that the shown model reads at most, where that is known."""
        lengths = {model.id: model.context_length for model in self.known.models}
        return lengths.get(self.shown_model)

    async def ask(self, question: Question) -> AsyncAnswer:
        """Send a question; sending the same one again, after a loss, does not ask twice."""
        options = self._options(question)
        try:
            return await self._send(question, options)
        except Rejected as error:
            if error.code != "model_not_found":
                raise
            raise self._unknown(options.get("model", "")) from error

    async def _send(self, question: Question, options: AnswerOptions) -> AsyncAnswer:
        if question.text is None:
            return await self.talked().retry(**options)
        text = with_files(question.text, self.files)
        if question.edits:
            return await self.talked().edit(text, **options)
        if self.chat is None:
            self.chat = await self.client.new_chat()
        try:
            return await self.chat.ask(text, **options)
        except Rejected:
            await self._discard_if_empty(self.chat)
            raise

    def answered(self, answer: Message) -> None:
        """Hear who it is that answers when no model was chosen."""
        self._answered_by = answer.model or self._answered_by

    async def _discard_if_empty(self, chat: AsyncChat) -> None:
        """A chat whose first question was refused is no chat to go on with."""
        if not chat.messages:
            self.chat = None
            with suppress(MeshClientError):
                await chat.delete()

    def talked(self) -> AsyncChat:
        """The chat; raises MeshClientError when nothing was asked in it yet."""
        if self.chat is None or not self.chat.messages:
            raise MeshClientError("Nothing was asked in this chat yet.", code="bad_request")
        return self.chat

    def _options(self, question: Question) -> AnswerOptions:
        options = AnswerOptions(key=question.key)
        if model := question.model or self.model:
            options["model"] = model
        if self.system:
            options["system"] = self.system
        parameters.put(options, self.parameters)
        return options

    async def refresh(self) -> None:
        """Hear which models there are."""
        self.known.models = await self.client.models()

    async def list_chats(self) -> list[ChatInfo]:
        """The newest chats, also for `/resume` by number."""
        self.known.chats = self.known.recent = await newest(self.client)
        return self.known.chats

    async def resume(self, which: str) -> AsyncChat:
        """Open a chat by number of the list, id, or the beginning of an id; "": the newest."""
        self.chat = await self.client.chat(await self._chat_id(which))
        return self.chat

    async def _chat_id(self, which: str) -> str:
        chats = self.known.chats
        if not which or not chats:
            chats = await self.list_chats()
        if not which and not chats:
            raise MeshClientError("You have no chat yet; ask something.", code="not_found")
        position = int(which or 1) - 1 if which.isdecimal() or not which else -1
        if 0 <= position < len(chats):
            return chats[position].id
        begun = [chat.id for chat in chats if chat.id.startswith(which)]
        return begun[0] if len(begun) == 1 else which

    async def choose(self, model: str) -> None:
        """Answer with another model from now on; raises MeshClientError when there is none."""
        await self.check_model(model)
        self.model = model

    async def check_model(self, model: str) -> None:
        """Raises MeshClientError when there is no such model."""
        await self.refresh()
        if model not in {known.id for known in self.known.models}:
            raise self._unknown(model)

    def _unknown(self, model: str) -> MeshClientError:
        """There is no such model; "": the one that the gateway would choose."""
        others = [known.id for known in self.known.models if known.id != model]
        near = nearest_name(model, others)
        meant = f"{model} (did you mean {near}?)" if near else model
        return MeshClientError(no_such_model(meant, "/model"), code="model_not_found")


async def newest(client: AsyncClient) -> list[ChatInfo]:
    """The chats that were begun last."""
    found: list[ChatInfo] = []
    async for chat in client.chats():
        found.append(chat)
        if len(found) == LISTED:
            break
    return found
