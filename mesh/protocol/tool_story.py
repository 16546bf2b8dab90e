"""What the log of a run that calls tools means: a pure state machine, no I/O.

Apply its events in their order. The run asks its model, waits for the calls of an answer, asks
again once all have an outcome, and is over at the first event that says so.
"""

from dataclasses import dataclass, field
from hashlib import sha256
from typing import Literal

from mesh.protocol.events import Usage
from mesh.protocol.request import Message, ToolCall
from mesh.protocol.tools import ActionDone, ActionsNeeded, RunBegun, RunOver, ToolEvent, ToolRun

State = Literal[
    "in_progress",
    "requires_action",
    "completed",
    "incomplete",
    "failed",
    "cancelled",
    "expired",
]

Status = Literal[
    "queued",
    "in_progress",
    "requires_action",
    "completed",
    "incomplete",
    "failed",
    "cancelled",
    "expired",
]
"""A state as it is shown: queued, while no worker has taken up the first asking."""

WRITER = "gateway"
"""The broker user whose events count."""


@dataclass(slots=True)
class ToolStory:
    """A run as its log tells it. last: the sequence of its last event."""

    begun: RunBegun | None = None
    steps: list[ActionsNeeded] = field(default_factory=list)
    done: dict[str, ActionDone] = field(default_factory=dict)
    over: RunOver | None = None
    last: int = 0

    def apply(self, event: ToolEvent, user: str, seq: int) -> None:
        """Apply an event that a broker user stored at a sequence of the log."""
        if seq <= self.last:
            return
        self.last = seq
        if user != WRITER or self.over is not None:
            return
        match event:
            case RunBegun():
                self.begun = self.begun or event
            case ActionsNeeded() if not self.pending:
                self.steps.append(event)
            case ActionDone() if event.call in {call.id for call in self.pending}:
                self.done[event.call] = event
            case RunOver():
                self.over = event

    @property
    def run(self) -> ToolRun:
        """What was asked for. Raises ValueError where the log has forgotten it."""
        if self.begun is None:
            raise ValueError("the first event of this run is missing")
        return self.begun.run

    @property
    def state(self) -> State:
        if self.over is not None:
            return outcome(self.over)
        return "requires_action" if self.pending else "in_progress"

    @property
    def pending(self) -> tuple[ToolCall, ...]:
        """The calls whose outcome is waited for, in the order in which they were made."""
        if not self.steps or self.over is not None:
            return ()
        return tuple(call for call in self.steps[-1].calls if call.id not in self.done)

    @property
    def rid(self) -> str:
        """The id of the request with which the model is asked now, or was last."""
        return rid_of(self.run.id, len(self.steps))

    def messages(self) -> tuple[Message, ...]:
        """The conversation up to now: what was asked, the calls, and what came of them."""
        said = list(self.run.messages)
        for step in self.steps:
            said.append(Message(role="assistant", content=step.content, tool_calls=step.calls))
            for call in step.calls:
                if call.id in self.done:
                    output = self.done[call.id].output
                    said.append(Message(role="tool", content=output, tool_call_id=call.id))
        return tuple(said)

    def usage(self) -> Usage:
        """The tokens of all askings together."""
        used = [step.usage for step in self.steps]
        used += [self.over.usage] if self.over is not None else []
        return Usage(
            prompt_tokens=sum(each.prompt_tokens for each in used),
            completion_tokens=sum(each.completion_tokens for each in used),
            cached_tokens=sum(each.cached_tokens for each in used),
            reasoning_tokens=sum(each.reasoning_tokens for each in used),
        )


def rid_of(run_id: str, step: int) -> str:
    """The id of the request of one step: the same at every gateway, so that it is asked once."""
    return sha256(f"{run_id}.{step}".encode()).hexdigest()[:32]


def outcome(over: RunOver) -> State:
    """How a run stands that has ended: incomplete, where its last answer was cut off for its
    length, calls that were in it among that."""
    return "incomplete" if over.state == "completed" and over.finish == "length" else over.state
