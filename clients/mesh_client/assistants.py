"""Assistants and threads from Python: keep an assistant, write in a thread, have it answered.

    ada = Assistants(client).create(instructions="Be brief.", functions=[clock])
    thread = Assistants(client).thread()
    thread.say("What time is it?")
    for event in thread.ask(ada, functions=[clock]):
        ...

A run goes on in the mesh whoever reads it; only functions that are given here stop with us. The
twin for event loops is `async_assistants`.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from mesh_client import assistant_calls as calls
from mesh_client.assistant_calls import Function, Given, Said, described
from mesh_client.client import Client
from mesh_client.connection import Connection
from mesh_client.errors import Rejected
from mesh_client.run_events import (
    RunContent,
    RunEvent,
    RunFailed,
    RunReader,
    RunReasoning,
    RunStatus,
)

__all__ = [
    "Assistants",
    "RunContent",
    "RunEvent",
    "RunFailed",
    "RunReasoning",
    "RunStatus",
    "Said",
    "TalkThread",
    "described",
]


class Assistants:
    """The assistants and threads of whoever is signed in with a client."""

    def __init__(self, client: Client) -> None:
        self._connection = client._connection

    def create(
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
        return self._connection.send(call).id

    def delete(self, assistant_id: str) -> None:
        """Delete one's own assistant."""
        self._connection.send(calls.delete(assistant_id))

    def thread(self, *participants: str) -> "TalkThread":
        """Begin a thread, with others by their ids."""
        made = self._connection.send(calls.new_thread(participants))
        return TalkThread(self._connection, made.id)

    def open(self, thread_id: str) -> "TalkThread":
        """A thread that is there already."""
        return TalkThread(self._connection, thread_id)


class TalkThread:
    """A thread. Made by `Assistants`."""

    def __init__(self, connection: Connection, id: str) -> None:
        self.id = id
        self._connection = connection

    def say(self, content: str, role: str = "user") -> Said:
        """Write in it; nobody answers yet."""
        return self._connection.send(calls.say(self.id, content, role))

    def unsay(self, message_id: str) -> None:
        """Delete a message: one's own, in one's own thread any."""
        self._connection.send(calls.unsay(self.id, message_id))

    def messages(self) -> list[Said]:
        """All that was said, oldest first."""
        found: list[Said] = []
        while True:
            page = self._connection.send(calls.messages(self.id, found))
            found += page.data
            if not page.has_more:
                return found

    def ask(
        self, assistant_id: str, functions: Sequence[Function] = (), model: str | None = None
    ) -> Iterator[RunEvent]:
        """Have an assistant answer, and read along. Leaving the iterator does not stop it.

        functions: those that are called here when the model calls them, by their names; other
        tools are left to the services that serve them, and to other clients.
        """
        run_id = self._connection.send(calls.begin(self.id, assistant_id, model)).id
        given = Given(functions)
        for event in self._connection.follow_run(RunReader(run_id)):
            yield event
            for call, function, arguments in given.called(event):
                self._submit(run_id, call, _do(function, arguments))

    def cancel(self, run_id: str) -> None:
        """Stop a run; what it has said by then stays."""
        self._connection.send(calls.cancel(run_id))

    def _submit(self, run_id: str, call: str, output: str) -> None:
        try:
            self._connection.send(calls.submit(run_id, call, output))
        except Rejected as error:
            if not calls.too_late(error):
                raise


def _do(function: Function, arguments: str) -> str:
    """What comes of a call, or why nothing did."""
    try:
        return calls.output_of(function(**calls.arguments_of(arguments)))
    except Exception as error:
        return calls.trouble(error)
