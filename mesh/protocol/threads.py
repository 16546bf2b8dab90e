"""Threads: conversations of several people and assistants, and what the store is asked about them.

A thread has its owner and participants, who may all read it, write in it and have it answered.
What people write comes with a query; what runs write comes with the log, so that it is there
whoever asked for it is gone.
"""

from typing import Literal

from mesh.protocol.assistants import Assistant
from mesh.protocol.chats import Asks, Ok
from mesh.protocol.request import Message, Tool, ToolCall
from mesh.protocol.tool_story import Status
from mesh.protocol.wire import Wire

Role = Literal["platform", "assistant", "user", "system", "tool"]
"""Who speaks."""

INSTRUCTS: tuple[Role, ...] = ("platform", "system")
"""Those whose words are shown to models as instructions."""

MessageStatus = Literal["completed", "incomplete"]
"""incomplete: an answer that was cancelled, failed or was cut off, as far as it came."""

Order = Literal["asc", "desc"]


# --- objects --------------------------------------------------------------------------------------


class Thread(Wire, frozen=True, kw_only=True, tag="thread"):
    """A thread. participants: the ids of all who take part, its owner first."""

    id: str
    owner: str
    participants: tuple[str, ...]
    created_at: float
    meta_data: dict[str, str] = {}


class ThreadPage(Wire, frozen=True, kw_only=True, tag="thread_page"):
    """Some of the threads that somebody takes part in. more: whether others follow."""

    threads: tuple[Thread, ...]
    more: bool = False


class NewMessage(Wire, frozen=True, kw_only=True):
    """What somebody writes in a thread. tool_call_id: what a tool's message is the outcome of;
    assistant_id: in whose name an assistant's message is; uid: its id follows from it, and
    what has that id already is not written again; "": it gets an id of its own."""

    role: Role = "user"
    content: str
    tool_call_id: str = ""
    assistant_id: str = ""
    meta_data: dict[str, str] = {}
    uid: str = ""


class ThreadMessage(Wire, frozen=True, kw_only=True, tag="thread_message"):
    """A message of a thread. sender: the id of who wrote it, or had it written by a run."""

    id: str
    thread_id: str
    created_at: float
    role: Role
    content: str
    status: MessageStatus = "completed"
    sender: str
    assistant_id: str = ""
    run_id: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str = ""
    meta_data: dict[str, str] = {}


class ThreadMessages(Wire, frozen=True, kw_only=True, tag="thread_messages"):
    """Some messages of a thread, in the order that was asked for. more: whether others follow."""

    messages: tuple[ThreadMessage, ...]
    more: bool = False


class ThreadPlan(Wire, frozen=True, kw_only=True, tag="thread_plan"):
    """What a run on a thread is made of: who answers, with which tools, and the conversation so far
    as a model is shown it, its instructions aside."""

    assistant: Assistant | None = None
    tools: tuple[Tool, ...] = ()
    messages: tuple[Message, ...] = ()


class ThreadRun(Wire, frozen=True, kw_only=True):
    """A run on a thread, as the database keeps it. user: who began it."""

    id: str
    user: str
    thread_id: str
    assistant_id: str
    model: str
    state: Status
    created_at: float
    deadline: float
    ended_at: float | None = None
    error_code: str | None = None
    error: str | None = None


class ThreadRuns(Wire, frozen=True, kw_only=True, tag="thread_runs"):
    """Some runs on a thread, newest first. more: whether others follow."""

    runs: tuple[ThreadRun, ...]
    more: bool = False


# --- queries --------------------------------------------------------------------------------------


class CreateThread(Asks[Thread], frozen=True, kw_only=True, tag="create_thread"):
    """participants: ids of others who take part; id: as in CreateChat. -> Thread"""

    user_id: str
    participants: tuple[str, ...] = ()
    messages: tuple[NewMessage, ...] = ()
    meta_data: dict[str, str] = {}
    id: str = ""


class OpenThread(Asks[Thread], frozen=True, kw_only=True, tag="open_thread"):
    """-> Thread"""

    user_id: str
    thread_id: str


class ListThreads(Asks[ThreadPage], frozen=True, kw_only=True, tag="list_threads"):
    """Those that one takes part in, newest first. after: as in ListAssistants. -> ThreadPage"""

    user_id: str
    limit: int = 20
    after: str | None = None


class UpdateThread(Asks[Thread], frozen=True, kw_only=True, tag="update_thread"):
    """Change one's own thread; None leaves it as it is. -> Thread"""

    user_id: str
    thread_id: str
    participants: tuple[str, ...] | None = None
    meta_data: dict[str, str] | None = None


class DeleteThread(Asks[Ok], frozen=True, kw_only=True, tag="delete_thread"):
    """One's own, with its messages. unfinished: ids of its runs that go on. -> Ok"""

    user_id: str
    thread_id: str


class AddThreadMessage(Asks[ThreadMessage], frozen=True, kw_only=True, tag="add_thread_message"):
    """Write a message, and more behind it: all of them, or none. -> ThreadMessage, the first"""

    user_id: str
    thread_id: str
    message: NewMessage
    more: tuple[NewMessage, ...] = ()


class GetThreadMessage(Asks[ThreadMessage], frozen=True, kw_only=True, tag="get_thread_message"):
    """-> ThreadMessage"""

    user_id: str
    message_id: str


class DeleteThreadMessage(Asks[Ok], frozen=True, kw_only=True, tag="delete_thread_message"):
    """What one wrote, or had written; of one's own thread any. -> Ok"""

    user_id: str
    thread_id: str
    message_id: str


class ListThreadMessages(
    Asks[ThreadMessages], frozen=True, kw_only=True, tag="list_thread_messages"
):
    """after, before: ids of messages to begin behind and to end before. -> ThreadMessages"""

    user_id: str
    thread_id: str
    limit: int = 20
    order: Order = "asc"
    after: str | None = None
    before: str | None = None


class ListLeftMessages(Asks[ThreadMessages], frozen=True, kw_only=True, tag="list_left_messages"):
    """What one wrote, or had written, in threads that one takes part in no longer, oldest first.

    after: id of the last message of the reply before. -> ThreadMessages
    """

    user_id: str
    limit: int = 100
    after: str | None = None


class PlanThread(Asks[ThreadPlan], frozen=True, kw_only=True, tag="plan_thread"):
    """The conversation of a thread, for an assistant if one is named. without: uids of messages
    that are left out of it. -> ThreadPlan"""

    user_id: str
    thread_id: str
    assistant_id: str = ""
    without: tuple[str, ...] = ()


class ListThreadRuns(Asks[ThreadRuns], frozen=True, kw_only=True, tag="list_thread_runs"):
    """-> ThreadRuns"""

    user_id: str
    thread_id: str
    limit: int = 20
    after: str | None = None
