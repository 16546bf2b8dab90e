"""JetStream's API as the mesh uses it: fenced appends, reads, declarations. Each call is one try.

Spoken directly (ADR-4, ADR-31 and ADR-43 of the NATS architecture), because nats-py's own calls
mutate headers, know no wildcard fence and no batched reads.
"""

import asyncio
import base64
import itertools
import sys
from collections.abc import AsyncIterator
from datetime import datetime
from typing import TypeVar

import msgspec
from msgspec import Struct, field
from nats.aio.msg import Msg

from mesh.bus.connection import Bus, BusError, NoResponders, Silence, status

T = TypeVar("T")

EXPECTED = "Nats-Expected-Last-Subject-Sequence"
EXPECTED_SUBJECT = "Nats-Expected-Last-Subject-Sequence-Subject"

WRONG_LAST = 10071
TRANSIENT_LAST = 10164
STORE_FAILED = 10077
NO_LEADER = 10008
LEADERLESS = frozenset({NO_LEADER, 10009})
"""What is said where no leader is known, by a cluster or by a node that has lost it."""

UNDECIDED = frozenset({10158, TRANSIENT_LAST})
"""What a leader says of an earlier try, also one that nobody follows any more."""

UNDER_WAY = frozenset({NO_LEADER, 10158})
"""What a cluster says of an append while it has no leader, or is not done with an earlier try."""

NOT_FOUND = 10037
NO_STREAM = 10059
WHATEVER_COMES = sys.maxsize
"""Up to where to read a bucket: of a key that is renewed meanwhile the new value, not none."""

_batches = itertools.count(1)
"""A number for each batch that is read: what comes late of one must not be taken for another's."""

BATCH, BATCH_BYTES = 512, 2 << 20
"""Messages asked for at once in a batched read, and about how many bytes they may have together.

Left to itself the broker sends as much as it may hold back for a connection, then breaks that one
off for being slow; whoever is behind by so much would never catch up.
"""


class Stored(Struct, frozen=True):
    """A message of a stream. at: Unix time by the broker's clock (0 where it is not known).

    expected: the sequence its append was fenced with, or None; previous: of a republished
    message, the sequence before it on the same subject.
    """

    seq: int
    subject: str
    data: bytes
    at: float = 0.0
    expected: int | None = None
    previous: int = 0


class ApiError(BusError):
    """JetStream refused. `code` is its err_code; `found` the last sequence it names, or None."""

    def __init__(self, code: int, description: str) -> None:
        super().__init__(f"{description} ({code})")
        self.code = code
        self.description = description
        tail = description.rpartition(": ")[2]
        self.found = int(tail) if code == WRONG_LAST and tail.isdigit() else None


class _Error(Struct):
    err_code: int = 0
    description: str = ""


class _Ack(Struct):
    error: _Error | None = None
    seq: int = 0


class _Raw(Struct):
    """hdrs: the header block, in base64."""

    subject: str
    seq: int
    data: str = ""
    time: str = ""
    hdrs: str = ""


class _Nodes(Struct):
    leader: str = ""


class _Head(Struct):
    """What any answer may begin with. cluster: the nodes of what was asked about, where there are
    several. Where these have lost one another each tells of it for itself, and names no leader."""

    error: _Error | None = None
    cluster: _Nodes | None = None

    @property
    def leaderless(self) -> bool:
        return self.cluster is not None and not self.cluster.leader


class _Get(Struct):
    error: _Error | None = None
    message: _Raw | None = None


class StreamState(Struct):
    messages: int = 0
    bytes: int = 0
    first_seq: int = 0
    last_seq: int = 0
    subjects: dict[str, int] = field(default_factory=dict)


class StreamConfig(Struct):
    name: str
    subjects: list[str] = field(default_factory=list)
    max_bytes: int = -1
    max_msgs: int = -1
    max_age: int = 0
    max_msgs_per_subject: int = -1


class StreamInfo(Struct):
    """What the broker says of a stream. `created` identifies it: a new stream has a new one.

    ts: the broker's clock when it said so; cluster: its nodes, where there are several.
    """

    config: StreamConfig
    state: StreamState
    created: str
    ts: str = ""
    cluster: _Nodes | None = None
    error: _Error | None = None


class ConsumerInfo(Struct):
    """What the broker says of a consumer: waiting, handed out and not yet acknowledged."""

    name: str
    num_pending: int = 0
    num_ack_pending: int = 0
    error: _Error | None = None


class _Names(Struct):
    consumers: list[str] | None = None
    error: _Error | None = None


class JetStream:
    """The calls, over one bus. `timeout` in seconds for each."""

    def __init__(self, bus: Bus, timeout: float = 2.0) -> None:
        self.bus = bus
        self.timeout = timeout

    async def append(self, subject: str, data: bytes, headers: dict[str, str] | None = None) -> int:
        """Store a message and return its sequence. Raises ApiError where the stream refuses."""
        answer = await self._ask(subject, data, headers)
        ack = msgspec.json.decode(answer.data, type=_Ack)
        self._heed(ack.error)
        if ack.error:
            raise ApiError(ack.error.err_code, ack.error.description)
        return ack.seq

    async def end(self, stream: str) -> int:
        """The leader's last sequence of a stream, 0 where it never had a message."""
        return (await self.stream_info(stream)).state.last_seq

    async def last(self, stream: str, subject: str) -> Stored | None:
        """The leader's last message under a subject, or None.

        With wildcards the broker looks at every subject that fits: right for those of one request,
        and for a whole log the slower, the longer it is kept. Ask for its `end` instead.
        """
        found: _Get = await self.api(f"STREAM.MSG.GET.{stream}", {"last_by_subj": subject}, _Get)
        return None if found.message is None else _stored(found.message)

    async def delete(self, stream: str, seq: int) -> None:
        """Take one message out of a stream. Raises ApiError where there is none, BusError."""
        await self.api(f"STREAM.MSG.DELETE.{stream}", {"seq": seq, "no_erase": True}, _Head)

    async def next(self, stream: str, subject: str, start: int) -> Stored | None:
        """The leader's first message under a subject from sequence `start` on, or None."""
        query = {"seq": start, "next_by_subj": subject}
        found: _Get = await self.api(f"STREAM.MSG.GET.{stream}", query, _Get)
        return None if found.message is None else _stored(found.message)

    async def get(self, stream: str, seq: int) -> Stored | None:
        """The leader's message of one sequence, or None where it has it no more. The cheapest look
        there is: the broker searches for nothing."""
        found: _Get = await self.api(f"STREAM.MSG.GET.{stream}", {"seq": seq}, _Get)
        return None if found.message is None else _stored(found.message)

    async def read(
        self, stream: str, subject: str, start: int, upto: int
    ) -> AsyncIterator[list[Stored]]:
        """Messages under `subject` from sequence `start` to `upto`, in order, in batches.

        Direct gets: a lagging replica may answer, so the end may come before `upto` is reached;
        compare the last sequence with the leader's word, by `last` or `next`. There is no hole in
        what comes: where a message was lost on its way, it is read again from there.
        """
        while start <= upto:
            batch, more = await self._batch(stream, subject, start)
            wanted = [stored for stored in batch if stored.seq <= upto]
            if wanted:
                yield wanted
            if not more or len(wanted) < len(batch) or not batch:
                return
            start = batch[-1].seq + 1

    async def _batch(self, stream: str, subject: str, start: int) -> tuple[list[Stored], bool]:
        """One batch, as far as it came without a hole, and whether there is more."""
        got: list[Stored] = []
        loop = asyncio.get_running_loop()
        done: asyncio.Future[bool] = loop.create_future()
        heard = loop.time()  # patience goes from each message to the next

        def receive(msg: Msg) -> None:
            nonlocal heard
            if done.done():
                return
            heard = loop.time()
            if not _follows(msg, got[-1].seq if got else 0):
                if got:
                    done.set_result(True)  # to be read on from there
                else:
                    done.set_exception(Silence("the beginning of a batch was lost"))
            elif status(msg):
                _end_of_batch(msg, done)
            else:
                got.append(_direct(msg))

        inbox = f"{self.bus.inbox}.b.{next(_batches)}"
        subscription = await self.bus.listen(inbox, receive)
        query = {"seq": start, "next_by_subj": subject, "batch": BATCH, "max_bytes": BATCH_BYTES}
        try:
            await self.bus.send(f"$JS.API.DIRECT.GET.{stream}", msgspec.json.encode(query), inbox)
            while not done.done():
                left = heard + self.timeout - loop.time()
                if left <= 0:
                    raise Silence(f"reading {stream} from {start} was not answered")
                await asyncio.wait({done}, timeout=left)
            more = done.result()
        finally:
            done.cancel()
            if not self.bus.client.is_closed:
                await subscription.unsubscribe()
        return got, more

    async def stream_info(self, stream: str, subject: str = "") -> StreamInfo:
        """How a stream is, by its leader; with a subject, also how many messages each one under it
        has. Raises BusError, also where there is no leader: what any other node of a cluster has of
        the stream may be what it had long ago."""
        query = {"subjects_filter": subject} if subject else {}
        info = await self.api(f"STREAM.INFO.{stream}", query, StreamInfo)
        if info.cluster is not None and not info.cluster.leader:
            raise ApiError(NO_LEADER, f"The stream {stream} has no leader")
        return info

    async def consumer_info(self, stream: str, consumer: str) -> ConsumerInfo:
        return await self.api(f"CONSUMER.INFO.{stream}.{consumer}", {}, ConsumerInfo)

    async def consumer_names(self, stream: str) -> list[str]:
        names: _Names = await self.api(f"CONSUMER.NAMES.{stream}", {}, _Names)
        return names.consumers or []

    async def api(self, verb: str, query: object, kind: type[T]) -> T:
        """One call of `$JS.API.<verb>`; raises ApiError on a refusal."""
        data = msgspec.json.encode(query)
        answer = await self._ask(f"$JS.API.{verb}", data)
        head = msgspec.json.decode(answer.data, type=_Head)
        self._heed(head.error, head.leaderless)
        why = _refusal(head.error)
        if why is not None and why.code != NOT_FOUND:
            raise why
        return msgspec.json.decode(answer.data, type=kind)

    async def _ask(self, subject: str, data: bytes, headers: dict[str, str] | None = None) -> Msg:
        """Ask whoever leads there. Raises BusError."""
        try:
            return await self.bus.request(subject, data, self.timeout, headers)
        except (Silence, NoResponders):
            self.bus.seclusion.unanswered()
            raise

    def _heed(self, error: _Error | None, leaderless: bool = False) -> None:
        """Tell what an answer says of the node through which it came."""
        code = error.err_code if error else 0
        if leaderless or code in LEADERLESS:
            self.bus.seclusion.unanswered()
        elif code not in UNDECIDED:
            self.bus.seclusion.answered()


def refusal(answer: bytes) -> ApiError | None:
    """Why JetStream refuses, by an answer of its API; None where it does not."""
    return _refusal(msgspec.json.decode(answer, type=_Head).error)


def _refusal(error: _Error | None) -> ApiError | None:
    return None if error is None else ApiError(error.err_code, error.description)


def _follows(msg: Msg, last: int) -> bool:
    """Whether nothing is missing before a message of a batch; last: sequence of the one before.

    What comes while the connection is away is lost, and what follows is not, if it is back soon.
    """
    before = (msg.headers or {}).get("Nats-Last-Sequence")
    return before is None or int(before) == last


def _end_of_batch(msg: Msg, done: asyncio.Future[bool]) -> None:
    """Whether there is more, as the last message of a batch says, or why there was no answer.

    Nothing found is an end; a stream that does not serve just now is none.
    """
    match status(msg):
        case "204":
            done.set_result(int((msg.headers or {}).get("Nats-Num-Pending", "0")) > 0)
        case "404":
            done.set_result(False)
        case "503":
            done.set_exception(NoResponders("the stream does not answer just now"))
        case other:
            done.set_exception(Silence(f"a batch was ended with status {other}"))


def fence(expected: int, subject: str = "") -> dict[str, str]:
    """Headers that let an append pass only if `expected` is the last sequence.

    The last one under `subject` (a filter with wildcards, spelled the same by all who may write at
    the same time: a cluster tells their appends apart by it), or under the append's own subject
    when that is "".
    """
    headers = {EXPECTED: str(expected)}
    if subject:
        headers[EXPECTED_SUBJECT] = subject
    return headers


def republished(msg: Msg) -> Stored:
    """A message as it comes on a `live.` subject, after it was stored."""
    headers = msg.headers or {}
    seq = int(headers["Nats-Sequence"])
    return Stored(
        seq=seq,
        subject=headers["Nats-Subject"],
        data=msg.data,
        expected=_fenced(headers.get(EXPECTED), seq),
        previous=int(headers["Nats-Last-Sequence"]),
    )


def _direct(msg: Msg) -> Stored:
    headers = msg.headers or {}
    seq = int(headers["Nats-Sequence"])
    return Stored(
        seq=seq,
        subject=headers["Nats-Subject"],
        data=msg.data,
        at=unix(headers["Nats-Time-Stamp"]),
        expected=_fenced(headers.get(EXPECTED), seq),
    )


def _stored(raw: _Raw) -> Stored:
    return Stored(
        seq=raw.seq,
        subject=raw.subject,
        data=base64.b64decode(raw.data),
        at=unix(raw.time),
        expected=_expected(base64.b64decode(raw.hdrs), raw.seq),
    )


def _expected(headers: bytes, seq: int) -> int | None:
    """The sequence that an append was fenced with, in its stored header block (ADR-4)."""
    for line in headers.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name == EXPECTED.encode():
            return _fenced(value.decode("ascii", "replace").strip(), seq)
    return None


def _fenced(said: str | None, seq: int) -> int | None:
    """The sequence that the append stored at `seq` says to have been fenced with: one before it.

    The broker takes what is no number for no fence at all; a writer gone mad may have put it there.
    """
    if said is None or not (said.isascii() and said.isdigit() and len(said) <= len(str(seq))):
        return None
    found = int(said)
    return found if found < seq else None


def unix(stamp: str) -> float:
    """Unix time of the broker's time stamps: RFC 3339 in UTC, with nanoseconds."""
    whole, _, fraction = stamp.rstrip("Z").partition(".")
    seconds = datetime.fromisoformat(f"{whole}+00:00").timestamp()
    return seconds + float(f"0.{fraction or 0}")
