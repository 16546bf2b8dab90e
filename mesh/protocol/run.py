"""The rule of the latest claim: what a request's log means. A pure state machine, no I/O.

Apply a log in its order. A claim with a higher `n` takes the pen; the pen is (n, writer); an
entry counts only if it is written with the pen and begins where the text ends; a terminal event
closes. Every reader who applies the same log arrives at the same text, so a worker that was
paused and wakes up may go on writing: nobody counts it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from hashlib import sha256
from itertools import chain

from msgspec.json import encode as encode_json

from mesh.protocol.events import (
    Cancel,
    Cancelled,
    Claim,
    Deleted,
    Done,
    End,
    Failed,
    Queued,
    RunEvent,
    Seal,
)
from mesh.protocol.frames import Entry, Odds
from mesh.protocol.numbers import LEAP
from mesh.protocol.questions import Loss
from mesh.protocol.subjects import Writer
from mesh.protocol.tool_story import WRITER


class Applied(Enum):
    """What became of one message of the log."""

    COUNTED = "counted"
    """It changed the state."""
    IGNORED = "ignored"
    """It was written without the pen, twice, or after the end."""
    GAP = "gap"
    """Something before it is missing: read the log from where you are, then apply it again."""


def text_checksum(text: str) -> str:
    """SHA-256 of the UTF-8 text, in hex: `Seal.text`."""
    return sha256(text.encode()).hexdigest()


def ids_checksum(ids: list[tuple[int, ...]]) -> str:
    """SHA-256 of all token ids in decimal, joined by commas, in hex: `Seal.ids`."""
    return sha256(encode_json(list(chain.from_iterable(ids)))[1:-1]).hexdigest()


@dataclass(slots=True)
class Run:
    """One request as its log tells it.

    texts[k] is piece k; ids[k] its token ids, or ids is None once a writer gave none; odds[k] how
    likely it was, empty where nobody asked. dropped: pieces before the first of these that were let
    go. pen is None before the first claim; worker is the latest that a worker had: a gateway takes
    the pen only to end what nobody has ended. queued_at, claimed_at and last are sequences: of the
    first event, of the latest claim, and of the last event applied. bare: only events are applied,
    to learn how the request stands; its texts stay empty and no seal waits for them.
    fingerprints, claimants: of all claims, in order; losses: of holders, in order; deleted: it is
    not to be shown any more; withdrawn: it was cancelled because others that belong to it were
    refused.
    end_writer: who wrote the end; only whoever checks the log asks for it (`tests/truth.py`).
    read_upto: up to this sequence the log was read for it, in order; 0 where it was heard only.
    """

    queued: Queued | None = None
    queued_at: int = 0
    pen: tuple[int, Writer] | None = None
    worker: tuple[int, Writer] | None = None
    claim: Claim | None = None
    claimed_at: int = 0
    fingerprints: list[str] = field(default_factory=list)
    claimants: list[Writer] = field(default_factory=list)
    cancel: bool = False
    end: End | None = None
    end_writer: Writer | None = None
    last: int = 0
    texts: list[str] = field(default_factory=list)
    ids: list[tuple[int, ...]] | None = field(default_factory=list)
    odds: list[Odds] = field(default_factory=list)
    dropped: int = 0
    bare: bool = False
    losses: list[Loss] = field(default_factory=list)
    deleted: bool = False
    withdrawn: bool = False
    read_upto: int = 0

    @property
    def n(self) -> int:
        """The number of the latest claim; 0 before the first."""
        return self.pen[0] if self.pen else 0

    @property
    def count(self) -> int:
        """How many pieces there are up to now, also of those that were let go."""
        return self.dropped + len(self.texts)

    @property
    def text(self) -> str:
        return "".join(self.texts)

    def pieces(self, index: int, upto: int) -> list[str]:
        """The texts of pieces `index` to before `upto`, none of which was let go."""
        return self.texts[index - self.dropped : upto - self.dropped]

    def odds_of(self, index: int) -> list[Odds]:
        """How likely piece `index` was, as a list of one; empty where nobody asked."""
        at = index - self.dropped
        return self.odds[at : at + 1]

    def let_go(self, before: int) -> None:
        """Hold the pieces before piece `before` no longer; there is no seal over such a run."""
        gone = min(before, self.count) - self.dropped
        if gone > 0:
            del self.texts[:gone], self.odds[:gone]
            if self.ids is not None:
                del self.ids[:gone]
            self.dropped += gone

    def event(self, event: RunEvent, writer: Writer, seq: int, in_order: bool = False) -> Applied:
        """Apply an event stored at sequence `seq` of the log.

        in_order: all that the log has before it was put in, if the first event was. An end over
        more pieces than that counts all the same then: whoever writes an end writes nothing after.
        """
        if seq <= self.last or self.end is not None:
            return self._deleted(writer, seq) if isinstance(event, Deleted) else Applied.IGNORED
        match event:
            case Queued():
                if self.queued is None:  # nobody asks for something else under its name
                    self.queued, self.queued_at = event, seq
            case Claim():
                if not self.n < event.n <= self.n + LEAP:
                    self.skip(seq)  # it counts for nothing, but stands there
                    return Applied.IGNORED
                if event.lost and self.pen is not None:
                    self.losses.append(Loss(str(self.pen[1]), self.count))
                self.pen, self.claim, self.claimed_at = (event.n, writer), event, seq
                if writer.user != WRITER:
                    self.worker = self.pen
                self.fingerprints.append(event.fingerprint)
                self.claimants.append(writer)
            case Cancel(withdrawn=withdrawn):
                self.cancel = True
                self.withdrawn = self.withdrawn or withdrawn
            case Done() | Failed() | Cancelled():
                all_there = self.bare or (in_order and self.queued is not None)
                if not all_there and event.seal and self.count < event.seal.count:
                    return Applied.GAP
                self.end, self.end_writer = event, writer
        self.last = seq
        return Applied.COUNTED

    def _deleted(self, writer: Writer, seq: int) -> Applied:
        """A gateway deletes what has ended; nobody else does, and nothing else is behind an end."""
        if seq <= self.last or writer.user != WRITER:
            return Applied.IGNORED
        self.deleted, self.last = True, seq
        return Applied.COUNTED

    def skip(self, seq: int) -> None:
        """An event that we cannot read, as a newer version's: it changes nothing that we know, but
        whoever appends next has to follow on it."""
        if self.end is None:
            self.last = max(self.last, seq)

    def entry(self, entry: Entry, writer: Writer, odds: Sequence[Odds] = ()) -> Applied:
        """Apply an entry of a token frame, with the odds of its texts where they were asked for."""
        if self.end is not None:
            return Applied.IGNORED
        if self.pen is None or entry.n > self.pen[0]:
            return Applied.GAP
        if self.pen != (entry.n, writer):
            return Applied.IGNORED
        have = self.count
        new = entry.index + len(entry.texts) - have
        if entry.index > have:
            return Applied.GAP
        if new <= 0:
            return Applied.IGNORED
        self.texts += entry.texts[-new:]
        self.odds += odds[-new:]
        if self.ids is not None:
            if entry.ids is None or len(entry.ids) != len(entry.texts):
                self.ids = None
            else:
                self.ids += entry.ids[-new:]
        return Applied.COUNTED

    def seal(self) -> Seal:
        """The seal over everything applied so far."""
        ids = None if self.ids is None else ids_checksum(self.ids)
        return Seal(count=len(self.texts), text=text_checksum(self.text), ids=ids)

    @property
    def short(self) -> bool:
        """Whether its end counts pieces that the log does not have, and never will."""
        if self.bare or self.end is None or self.end.seal is None:
            return False
        return self.count < self.end.seal.count

    def sealed(self) -> bool:
        """Whether the terminal event's seal, if it carries one, fits what was read."""
        if self.end is None or self.end.seal is None:
            return self.end is not None
        mine, theirs = self.seal(), self.end.seal
        ids_fit = theirs.ids is None or mine.ids is None or theirs.ids == mine.ids
        return mine.count == theirs.count and mine.text == theirs.text and ids_fit
