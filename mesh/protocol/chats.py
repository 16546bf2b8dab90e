"""What the gateway asks the store about chats, runs and workers, and what it hears back.

One Struct per query; those about people are in `accounts.py`.

Each query travels on `store.<tag>` and is answered by its reply type or by `Refused`;
`queries.py` pairs them. Ids are unguessable; a query names the user it is asked for, and what
belongs to somebody else is answered as if it were not there.
"""

from typing import Generic, Literal, TypeVar

from mesh.protocol.events import Timings, Usage
from mesh.protocol.request import Message, Sampling, Turn, UserMessage
from mesh.protocol.wire import Wire

MessageState = Literal[
    "manual", "pending", "in_progress", "complete", "aborted_by_worker", "cancelled", "timeout"
]
ReportType = Literal["spam", "offensive", "feedback"]
RunState = Literal["queued", "running", "done", "failed", "cancelled"]
WorkerEventKind = Literal[
    "started", "stopped", "lost", "claimed", "first_token", "finished", "failed"
]

R = TypeVar("R", bound=Wire)


# --- objects --------------------------------------------------------------------------------------


class Chat(Wire, frozen=True, kw_only=True, tag="chat"):
    """A chat without its messages."""

    id: str
    created_at: float
    modified_at: float
    title: str | None = None
    hidden: bool = False
    allow_data_use: bool = True
    active_thread_tail_message_id: str | None = None


class Report(Wire, frozen=True, kw_only=True):
    """What a reader said is wrong with a message."""

    id: str
    report_type: ReportType
    reason: str
    created_at: float


class WorkParameters(Wire, frozen=True, kw_only=True):
    """How an answer was asked for. store: whether its words may be kept."""

    model: str
    sampling: Sampling = Sampling()
    max_tokens: int | None = None
    system_prompt: str = ""
    user_profile: str = ""
    response_instructions: str = ""
    store: bool = True


class ChatMessage(Wire, frozen=True, kw_only=True, tag="chat_message"):
    """A node of a chat's tree. worker, usage, timings and attempts are those of an answer.

    attempts: how many claims were made on it; finish: why a complete answer ended (`length`: it
    was cut off and can be continued); truncated: messages left out so that the rest would fit;
    error_code, error: of a failed answer, the latter a sentence; inferior: the siblings that its
    reader found worse.
    """

    id: str
    chat_id: str
    parent_id: str | None = None
    created_at: float
    role: Literal["prompter", "assistant"]
    state: MessageState
    content: str | None = None
    score: int = 0
    reports: tuple[Report, ...] = ()
    work: WorkParameters | None = None
    finish: str | None = None
    truncated: int = 0
    error_code: str | None = None
    error: str | None = None
    worker: str | None = None
    attempts: int = 0
    usage: Usage | None = None
    timings: Timings | None = None
    inferior: tuple[str, ...] = ()


class ChatTree(Wire, frozen=True, kw_only=True, tag="chat_tree"):
    """A chat with its messages, in order of creation; parent_id makes them a tree.

    A reply has to fit into one message: where `next` is set, there are more; ask on from it.
    """

    chat: Chat
    messages: tuple[ChatMessage, ...]
    next: str | None = None


class ChatPage(Wire, frozen=True, kw_only=True, tag="chat_page"):
    """Some of a user's chats, newest first. next and prev are chat ids to ask on from."""

    chats: tuple[Chat, ...]
    next: str | None = None
    prev: str | None = None


class ChatHit(Wire, frozen=True, kw_only=True):
    """A chat in which all words were found. excerpt: where, in message_id; None: in its title."""

    chat: Chat
    excerpt: str = ""
    message_id: str | None = None


class ChatHits(Wire, frozen=True, kw_only=True, tag="chat_hits"):
    """What a search found, the chats that were used last first."""

    hits: tuple[ChatHit, ...]


class Plan(Wire, frozen=True, kw_only=True, tag="plan"):
    """All the gateway needs to queue an answer.

    turn: its place; messages: the conversation from the root to the user's message, without
    system prompt; unfinished: rids of this chat's answers without an end under another parent.
    """

    turn: Turn
    messages: tuple[Message, ...]
    unfinished: tuple[str, ...] = ()


class Ok(Wire, frozen=True, kw_only=True, tag="ok"):
    """It was done. unfinished: rids of answers that have no place any more: cancel them; runs: ids
    of runs that call tools, which nobody waits for any more: stop them; user: the id of the person
    who was removed, by whatever name they were asked for."""

    unfinished: tuple[str, ...] = ()
    runs: tuple[str, ...] = ()
    user: str = ""


class Health(Wire, frozen=True, kw_only=True, tag="health"):
    """The store's own view: the last sequence of the log in its database, and its room.

    database_bytes: in use in the database, of database_max_bytes; free_bytes: left on its disk;
    skipped: messages of the log that could not be understood.
    """

    applied: int
    database_bytes: int = 0
    database_max_bytes: int = 0
    free_bytes: int = 0
    skipped: int = 0


class WorkerEventRow(Wire, frozen=True, kw_only=True):
    """One thing that happened to a worker. seq: of the log; at: Unix time by the broker."""

    seq: int
    at: float
    worker: str
    kind: WorkerEventKind
    rid: str | None = None
    detail: str = ""


class WorkerEvents(Wire, frozen=True, kw_only=True, tag="worker_events"):
    """Worker events, oldest first."""

    events: tuple[WorkerEventRow, ...]


class RunRow(Wire, frozen=True, kw_only=True, tag="run"):
    """One generation, in a chat or not, as the database keeps it.

    cancel_asked_at: when somebody asked to stop it; pieces and checksum: as in `Seal`.
    """

    rid: str
    tenant: str
    model: str
    state: RunState
    created_at: float
    cancel_asked_at: float | None = None
    ended_at: float | None = None
    chat_id: str | None = None
    text: str = ""
    finish: str | None = None
    error_code: str | None = None
    error: str | None = None
    worker: str | None = None
    attempts: int = 0
    usage: Usage = Usage()
    timings: Timings = Timings()
    pieces: int | None = None
    checksum: str | None = None


# --- queries --------------------------------------------------------------------------------------


class Asks(Wire, Generic[R], frozen=True, kw_only=True):
    """A query that is answered by an R, or by `Refused`."""


class CreateChat(Asks[Chat], frozen=True, kw_only=True, tag="create_chat"):
    """id: made of an idempotency key (`once.py`): what has it already is the reply; "": one of its
    own. -> Chat"""

    user_id: str
    title: str | None = None
    id: str = ""


class ListChats(Asks[ChatPage], frozen=True, kw_only=True, tag="list_chats"):
    """At most one of after (older than) and before (newer than), each a chat id. -> ChatPage"""

    user_id: str
    include_hidden: bool = False
    limit: int = 10
    after: str | None = None
    before: str | None = None
    min_seq: int = 0


class SearchChats(Asks[ChatHits], frozen=True, kw_only=True, tag="search_chats"):
    """The chats of a user with a title or a message in which all of the words occur, in any case.

    words: separated by spaces. -> ChatHits
    """

    user_id: str
    words: str
    include_hidden: bool = False
    limit: int = 30
    min_seq: int = 0


class GetChat(Asks[ChatTree], frozen=True, kw_only=True, tag="get_chat"):
    """-> ChatTree. `after`: the `next` of the reply before, if there was one.

    `min_seq`: wait (up to 2 s) until the log is applied that far.
    """

    user_id: str
    chat_id: str
    after: str | None = None
    min_seq: int = 0


class UpdateChat(Asks[Chat], frozen=True, kw_only=True, tag="update_chat"):
    """Change what is not None. -> Chat"""

    user_id: str
    chat_id: str
    title: str | None = None
    hidden: bool | None = None
    allow_data_use: bool | None = None
    active_thread_tail_message_id: str | None = None
    min_seq: int = 0


class HideAllChats(Asks[Ok], frozen=True, kw_only=True, tag="hide_all_chats"):
    """-> Ok"""

    user_id: str


class DeleteChat(Asks[Ok], frozen=True, kw_only=True, tag="delete_chat"):
    """Delete the chat, its messages, votes and reports for good. -> Ok"""

    user_id: str
    chat_id: str
    min_seq: int = 0


class AddUserMessage(Asks[ChatMessage], frozen=True, kw_only=True, tag="add_user_message"):
    """Add what a person wrote under a finished answer, or as the first message. -> ChatMessage

    id: made of an idempotency key, so that what was added under it is not added again, and anything
    else refused (conflict); "": the store makes one.
    """

    user_id: str
    chat_id: str
    parent_id: str | None = None
    content: str
    min_seq: int = 0
    id: str = ""


class PlanAnswer(Asks[Plan], frozen=True, kw_only=True, tag="plan_answer"):
    """What is needed to answer a user's message. -> Plan

    Either `parent_id` names a user's message that is there, or `user_message` brings a new one,
    which is checked like AddUserMessage but kept only when it arrives in the log. `beside` names
    the user's message that the new one is another wording of: it gets the same parent. at_end: it
    goes under the newest answer that has ended. answers: how many are to be begun at once.
    """

    user_id: str
    chat_id: str
    parent_id: str | None = None
    user_message: UserMessage | None = None
    min_seq: int = 0
    beside: str | None = None
    at_end: bool = False
    answers: int = 1


class GetMessage(Asks[ChatMessage], frozen=True, kw_only=True, tag="get_message"):
    """-> ChatMessage"""

    user_id: str
    chat_id: str
    message_id: str
    min_seq: int = 0


class Vote(Asks[Ok], frozen=True, kw_only=True, tag="vote"):
    """Score an answer -1, 0 or 1; the last vote counts. -> Ok"""

    user_id: str
    chat_id: str
    message_id: str
    score: int


class AddReport(Asks[Ok], frozen=True, kw_only=True, tag="add_report"):
    """-> Ok"""

    user_id: str
    chat_id: str
    message_id: str
    report_type: ReportType
    reason: str


class GetHealth(Asks[Health], frozen=True, kw_only=True, tag="get_health"):
    """-> Health"""


class GetRun(Asks[RunRow], frozen=True, kw_only=True, tag="get_run"):
    """A generation by id; `tenant` "" asks for anybody's (operators). -> RunRow"""

    rid: str
    tenant: str = ""
    min_seq: int = 0


class ListWorkerEvents(Asks[WorkerEvents], frozen=True, kw_only=True, tag="list_worker_events"):
    """The last `limit` worker events, of one worker if it is named. -> WorkerEvents"""

    worker: str | None = None
    limit: int = 100
