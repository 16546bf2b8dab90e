"""Assistants and threads from Python: keep an assistant, write in a thread, have it answered.

    ada = Assistants(client).create(instructions="Be brief.", functions=[clock])
    thread = Assistants(client).thread()
    thread.say("What time is it?")
    for event in thread.ask(ada, functions=[clock]):
        ...

A run goes on in the mesh whoever reads it; only functions that are given here stop with us.
"""

import inspect
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal

import msgspec

from mesh_client.calls import Call
from mesh_client.client import Client
from mesh_client.connection import Connection
from mesh_client.errors import Rejected
from mesh_client.objects import Reply
from mesh_client.run_events import (
    CalledTool,
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
]

Function = Callable[..., Any]


class Said(Reply, frozen=True, kw_only=True):
    """A message of a thread. status `incomplete`: an answer that was cut short."""

    id: str
    role: Literal["platform", "assistant", "user", "system", "tool"]
    content: str
    status: Literal["completed", "incomplete"] = "completed"
    run_id: str | None = None


class _Made(Reply, frozen=True, kw_only=True):
    id: str


class _SaidList(Reply, frozen=True, kw_only=True):
    data: tuple[Said, ...]
    has_more: bool = False


class _Body(msgspec.Struct, omit_defaults=True, kw_only=True):
    """Any of the bodies that are sent from here."""

    model: str | None = None
    name: str | None = None
    instructions: str | None = None
    tools: list[dict[str, Any]] | None = None
    participant_ids: list[str] | None = None
    content: str | None = None
    role: str | None = None
    assistant_id: str | None = None
    tool_outputs: list[dict[str, str]] | None = None


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
        body = _Body(
            name=name,
            model=model,
            instructions=instructions,
            tools=[*map(described, functions), *tools],
        )
        call = Call("POST", "/v1/assistants", _Made, body=body, repeatable=False)
        return self._connection.send(call).id

    def delete(self, assistant_id: str) -> None:
        """Delete one's own assistant."""
        self._connection.send(Call("DELETE", f"/v1/assistants/{assistant_id}", type(None)))

    def thread(self, *participants: str) -> "TalkThread":
        """Begin a thread, with others by their ids."""
        body = _Body(participant_ids=list(participants))
        call = Call("POST", "/v1/threads", _Made, body=body, repeatable=False)
        return TalkThread(self._connection, self._connection.send(call).id)

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
        body = _Body(content=content, role=role)
        call = Call("POST", f"/v1/threads/{self.id}/messages", Said, body=body, repeatable=False)
        return self._connection.send(call)

    def messages(self) -> list[Said]:
        """All that was said, oldest first."""
        found: list[Said] = []
        while True:
            params = {"limit": "100"} | ({"after": found[-1].id} if found else {})
            call = Call("GET", f"/v1/threads/{self.id}/messages", _SaidList, params=params)
            page = self._connection.send(call)
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
        body = _Body(assistant_id=assistant_id, model=model)
        call = Call("POST", f"/v1/threads/{self.id}/runs", _Made, body=body, repeatable=False)
        run_id = self._connection.send(call).id
        known = {function.__name__: function for function in functions}
        done: set[str] = set()
        for event in self._connection.follow_run(RunReader(run_id)):
            yield event
            for called in event.calls if isinstance(event, RunStatus) else ():
                function = known.get(called.function.name)
                if function is not None and called.id not in done:
                    done.add(called.id)
                    self._submit(run_id, called.id, _do(function, called))

    def cancel(self, run_id: str) -> None:
        """Stop a run; what it has said by then stays."""
        self._connection.send(Call("POST", f"/v1/runs/{run_id}/cancel", _Made))

    def _submit(self, run_id: str, call: str, output: str) -> None:
        """Say what came of a call, unless another said it first, or the run is over."""
        body = _Body(tool_outputs=[{"tool_call_id": call, "output": output}])
        try:
            url = f"/v1/runs/{run_id}/submit_tool_outputs"
            self._connection.send(Call("POST", url, _Made, body=body))
        except Rejected as error:
            if error.code != "conflict":
                raise


def described(function: Function) -> dict[str, Any]:
    """A function as a tool: its name, its docstring, and its parameters by their annotations."""
    parameters = inspect.signature(function, eval_str=True).parameters
    schema = {name: _schema(each.annotation) for name, each in parameters.items()}
    required = [n for n, each in parameters.items() if each.default is inspect.Parameter.empty]
    return {
        "type": "function",
        "function": {
            "name": function.__name__,
            "description": inspect.getdoc(function) or "",
            "parameters": {"type": "object", "properties": schema, "required": required},
        },
    }


def _schema(annotation: Any) -> dict[str, Any]:
    if annotation is inspect.Parameter.empty:
        return {"type": "string"}
    return msgspec.json.schema(annotation)


def _do(function: Function, called: CalledTool) -> str:
    """What comes of a call, or why nothing did: the model may know better."""
    try:
        arguments: dict[str, Any] = msgspec.json.decode(called.function.arguments)
        found = function(**arguments)
        return found if isinstance(found, str) else msgspec.json.encode(found).decode()
    except Exception as error:
        return f"ERROR: {error}"
