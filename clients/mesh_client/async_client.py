"""The client for event loops. Its blocking twin is `client`.

Every method asks the gateway once, says the same as its twin, and holds no logic of its own.
"""

import time
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from types import TracebackType
from typing import Self, Unpack

from mesh_client import calls
from mesh_client.auth import credentials, signing
from mesh_client.calls import AnswerOptions
from mesh_client.config import DEFAULT_URL, clean_url, surroundings
from mesh_client.connection import AsyncConnection
from mesh_client.credentials import CredentialStore, FileStore, known_user
from mesh_client.errors import MeshClientError, NotSignedIn
from mesh_client.events import Event, Failed, Finished, message_of
from mesh_client.following import Follower
from mesh_client.objects import (
    Account,
    CancelToken,
    ChatInfo,
    Exchange,
    Message,
    Model,
    Stop,
    Worker,
    WorkerEvent,
)
from mesh_client.retry import Retry
from mesh_client.thread import Thread


class AsyncClient:
    """One user's way into a mesh.

    url: the gateway's address; username: whom to sign in as, unless that one is signed in
    already ("": whoever is signed in, else call `login`); newcomer: whom to sign in as where no
    username is given and nobody is signed in; token: a key or an access token to use instead;
    store: where tokens are kept, by default a file of the user's own; retry: how patient to be
    while the gateway is away. Use it in an `async with`, or `close` it.
    """

    def __init__(
        self,
        url: str = DEFAULT_URL,
        *,
        username: str = "",
        newcomer: str = "",
        token: str = "",
        store: CredentialStore | None = None,
        retry: Retry | None = None,
    ) -> None:
        self.url = clean_url(url)
        self.username = "" if token else username or newcomer
        self._store = store or FileStore(self.url)
        sign = signing(self._store, username, token, newcomer)
        self._connection = AsyncConnection(self.url, sign, retry or Retry())

    @classmethod
    def from_env(cls, *, url: str = "", username: str = "", retry: Retry | None = None) -> Self:
        """A client for MESH_URL and MESH_USER, unless an argument says otherwise.

        Where nothing names the user, it is whoever signed in to this gateway last, else the
        system's user. MESH_TOKEN, a key or an access token, stands for a user who is not named.
        """
        said = surroundings(url)
        store = FileStore(said.url)
        token = "" if username else said.token
        username = username or said.username
        return cls(
            said.url,
            username=username,
            newcomer=known_user(store),
            token=token,
            store=store,
            retry=retry,
        )

    async def login(self, username: str, password: str = "") -> None:
        """Sign in, and keep the tokens for this and later clients of this gateway.

        On the gateway's own machine a name is enough.
        """
        pair = await self._connection.send(calls.login(username, password), signed=False)
        self._store.save(credentials(username, pair, by_name=not password))

    async def logout(self) -> None:
        """Forget the tokens, and end the session at the gateway.

        Raises Refused or Unreachable where that could not be told; forgotten they are all the same.
        """
        kept = self._store.load()
        self._store.save(None)
        if kept is not None and kept.refresh_token:
            with suppress(NotSignedIn):  # it is over already
                await self._connection.send(calls.logout(kept.refresh_token), signed=False)

    async def providers(self) -> list[str]:
        """The ways to sign in to this gateway; `debug`: by name alone."""
        return await self._connection.send(calls.providers(), signed=False)

    async def account(self) -> Account:
        """Who is signed in. A key needs the scope `account` for that, and `user` does not."""
        return await self._connection.send(calls.account())

    async def user(self) -> str:
        """The id of the user who is signed in."""
        return await self._connection.send(calls.check())

    async def chats(self, *, include_hidden: bool = False) -> AsyncGenerator[ChatInfo, None]:
        """All chats, newest first, read page by page as they are asked for."""
        after = None
        while True:
            page = await self._connection.send(calls.list_chats(20, after, include_hidden))
            for info in page.chats:
                yield info
            if (after := page.next) is None:
                return

    async def new_chat(self, *, key: str = "") -> "AsyncChat":
        """Begin a chat. With the key of an earlier call one gets that call's chat."""
        return AsyncChat(self._connection, await self._connection.send(calls.new_chat(key)))

    async def chat(self, chat_id: str) -> "AsyncChat":
        """Open a chat, with all its messages."""
        chat = AsyncChat(self._connection, ChatInfo(id=chat_id))
        await chat.refresh()
        return chat

    async def models(self) -> list[Model]:
        """The models of the mesh; those with `available` are served now."""
        return list((await self._connection.send(calls.models())).data)

    async def workers(self) -> list[Worker]:
        """The workers that are there now."""
        return list((await self._connection.send(calls.workers())).workers)

    async def worker_events(self, *, limit: int = 100) -> list[WorkerEvent]:
        """What happened to workers, oldest first: the last `limit` events, at most 1000."""
        return list((await self._connection.send(calls.worker_events(limit))).events)

    def generate(
        self, prompt: str, *, model: str | None = None, max_tokens: int | None = None
    ) -> AsyncGenerator[Event, None]:
        """One answer outside of any chat. Leaving the iterator hangs up, which cancels it."""
        return self._connection.generate(calls.generate(prompt, model, max_tokens))

    async def close(self) -> None:
        """Close the connections that are kept open."""
        await self._connection.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()


class AsyncChat:
    """A chat and the branch of it that one is talking on. Made by `Client`."""

    def __init__(self, connection: AsyncConnection, info: ChatInfo) -> None:
        self.info = info
        self.thread = Thread()
        self._kept_tail: str | None = None
        self._connection = connection

    @property
    def id(self) -> str:
        """The id by which any client opens this chat."""
        return self.info.id

    @property
    def messages(self) -> list[Message]:
        """The current branch, from the first message to the last."""
        return self.thread.branch()

    async def refresh(self) -> None:
        """Read the chat and its messages anew."""
        tree = await self._connection.send(calls.get_chat(self.id))
        self.info = tree
        self._kept_tail = tree.active_thread_tail_message_id
        self.thread = Thread(tree.messages, tree.active_thread_tail_message_id)

    async def ask(self, content: str, **options: Unpack[AnswerOptions]) -> "AsyncAnswer":
        """Say something on the current branch; the answer is begun, and read by iterating."""
        parent = self.thread.last_answer()
        call = calls.ask(self.id, parent.id if parent else None, content, options)
        return await self._exchange(call)

    async def edit(self, content: str, **options: Unpack[AnswerOptions]) -> "AsyncAnswer":
        """Say something in place of the last question, which stays beside it as a branch."""
        beside = self.thread.last_question().id
        return await self._exchange(calls.ask(self.id, None, content, options, beside=beside))

    async def retry(self, **options: Unpack[AnswerOptions]) -> "AsyncAnswer":
        """Have the last question answered again, beside the answers it has already."""
        question = self.thread.last_question()
        call = calls.answer(self.id, question.id, options)
        return await self._begun(await self._connection.send(call))

    def running(self) -> "AsyncAnswer | None":
        """The answer that is still being written at the end of the branch, to read along."""
        message = self.thread.running()
        return AsyncAnswer(self._connection, self, message.id) if message else None

    async def switch(self, message_id: str) -> None:
        """Go on with the newest branch through this message, here and for other clients."""
        self.thread.switch(message_id)
        await self._show_branch()

    async def rename(self, title: str) -> None:
        """Give the chat another title."""
        await self._connection.send(calls.update_chat(self.id, title=title))

    async def hide(self, hidden: bool = True) -> None:
        """Leave the chat out of lists, or show it again."""
        await self._connection.send(calls.update_chat(self.id, hidden=hidden))

    async def delete(self) -> None:
        """Delete the chat and its messages for good."""
        await self._connection.send(calls.delete_chat(self.id))

    async def _exchange(self, call: calls.Call[Exchange]) -> "AsyncAnswer":
        exchange = await self._connection.send(call)
        return await self._begun(exchange.prompter_message, exchange.assistant_message)

    async def _begun(self, *messages: Message) -> "AsyncAnswer":
        """The answer that is the last of these messages, on the branch that others now see."""
        self.thread.add(*messages)
        with suppress(MeshClientError):  # it has begun: what others see first matters less
            await self._show_branch()
        return AsyncAnswer(self._connection, self, messages[-1].id)

    async def _show_branch(self) -> None:
        """Have other clients see this branch, unless they do already."""
        tail = self.thread.tail
        if tail is not None and self.thread.shown_elsewhere(self._kept_tail) != tail:
            await self._connection.send(calls.update_chat(self.id, tail=tail))
            self._kept_tail = tail


class AsyncAnswer:
    """One answer of a chat, running or ended. Each iteration reads it from its beginning."""

    def __init__(self, connection: AsyncConnection, chat: AsyncChat, id: str) -> None:
        self.id = id
        self.chat = chat
        self._connection = connection

    async def __aiter__(self) -> AsyncGenerator[Event, None]:
        async with aclosing(self._connection.follow(Follower(self.chat.id, self.id))) as events:
            async for event in events:
                if isinstance(event, Finished | Failed):
                    self.chat.thread.end(self.id, event)
                yield event

    async def wait(self) -> Message:
        """Read to the end. Raises GenerationFailed when the answer failed."""
        last: Event | None = None
        async for event in self:
            last = event
        return message_of(last)

    async def message(self) -> Message:
        """What is stored of it now: its state, its worker, and its text once it has ended."""
        return await self._connection.send(calls.get_message(self.chat.id, self.id))

    async def cancel(self) -> Stop:
        """Stop it, and wait until its end is acknowledged."""
        began = time.perf_counter()
        reply = await self._connection.send(calls.cancel(self.chat.id, self.id))
        seconds = time.perf_counter() - began
        return Stop(tokens=reply.tokens, state=reply.state, seconds=seconds)

    async def cancel_token(self) -> CancelToken:
        """What a page without a sign-in may stop this running answer with, once."""
        return await self._connection.send(calls.cancel_token(self.chat.id, self.id))
