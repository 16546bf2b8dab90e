"""Runs that call tools: what is told of them in the log, and how a tool is asked.

A run is a conversation that goes on by itself: the model is asked, what it calls is done by
whoever can, the model is asked again with the outcomes. Each asking is a request with a story of
its own; what binds them together is told here, under the address `subjects.TOOLS` and the run's
id, each event fenced. Only gateways tell it.
"""

from typing import Literal

from mesh.protocol.chats import Asks
from mesh.protocol.errors import ErrorCode
from mesh.protocol.events import Event, Usage
from mesh.protocol.grammar import Grammar
from mesh.protocol.questions import Refused
from mesh.protocol.request import Message, Sampling, Thoughts, Tool, ToolCall
from mesh.protocol.subjects import Priority
from mesh.protocol.wire import Wire


class ToolRun(Wire, frozen=True, kw_only=True):
    """What was asked for. id: unguessable; gateway: the reply address of who accepted it.

    grammar: what the first answer has to be a text of, later: each further one; patience: seconds
    that the outcomes of calls are waited for; deadline: Unix time by which all has ended; thread:
    of the tenant's, that the last message and the answer are added to; or one that the tenant takes
    part in, to which all that is said is added; assistant: who says it; fit, priority, key,
    traceparent, tracestate: as in `Request`, for each asking; thoughts: as in `Queued`, of each
    answer.
    """

    id: str
    gateway: str
    tenant: str
    model: str
    messages: tuple[Message, ...]
    tools: tuple[Tool, ...] = ()
    sampling: Sampling = Sampling()
    max_tokens: int | None = None
    grammar: Grammar | None = None
    later: Grammar | None = None
    created: float
    patience: float
    deadline: float
    trace: str = ""
    thread: str = ""
    assistant: str = ""
    fit: Literal["truncate", "refuse"] = "refuse"
    priority: Priority = "normal"
    key: str = ""
    traceparent: str = ""
    tracestate: str = ""
    thoughts: Thoughts | None = None


# --- events ---------------------------------------------------------------------------------------


class RunBegun(Event, frozen=True, kw_only=True, tag="run_begun"):
    """The run was accepted. body, whole: digests of what was asked, for its idempotency key: of
    what the model is asked, and of the route and all that was sent, "" where nobody said."""

    run: ToolRun
    body: str = ""
    whole: str = ""


class ActionsNeeded(Event, frozen=True, kw_only=True, tag="actions_needed"):
    """The model called tools, and the run waits for what comes of it, up to a Unix time.

    content: what it said besides; usage: of this asking.
    """

    content: str = ""
    calls: tuple[ToolCall, ...]
    deadline: float
    usage: Usage = Usage()


class ActionDone(Event, frozen=True, kw_only=True, tag="action_done"):
    """What came of a call. failed: output says why nothing did; by: who found out."""

    call: str
    output: str
    failed: bool = False
    by: str = ""


class RunOver(Event, frozen=True, kw_only=True, tag="run_over"):
    """The end of the run, and the last answer, or what there was of it.

    code, detail: of a failed one; finish: why a completed one's answer ended.
    """

    state: Literal["completed", "failed", "cancelled", "expired"]
    text: str = ""
    finish: Literal["", "stop", "length"] = ""
    code: ErrorCode | None = None
    detail: str = ""
    usage: Usage = Usage()


class KeyLed(Event, frozen=True, kw_only=True, tag="key_led"):
    """An idempotency key has led to a run on a thread: the one event of a story of its own, whose
    id is made of the key alone, as the run's is not."""

    thread: str


ToolEvent = RunBegun | ActionsNeeded | ActionDone | RunOver | KeyLed


# --- asking a tool --------------------------------------------------------------------------------


class CallTool(Wire, frozen=True, kw_only=True, tag="call_tool"):
    """Do what a tool does. arguments: JSON text of an object; deadline: Unix time.

    id: of the action; should the same one be asked for twice, the first answer was lost.
    """

    id: str
    name: str
    arguments: str
    deadline: float


class ToolAnswer(Wire, frozen=True, kw_only=True, tag="tool_answer"):
    """What came of it: a text for the model. failed: it says why nothing did."""

    output: str
    failed: bool = False


ToolReply = ToolAnswer | Refused


# --- what was said before -------------------------------------------------------------------------


class ThreadHistory(Wire, frozen=True, kw_only=True, tag="thread_history"):
    """What was asked and answered in a thread, the oldest first, as far as runs were completed.

    kept: whether it is a thread that the tenant takes part in: what is asked has to be added.
    """

    messages: tuple[Message, ...]
    kept: bool = False


class GetThread(Asks[ThreadHistory], frozen=True, kw_only=True, tag="get_thread"):
    """The last `limit` questions and answers of a tenant's thread. without: as in PlanThread.
    -> ThreadHistory"""

    tenant: str
    thread: str
    limit: int = 10
    without: tuple[str, ...] = ()
