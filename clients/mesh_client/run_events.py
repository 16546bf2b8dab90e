"""The events of a run, and how they are read from a stream. No I/O."""

from typing import Literal

import msgspec
from msgspec import Struct

from mesh_client.calls import StreamCall
from mesh_client.errors import BadReply
from mesh_client.sse import ServerEvent, SSEDecoder

DONE = "[DONE]"


class CalledFunction(Struct, frozen=True):
    """arguments: JSON text of an object."""

    name: str
    arguments: str


class CalledTool(Struct, frozen=True):
    """A call of the model whose outcome is waited for."""

    id: str
    function: CalledFunction


class Outputs(Struct, frozen=True):
    tool_calls: tuple[CalledTool, ...]


class RequiredAction(Struct, frozen=True):
    submit_tool_outputs: Outputs


class RunStatus(Struct, frozen=True, kw_only=True, tag_field="type", tag="status"):
    """How the run stands; with `requires_action` the calls whose outcomes it waits for."""

    run_id: str
    status: Literal[
        "queued",
        "in_progress",
        "requires_action",
        "completed",
        "incomplete",
        "failed",
        "cancelled",
        "expired",
    ]
    required_action: RequiredAction | None = None

    @property
    def calls(self) -> tuple[CalledTool, ...]:
        """What is waited for."""
        needed = self.required_action
        return needed.submit_tool_outputs.tool_calls if needed is not None else ()


class RunReasoning(Struct, frozen=True, tag_field="type", tag="reasoning"):
    """A piece of what the model thinks."""

    content: str


class RunContent(Struct, frozen=True, tag_field="type", tag="content"):
    """A piece of what it says."""

    content: str


class RunFailed(Struct, frozen=True, tag_field="type", tag="error"):
    """Why it failed: a code, and a sentence."""

    code: str
    content: str


RunEvent = RunStatus | RunReasoning | RunContent | RunFailed


class RunReader:
    """Reads one run from as many connections as it takes. `ended`: its last event was read."""

    def __init__(self, run_id: str) -> None:
        self.ended = False
        self._path = f"/v1/runs/{run_id}/events"
        self._last = ""
        self._decoder = SSEDecoder()

    def call(self) -> StreamCall:
        """The request for what comes behind the last piece that was read."""
        self._decoder = SSEDecoder()
        headers = {"Last-Event-ID": self._last} if self._last else {}
        return StreamCall("GET", self._path, headers=headers)

    def feed(self, chunk: bytes) -> list[RunEvent]:
        """The events that these bytes complete. Raises BadReply."""
        found = []
        for event in self._decoder.feed(chunk):
            if event.data == DONE:
                self.ended = True
                break
            found.append(_read(event))
            self._last = event.id or self._last
        return found


def _read(event: ServerEvent) -> RunEvent:
    try:
        found: RunEvent = msgspec.json.decode(event.data, type=RunEvent)
    except msgspec.DecodeError as error:
        raise BadReply(f"A run was told in a way that this client cannot read: {error}.") from error
    return found
