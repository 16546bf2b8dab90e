"""JetStream's API as the mesh uses it: fenced appends, reads, declarations. Each call is one try.

Spoken directly (ADR-4, ADR-31 and ADR-43 of the NATS architecture), because nats-py's own calls
mutate headers, know no wildcard fence and no batched reads.
"""

import sys
from collections.abc import AsyncIterator
from typing import TypeVar

import msgspec
from nats.aio.msg import Msg

from mesh.bus.api import (
    LEADERLESS,
    NO_LEADER,
    NOT_FOUND,
    UNDECIDED,
    Ack,
    AnyAnswer,
    ApiError,
    ConsumerInfo,
    Error,
    Get,
    Names,
    StreamInfo,
    refused,
)
from mesh.bus.batch import read_batch
from mesh.bus.connection import Bus, NoResponders, Silence
from mesh.bus.stored import Stored, unpacked

T = TypeVar("T")

WHATEVER_COMES = sys.maxsize
"""Up to where to read a bucket: of a key that is renewed meanwhile the new value, not none."""


class JetStream:
    """The calls, over one bus. `timeout` in seconds for each."""

    def __init__(self, bus: Bus, timeout: float = 2.0) -> None:
        self.bus = bus
        self.timeout = timeout

    async def append(self, subject: str, data: bytes, headers: dict[str, str] | None = None) -> int:
        """Store a message and return its sequence. Raises ApiError where the stream refuses."""
        answer = await self._ask(subject, data, headers)
        ack = msgspec.json.decode(answer.data, type=Ack)
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
        found: Get = await self.api(f"STREAM.MSG.GET.{stream}", {"last_by_subj": subject}, Get)
        return None if found.message is None else unpacked(found.message)

    async def delete(self, stream: str, seq: int) -> None:
        """Take one message out of a stream. Raises ApiError where there is none, BusError."""
        await self.api(f"STREAM.MSG.DELETE.{stream}", {"seq": seq, "no_erase": True}, AnyAnswer)

    async def next(self, stream: str, subject: str, start: int) -> Stored | None:
        """The leader's first message under a subject from sequence `start` on, or None."""
        query = {"seq": start, "next_by_subj": subject}
        found: Get = await self.api(f"STREAM.MSG.GET.{stream}", query, Get)
        return None if found.message is None else unpacked(found.message)

    async def get(self, stream: str, seq: int) -> Stored | None:
        """The leader's message of one sequence, or None where it has it no more. The cheapest look
        there is: the broker searches for nothing."""
        found: Get = await self.api(f"STREAM.MSG.GET.{stream}", {"seq": seq}, Get)
        return None if found.message is None else unpacked(found.message)

    async def read(
        self, stream: str, subject: str, start: int, upto: int
    ) -> AsyncIterator[list[Stored]]:
        """Messages under `subject` from sequence `start` to `upto`, in order, in batches.

        Direct gets: a lagging replica may answer, so the end may come before `upto` is reached;
        compare the last sequence with the leader's word, by `last` or `next`. There is no hole in
        what comes: where a message was lost on its way, it is read again from there.
        """
        while start <= upto:
            batch, more = await read_batch(self.bus, stream, subject, start, self.timeout)
            wanted = [stored for stored in batch if stored.seq <= upto]
            if wanted:
                yield wanted
            if not more or len(wanted) < len(batch) or not batch:
                return
            start = batch[-1].seq + 1

    async def stream_info(self, stream: str, subject: str = "") -> StreamInfo:
        """How a stream is, by its leader; with a subject, also how many messages each one under it
        has. Raises BusError, also where there is no leader: what any other node of a cluster has of
        the stream may be what it had long ago."""
        query = {"subjects_filter": subject} if subject else {}
        info = await self.api(f"STREAM.INFO.{stream}", query, StreamInfo)
        if info.cluster is not None and not info.cluster.leader:
            raise ApiError(NO_LEADER, f"The stream {stream} has no leader")
        return info

    async def stream_names(self) -> list[str]:
        names: Names = await self.api("STREAM.NAMES", {}, Names)
        return names.streams or []

    async def consumer_info(self, stream: str, consumer: str) -> ConsumerInfo:
        return await self.api(f"CONSUMER.INFO.{stream}.{consumer}", {}, ConsumerInfo)

    async def consumer_names(self, stream: str) -> list[str]:
        names: Names = await self.api(f"CONSUMER.NAMES.{stream}", {}, Names)
        return names.consumers or []

    async def api(self, verb: str, query: object, kind: type[T]) -> T:
        """One call of `$JS.API.<verb>`; raises ApiError on a refusal."""
        data = msgspec.json.encode(query)
        answer = await self._ask(f"$JS.API.{verb}", data)
        head = msgspec.json.decode(answer.data, type=AnyAnswer)
        self._heed(head.error, head.leaderless)
        why = refused(head.error)
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

    def _heed(self, error: Error | None, leaderless: bool = False) -> None:
        """Tell what an answer says of the node through which it came."""
        code = error.err_code if error else 0
        if leaderless or code in LEADERLESS:
            self.bus.seclusion.unanswered()
        elif code not in UNDECIDED:
            self.bus.seclusion.answered()
