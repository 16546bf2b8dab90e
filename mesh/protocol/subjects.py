"""Every subject of the mesh is spelled in this file, and nowhere else.

Subjects run from broad to narrow and start with the protocol version, so two versions can
share a broker without hearing each other. `HELLO` alone carries no version: it is where a
worker of any version asks whether it may join.
"""

import re
from functools import lru_cache
from typing import Literal, NamedTuple, Self
from zlib import crc32

VERSION = 1
PREFIX = f"m{VERSION}"

REQ_STREAM = "REQ"
RUN_STREAM = "RUN"
DLQ_STREAM = "DLQ"
WORKERS_BUCKET = "workers"
WORKERS_STREAM = f"KV_{WORKERS_BUCKET}"
LEASES_BUCKET = "leases"
LEASES_STREAM = f"KV_{LEASES_BUCKET}"
ACCOUNTS_BUCKET = "accounts"
ACCOUNTS_STREAM = f"KV_{ACCOUNTS_BUCKET}"

Priority = Literal["high", "normal", "low"]

LANES: dict[Priority, int] = {"high": 4, "normal": 8, "low": 4}
"""Lanes of each model's queue, the most urgent first; a tenant's prompts always wait in the same
one of each priority, as long as the tenant's weight is 1 or more."""

LIGHT = 2
"""So many more there are of each priority for tenants whose weight is less (`lane`)."""

FLEET = "fleet"
"""The reply address under which the workers' own comings and goings are logged.

The story of a worker process is a story like a request's: events under an id (`process`), fenced
in the same way, so that of two gateways who find a worker lost exactly one says so.
"""

TOOLS = "tools"
"""The address under which runs that call tools are told of (`mesh.protocol.tools`)."""

NO_REQUESTS = frozenset({FLEET, TOOLS})
"""The addresses under which no request is told of."""

_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_")


def token(text: str) -> str:
    """Spell any text as one subject token: UTF-8 bytes outside [A-Za-z0-9_-] become `=XX`.

    The result is also a valid consumer name and KV key. Reversed by `untoken`.
    """
    if not text:
        raise ValueError("a subject token cannot be empty")
    return "".join(chr(byte) if chr(byte) in _PLAIN else f"={byte:02X}" for byte in text.encode())


def untoken(spelled: str) -> str:
    """The text that `token` spelled."""
    head, *escapes = spelled.split("=")
    raw = head.encode() + b"".join(bytes.fromhex(e[:2]) + e[2:].encode() for e in escapes)
    return raw.decode()


def lane(tenant: str, priority: Priority = "normal", weight: float = 1.0) -> str:
    """The lane in which this tenant's prompts wait: its priority's initial and a number.

    Who has less than the usual share of the turns makes a lane wait the longer for its next one,
    with everybody in it. So they are apart from who has the usual share or more.
    """
    place = crc32(tenant.encode())
    usual = LANES[priority]
    return f"{priority[0]}{usual + place % LIGHT if weight < 1.0 else place % usual}"


class Writer(NamedTuple):
    """Who wrote a message to the log: a broker user, and one start of its process."""

    user: str
    inc: str

    def __str__(self) -> str:
        return f"{self.user}.{self.inc}"

    @classmethod
    def named(cls, name: str) -> Self:
        """Who is called so: NAME.INCARNATION."""
        user, _, inc = name.partition(".")
        return cls(user, inc)


class RunSubject(NamedTuple):
    """A subject of the RUN log, taken apart. kind is `evt` or `tok`; rid is "" for tokens."""

    reply: str
    kind: str
    rid: str
    writer: Writer


# --- REQ: prompts waiting for a worker -------------------------------------------------------

REQ_ALL = f"{PREFIX}.req.>"


ALL_LANES = tuple(
    f"{name[0]}{number}" for name, many in LANES.items() for number in range(many + LIGHT)
)


def req(model: str, tenant: str, priority: Priority = "normal", weight: float = 1.0) -> str:
    """Where a tenant's prompt for a model waits in its lane: `req.<model>+.<lane>.<tenant>`.

    No name is spelled with a plus: so what waits in lanes is apart from what does not.
    """
    return f"{PREFIX}.req.{token(model)}+.{lane(tenant, priority, weight)}.{token(tenant)}"


def reqs_of(model: str, tenant: str) -> str:
    """All that a tenant has waiting for a model in lanes, whatever its priority and weight."""
    return f"{PREFIX}.req.{token(model)}+.*.{token(tenant)}"


def req_in_line(model: str, tenant: str) -> str:
    """Where it waits while somebody serves the model who knows of no lanes: one line for all."""
    return f"{PREFIX}.req.{token(model)}.{crc32(tenant.encode()) % LANES['normal']}.{token(tenant)}"


def consumer(model: str, lane: str = "") -> str:
    """The name of the durable consumer that hands out a lane's prompts; "": those in line."""
    return f"{token(model)}+{lane}" if lane else token(model)


def model_of(consumer: str) -> str:
    """The model whose prompts a consumer hands out."""
    return untoken(consumer.partition("+")[0])


def handed_out_by(consumer: str) -> str:
    """All prompts that a consumer hands out, over all tenants."""
    model, plus, lane = consumer.partition("+")
    return f"{PREFIX}.req.{model}+.{lane}.*" if plus else f"{PREFIX}.req.{model}.>"


_ACK = re.compile(
    rf"\$JS\.ACK\.{REQ_STREAM}\.([A-Za-z0-9_=+-]+)\.[0-9]+\.([0-9]+)(?:\.[0-9]+){{3}}"
)


def acknowledges(address: str, model: str, item: int) -> bool:
    """Whether an address is the broker's, for what becomes of an item of a model's queue.

    Of one that somebody else names this is to be asked first: whoever writes there may write where
    that one may not.
    """
    match = _ACK.fullmatch(address)
    if match is None:
        return False
    return match[1].partition("+")[0] == token(model) and match[2] == str(item)


# --- RUN: the log --------------------------------------------------------------------------------

RUN_ALL = f"{PREFIX}.run.>"
LIVE_ALL = f"{PREFIX}.live.>"
RUN_EVENTS = f"{PREFIX}.run.*.evt.>"
LIVE_EVENTS = f"{PREFIX}.live.*.evt.>"


def event(reply: str, rid: str, writer: Writer) -> str:
    """Where a writer appends the events of one request."""
    return f"{PREFIX}.run.{reply}.evt.{rid}.{writer.user}.{writer.inc}"


def events_of(rid: str, reply: str = "*") -> str:
    """The fence of a request: all its events at its address, whoever wrote them; without the
    address, of what should not have begun at any.

    The request stands before the writer, because the server's check of the expected sequence
    slows with the number of subjects under the filter's literal prefix.
    """
    return f"{PREFIX}.run.{reply}.evt.{rid}.>"


def tokens(reply: str, writer: Writer) -> str:
    """Where one process appends its token frames for one reply address. One writer, ever."""
    return f"{PREFIX}.run.{reply}.tok.{writer.user}.{writer.inc}"


def process(writer: Writer) -> str:
    """The id under which one worker process's story (started, stopped or lost) is told."""
    return f"worker-{writer.user}-{writer.inc}"


def log_of(reply: str) -> str:
    """Everything stored for one reply address."""
    return f"{PREFIX}.run.{reply}.>"


def live(reply: str) -> str:
    """Everything republished for one reply address, after it was stored."""
    return f"{PREFIX}.live.{reply}.>"


@lru_cache(maxsize=1024)
def parse_run(subject: str) -> RunSubject:
    """Take a `run.` or `live.` subject apart. Raises ValueError if it is neither.

    Those of late are remembered: of a message several parts of a process ask in turns, and all the
    frames of one writer have one.
    """
    match subject.split("."):
        case [_, "run" | "live", reply, "evt", rid, user, inc]:
            return RunSubject(reply, "evt", rid, Writer(user, inc))
        case [_, "run" | "live", reply, "tok", user, inc]:
            return RunSubject(reply, "tok", "", Writer(user, inc))
        case _:
            raise ValueError(f"{subject!r} is not a subject of the RUN log")


def is_event(subject: str) -> bool:
    """Whether a `run.` subject is one of events, as RUN_EVENTS means them. For what the broker has
    stored; who writes may be called `evt` as well."""
    parts = subject.split(".", 4)
    return len(parts) == 5 and parts[3] == "evt"


# --- DLQ: requests that are not tried again -------------------------------------------------------

DLQ_ALL = f"{PREFIX}.dlq.>"


def dead_letter(model: str, rid: str) -> str:
    """Where a request is kept that took its workers down."""
    return f"{PREFIX}.dlq.{token(model)}.{rid}"


def dead_letter_of(rid: str) -> str:
    """The same, whatever its model."""
    return f"{PREFIX}.dlq.*.{rid}"


# --- core: orders, questions, queries ------------------------------------------------------------


def orders(writer: Writer) -> str:
    """Where a gateway or operator tells one worker process what to do (cancel, drain)."""
    return f"{PREFIX}.ctl.{writer.user}.{writer.inc}"


def ask(writer: Writer) -> str:
    """Where anybody asks a worker process whether it still works on a request."""
    return f"{PREFIX}.ask.{writer.user}.{writer.inc}"


def encode(writer: Writer) -> str:
    """Where a gateway asks a worker process for the tokens of a text."""
    return f"{PREFIX}.encode.{writer.user}.{writer.inc}"


RESUME_ALL = f"{PREFIX}.resume.*.*"


def resume(user: str, rid: str) -> str:
    """Where a worker asks the gateways how a request stands, and for the prefix it took over."""
    return f"{PREFIX}.resume.{user}.{rid}"


def taken(user: str = "*", model: str = "") -> str:
    """Where a worker tells the others that serve a model what it takes from the queue; without a
    name, that of any worker or model."""
    return f"{PREFIX}.taken.{user}.{token(model) if model else '*'}"


PARTINGS = "$SYS.ACCOUNT.MESH.DISCONNECT"
"""Where the broker says that a connection of the account MESH has ended."""


def tool(name: str) -> str:
    """Where a tool is asked to do its work; whoever serves it answers."""
    return f"{PREFIX}.tool.{token(name)}"


REVIVE_ALL = f"{PREFIX}.revive.*"


def revive(user: str) -> str:
    """Where an operator asks a gateway to ask a dead letter's request again."""
    return f"{PREFIX}.revive.{user}"


ENROL = f"{PREFIX}.enrol"
"""Where a gateway asks whoever keeps the broker's users to let a worker in, or no longer."""


STORE_ALL = f"{PREFIX}.store.*"


def store(query: str) -> str:
    """Where the store answers one kind of query (`query` is the message's tag)."""
    return f"{PREFIX}.store.{query}"


HELLO_ALL = "mesh.hello.*"


def hello(user: str) -> str:
    """Where a worker asks to join. Has no version, and must never get one."""
    return f"mesh.hello.{user}"


# --- KV: who is alive ----------------------------------------------------------------------------

PRESENCE_ALL = f"$KV.{WORKERS_BUCKET}.>"


def presence(user: str) -> str:
    """Where a worker says every few seconds that it lives."""
    return f"$KV.{WORKERS_BUCKET}.{user}"


# --- KV: who does what only one should -----------------------------------------------------------

LEASES_ALL = f"$KV.{LEASES_BUCKET}.>"


def lease(name: str) -> str:
    """Where the gateways settle which of them does a job."""
    return f"$KV.{LEASES_BUCKET}.{name}"


# --- KV: what every gateway has to know of accounts ----------------------------------------------

ACCOUNTS_ALL = f"$KV.{ACCOUNTS_BUCKET}.>"


def account_key(key_hash: str) -> str:
    """Where the store says what an API key may do, by the key's SHA-256 in hex."""
    return f"$KV.{ACCOUNTS_BUCKET}.key.{key_hash}"


def account_mark(user_id: str) -> str:
    """Where the store says since when a user's access tokens count, or that the user is gone."""
    return f"$KV.{ACCOUNTS_BUCKET}.user.{user_id}"
