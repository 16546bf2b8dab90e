"""Assistants and threads on an event loop. The blocking twin is `assistants`.

    assistants = AsyncAssistants(client)
    ada = await assistants.create(instructions="Be brief.", functions=[clock])
    thread = await assistants.thread()
    await thread.say("What time is it?")
    async for event in thread.ask(ada, functions=[clock]):
        ...

Every method says the same as its twin. Functions may be coroutine functions; others are called on
a thread of their own, so that the loop goes on.
"""

import asyncio
import inspect
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Any

from mesh_client import assistant_calls as calls
from mesh_client.assistant_calls import Function, Given, Said
from mesh_client.async_client import AsyncClient
from mesh_client.connection import AsyncConnection
from mesh_client.errors import Rejected
from mesh_client.run_events import RunEvent, RunReader

__all__ = ["AsyncAssistants", "AsyncTalkThread"]


class AsyncAssistants:
    """The assistants and threads of whoever is signed in with a client."""

    def __init__(self, client: AsyncClient) -> None:
        self._connection = client._connection

    async def create(
        self,
        *,
        name: str | None = None,
        model: str | None = None,
        instructions: str | None = None,
        functions: Sequence[Function] = (),
        tools: Sequence[dict[str, Any]] = (),
    ) -> str:
        """Keep an assistant; returns its id.

        functions: what it may call, described by their names, docstrings and parameters; tools:
        the same, described by you. Whoever serves them does what they do (see `ask`).
        """
        call = calls.create(name, model, instructions, functions, tools)
        return (await self._connection.send(call)).id

    async def delete(self, assistant_id: str) -> None:
        """Delete one's own assistant."""
        await self._connection.send(calls.delete(assistant_id))

    async def thread(self, *participants: str) -> "AsyncTalkThread":
        """Begin a thread, with others by their ids."""
        made = await self._connection.send(calls.new_thread(participants))
        return AsyncTalkThread(self._connection, made.id)

    def open(self, thread_id: str) -> "AsyncTalkThread":
        """A thread that is there already."""
        return AsyncTalkThread(self._connection, thread_id)


class AsyncTalkThread:
    """A thread. Made by `AsyncAssistants`."""

    def __init__(self, connection: AsyncConnection, id: str) -> None:
        self.id = id
        self._connection = connection

    async def say(self, content: str, role: str = "user") -> Said:
        """Write in it; nobody answers yet."""
        return await self._connection.send(calls.say(self.id, content, role))

    async def unsay(self, message_id: str) -> None:
        """Delete a message: one's own, in one's own thread any."""
        await self._connection.send(calls.unsay(self.id, message_id))

    async def messages(self) -> list[Said]:
        """All that was said, oldest first."""
        found: list[Said] = []
        while True:
            page = await self._connection.send(calls.messages(self.id, found))
            found += page.data
            if not page.has_more:
                return found

    async def ask(
        self, assistant_id: str, functions: Sequence[Function] = (), model: str | None = None
    ) -> AsyncGenerator[RunEvent, None]:
        """Have an assistant answer, and read along. Leaving the iterator does not stop it.

        functions: those that are called here when the model calls them, by their names; other
        tools are left to the services that serve them, and to other clients.
        """
        run_id = (await self._connection.send(calls.begin(self.id, assistant_id, model))).id
        given = Given(functions)
        async with aclosing(self._connection.follow_run(RunReader(run_id))) as events:
            async for event in events:
                yield event
                for call, function, arguments in given.called(event):
                    await self._submit(run_id, call, await _do(function, arguments))

    async def cancel(self, run_id: str) -> None:
        """Stop a run; what it has said by then stays."""
        await self._connection.send(calls.cancel(run_id))

    async def _submit(self, run_id: str, call: str, output: str) -> None:
        try:
            await self._connection.send(calls.submit(run_id, call, output))
        except Rejected as error:
            if not calls.too_late(error):
                raise


async def _do(function: Function, arguments: str) -> str:
    """What comes of a call, or why nothing did."""
    try:
        given = calls.arguments_of(arguments)
        if inspect.iscoroutinefunction(function):
            return calls.output_of(await function(**given))
        return calls.output_of(await asyncio.to_thread(function, **given))
    except Exception as error:
        return calls.trouble(error)
