"""The one table of who says what to whom. Documentation and permissions are held against it.

A pattern names its variable tokens: `<user>` is the broker user of the process that publishes
(or, where it only subscribes, its own), so nobody can put another's name there; `<worker>` is the
worker that is addressed. Nothing at run time depends on this table. What is asked of the broker
itself is in `calls.py`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import get_args

from msgspec import Struct

from mesh.protocol import accounts, embeddings, enrolment, subjects, tools
from mesh.protocol.events import LogEvent
from mesh.protocol.frames import Frame
from mesh.protocol.letters import AskAgain, AskAgainReply, Letter
from mesh.protocol.queries import QUERIES
from mesh.protocol.questions import (
    Alive,
    Ask,
    Encode,
    Encoded,
    Hello,
    HelloReply,
    Order,
    OrderReply,
    Refused,
    Resume,
    ResumeReply,
    Taken,
)
from mesh.protocol.request import Prompt
from mesh.protocol.subjects import Writer
from mesh.protocol.worker_info import WorkerInfo


class Role(StrEnum):
    """Who takes part in the conversation. Each but the broker is a broker user, or many."""

    GATEWAY = "gateway"
    WORKER = "worker"
    STORE = "store"
    OPERATOR = "operator"
    TOOL = "tool"
    BROKER = "broker"


class Kind(StrEnum):
    """How a message is kept."""

    STREAM = "stream"
    KV = "kv"
    CORE = "core"


@dataclass(frozen=True, kw_only=True)
class Channel:
    """One kind of subject.

    publishers: who may write there; subscribers: who may subscribe to it; readers: who gets its
    messages from the stream instead (by pull or by a read); answers: what a request hears back.
    """

    pattern: str
    kind: Kind
    messages: tuple[type[Struct], ...] = ()
    answers: tuple[type[Struct], ...] = ()
    publishers: tuple[Role, ...]
    subscribers: tuple[Role, ...] = ()
    readers: tuple[Role, ...] = ()
    purpose: str

    def example(self, **tokens: str) -> str:
        """A concrete subject, with these tokens and made-up others."""
        return fill(self.pattern, EXAMPLES | tokens)


EXAMPLES = {
    "model": "tiny",
    "lane": "3",
    "tenant": "alice",
    "reply": "gw1",
    "rid": "r1",
    "user": "somebody",
    "worker": "anyworker",
    "inc": "i1",
    "query": "get_chat",
    "stream": "RUN",
    "kept": "REQ",
    "token": "t1",
    "job": "sweeping",
    "hash": "0123abcd",
    "tool": "anytool",
    "account": "4567cdef",
}
"""One plausible value for each variable token."""


def fill(pattern: str, tokens: Mapping[str, str]) -> str:
    """A pattern with its `<tokens>` replaced."""
    for name, value in tokens.items():
        pattern = pattern.replace(f"<{name}>", value)
    return pattern


def _union(kinds: object) -> tuple[type[Struct], ...]:
    return tuple(get_args(kinds))


def _unique(kinds: Iterable[type[Struct]]) -> tuple[type[Struct], ...]:
    return tuple(dict.fromkeys(kinds))


_WRITER = Writer("<user>", "<inc>")
_WORKER = Writer("<worker>", "<inc>")
_EVENT = subjects.event("<reply>", "<rid>", _WRITER)
_TOKENS = subjects.tokens("<reply>", _WRITER)

CHANNELS = (
    Channel(
        pattern=f"{subjects.PREFIX}.req.<model>.<lane>.<tenant>",
        kind=Kind.STREAM,
        messages=(Prompt,),
        publishers=(Role.GATEWAY,),
        readers=(Role.WORKER,),
        purpose="Prompts waiting for a worker: a work queue, a consumer for each lane of a model.",
    ),
    Channel(
        pattern=_EVENT,
        kind=Kind.STREAM,
        messages=_union(LogEvent),
        publishers=(Role.GATEWAY, Role.WORKER),
        readers=(Role.GATEWAY, Role.STORE, Role.OPERATOR),
        purpose="The log: what happened to a request or a worker process, each event fenced.",
    ),
    Channel(
        pattern=subjects.event(subjects.TOOLS, "<rid>", _WRITER),
        kind=Kind.STREAM,
        messages=_union(tools.ToolEvent),
        publishers=(Role.GATEWAY,),
        readers=(Role.GATEWAY, Role.STORE, Role.OPERATOR),
        purpose="The log: what happened to a run that calls tools, each event fenced.",
    ),
    Channel(
        pattern=_TOKENS,
        kind=Kind.STREAM,
        messages=(Frame,),
        publishers=(Role.WORKER,),
        readers=(Role.GATEWAY, Role.OPERATOR),
        purpose="The log: frames of tokens, in one chain per worker process and reply address.",
    ),
    Channel(
        pattern=_EVENT.replace(".run.", ".live."),
        kind=Kind.CORE,
        messages=_union(LogEvent),
        publishers=(Role.BROKER,),
        subscribers=(Role.GATEWAY, Role.STORE, Role.OPERATOR),
        purpose="Events of the log, republished by the broker once they are stored.",
    ),
    Channel(
        pattern=_TOKENS.replace(".run.", ".live."),
        kind=Kind.CORE,
        messages=(Frame,),
        publishers=(Role.BROKER,),
        subscribers=(Role.GATEWAY, Role.OPERATOR),
        purpose="Frames of the log, republished by the broker once they are stored.",
    ),
    Channel(
        pattern=subjects.presence("<user>"),
        kind=Kind.KV,
        messages=(WorkerInfo,),
        publishers=(Role.WORKER,),
        subscribers=(Role.GATEWAY, Role.OPERATOR),
        purpose="A worker says every two seconds that it lives; an empty message is its goodbye.",
    ),
    Channel(
        pattern=f"{subjects.PREFIX}.dlq.<model>.<rid>",
        kind=Kind.STREAM,
        messages=_union(Letter),
        publishers=(Role.GATEWAY, Role.OPERATOR),
        readers=(Role.GATEWAY, Role.OPERATOR),
        purpose="Dead letters: requests that took their workers down, kept for thirty days.",
    ),
    Channel(
        pattern=subjects.lease("<job>"),
        kind=Kind.KV,
        publishers=(Role.GATEWAY,),
        readers=(Role.GATEWAY,),
        purpose="Who does what only one should: sweep, be the gateway of a name. Ten seconds each.",
    ),
    Channel(
        pattern=subjects.account_key("<hash>"),
        kind=Kind.KV,
        messages=(accounts.KeyCard,),
        publishers=(Role.STORE,),
        subscribers=(Role.GATEWAY,),
        purpose="What an API key may do, by its hash: so keys are checked without the store.",
    ),
    Channel(
        pattern=subjects.account_mark("<account>"),
        kind=Kind.KV,
        messages=(accounts.AccountMark,),
        publishers=(Role.STORE,),
        subscribers=(Role.GATEWAY,),
        purpose="Since when a user's access tokens count, of which sign-ins they do not, or that "
        "the user was deleted.",
    ),
    Channel(
        pattern=subjects.orders(_WORKER),
        kind=Kind.CORE,
        messages=_union(Order),
        answers=_union(OrderReply),
        publishers=(Role.GATEWAY, Role.OPERATOR),
        subscribers=(Role.WORKER,),
        purpose="Orders to one worker process; but for those to stop an answer, each is answered.",
    ),
    Channel(
        pattern=subjects.ask(_WORKER),
        kind=Kind.CORE,
        messages=(Ask,),
        answers=(Alive,),
        publishers=(Role.GATEWAY, Role.WORKER, Role.OPERATOR),
        subscribers=(Role.WORKER,),
        purpose="Whether a worker process still works on a request: ask before stealing.",
    ),
    Channel(
        pattern=f"{subjects.PREFIX}.taken.<user>.<model>",
        kind=Kind.CORE,
        messages=(Taken,),
        publishers=(Role.WORKER,),
        subscribers=(Role.WORKER,),
        purpose="What a worker takes: so all that serve a model agree on whose turn it is.",
    ),
    Channel(
        pattern=subjects.encode(_WORKER),
        kind=Kind.CORE,
        messages=(Encode, embeddings.Embed),
        answers=(Encoded, embeddings.Embedded, Refused),
        publishers=(Role.GATEWAY,),
        subscribers=(Role.WORKER,),
        purpose="What a text is to a worker's model: its tokens, or its embedding.",
    ),
    Channel(
        pattern=f"{subjects.PREFIX}.tool.<tool>",
        kind=Kind.CORE,
        messages=(tools.CallTool,),
        answers=_union(tools.ToolReply),
        publishers=(Role.GATEWAY,),
        subscribers=(Role.TOOL,),
        purpose="A model called a tool: a process that serves it does what it does, and answers.",
    ),
    Channel(
        pattern=subjects.resume("<user>", "<rid>"),
        kind=Kind.CORE,
        messages=(Resume,),
        answers=_union(ResumeReply),
        publishers=(Role.WORKER,),
        subscribers=(Role.GATEWAY,),
        purpose="A worker learns how a request stands, and the prefix of one it took over.",
    ),
    Channel(
        pattern=subjects.hello("<user>"),
        kind=Kind.CORE,
        messages=(Hello,),
        answers=_union(HelloReply),
        publishers=(Role.WORKER,),
        subscribers=(Role.GATEWAY,),
        purpose="A worker of any protocol version asks to join.",
    ),
    Channel(
        pattern=subjects.revive("<user>"),
        kind=Kind.CORE,
        messages=(AskAgain,),
        answers=_union(AskAgainReply),
        publishers=(Role.OPERATOR,),
        subscribers=(Role.GATEWAY,),
        purpose="A dead letter's request is to be asked again.",
    ),
    Channel(
        pattern=subjects.ENROL,
        kind=Kind.CORE,
        messages=_union(enrolment.Enrolment),
        answers=_union(enrolment.EnrolmentReply),
        publishers=(Role.GATEWAY,),
        subscribers=(Role.OPERATOR,),
        purpose="Who may join as a worker: `mesh up` makes and removes the broker's users.",
    ),
    Channel(
        pattern=subjects.store("<query>"),
        kind=Kind.CORE,
        messages=tuple(QUERIES),
        answers=_unique((*QUERIES.values(), Refused)),
        publishers=(Role.GATEWAY, Role.OPERATOR),
        subscribers=(Role.STORE,),
        purpose="Queries about users, chats, runs and workers, each under its message's tag.",
    ),
    Channel(
        pattern=subjects.PARTINGS,
        kind=Kind.CORE,
        publishers=(Role.BROKER,),
        subscribers=(Role.GATEWAY,),
        purpose="The broker says that a connection ended: a dead worker's requests go to others.",
    ),
)
"""Every subject that the mesh itself speaks on; replies travel on `_INBOX_<user>.>`."""


def travelling() -> tuple[type[Struct], ...]:
    """Every message of the wire, in the order of the table."""
    kinds = (kind for channel in CHANNELS for kind in (*channel.messages, *channel.answers))
    return _unique(kinds)
