"""What assistants and threads ask of the gateway, as data, and functions as tools. No I/O.

Shared by `assistants` and `async_assistants`, which send it.
"""

import inspect
from collections.abc import Callable, Sequence
from typing import Any, Literal

import msgspec

from mesh_client.calls import Call
from mesh_client.errors import Rejected
from mesh_client.objects import Reply
from mesh_client.run_events import CalledTool, RunEvent, RunStatus

Function = Callable[..., Any]


class Said(Reply, frozen=True, kw_only=True):
    """A message of a thread. status `incomplete`: an answer that was cut short."""

    id: str
    role: Literal["platform", "assistant", "user", "system", "tool"]
    content: str
    status: Literal["completed", "incomplete"] = "completed"
    run_id: str | None = None


class Made(Reply, frozen=True, kw_only=True):
    """What was made, or changed, by its id."""

    id: str


class SaidList(Reply, frozen=True, kw_only=True):
    """Some messages, oldest first. has_more: whether others follow."""

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


def create(
    name: str | None,
    model: str | None,
    instructions: str | None,
    functions: Sequence[Function],
    tools: Sequence[dict[str, Any]],
) -> Call[Made]:
    """Keep an assistant."""
    offered = [*map(described, functions), *tools]
    body = _Body(name=name, model=model, instructions=instructions, tools=offered)
    return Call("POST", "/v1/assistants", Made, body=body, repeatable=False)


def delete(assistant_id: str) -> Call[None]:
    """Delete one's own assistant."""
    return Call("DELETE", f"/v1/assistants/{assistant_id}", type(None))


def new_thread(participants: Sequence[str]) -> Call[Made]:
    """Begin a thread, with others by their ids."""
    body = _Body(participant_ids=list(participants))
    return Call("POST", "/v1/threads", Made, body=body, repeatable=False)


def say(thread_id: str, content: str, role: str) -> Call[Said]:
    """Write in a thread."""
    body = _Body(content=content, role=role)
    return Call("POST", f"/v1/threads/{thread_id}/messages", Said, body=body, repeatable=False)


def messages(thread_id: str, found: Sequence[Said]) -> Call[SaidList]:
    """The messages behind those that were found already."""
    params = {"limit": "100"} | ({"after": found[-1].id} if found else {})
    return Call("GET", f"/v1/threads/{thread_id}/messages", SaidList, params=params)


def unsay(thread_id: str, message_id: str) -> Call[Made]:
    """Delete a message."""
    return Call("DELETE", f"/v1/threads/{thread_id}/messages/{message_id}", Made)


def begin(thread_id: str, assistant_id: str, model: str | None) -> Call[Made]:
    """Begin a run on a thread."""
    body = _Body(assistant_id=assistant_id, model=model)
    return Call("POST", f"/v1/threads/{thread_id}/runs", Made, body=body, repeatable=False)


def cancel(run_id: str) -> Call[Made]:
    """Stop a run."""
    return Call("POST", f"/v1/runs/{run_id}/cancel", Made)


def submit(run_id: str, call: str, output: str) -> Call[Made]:
    """Say what came of a call."""
    body = _Body(tool_outputs=[{"tool_call_id": call, "output": output}])
    return Call("POST", f"/v1/runs/{run_id}/submit_tool_outputs", Made, body=body)


def too_late(error: Rejected) -> bool:
    """Whether another said first what came of a call, or the run is over."""
    return error.code == "conflict"


class Given:
    """The functions that are done here when the model calls them."""

    def __init__(self, functions: Sequence[Function]) -> None:
        self._known = {function.__name__: function for function in functions}
        self._done: set[str] = set()

    def called(self, event: RunEvent) -> list[tuple[str, Function, str]]:
        """What is to be done now: the call's id, the function, and its arguments as JSON text."""
        calls = event.calls if isinstance(event, RunStatus) else ()
        return [found for call in calls if (found := self._take(call)) is not None]

    def _take(self, call: CalledTool) -> tuple[str, Function, str] | None:
        function = self._known.get(call.function.name)
        if function is None or call.id in self._done:
            return None
        self._done.add(call.id)
        return call.id, function, call.function.arguments


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


def arguments_of(text: str) -> dict[str, Any]:
    """The arguments of a call. Raises msgspec.DecodeError where they are no object."""
    return msgspec.json.decode(text, type=dict[str, Any])


def output_of(found: object) -> str:
    """What is said of what a function returned. Raises TypeError for what JSON cannot hold."""
    return found if isinstance(found, str) else msgspec.json.encode(found).decode()


def trouble(error: Exception) -> str:
    """What is said where a function failed: the model may know better."""
    return f"ERROR: {error}"
