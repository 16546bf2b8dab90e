"""The requests that one follower keeps up to date, and what each message of the log does to them.

Speaks with no broker: messages are put in one after the other, live or read again, and what is
missing before one is told to whoever put it in.
"""

from collections.abc import Callable

from mesh.bus.entries import read_event, read_frame
from mesh.bus.one_by_one import passing_over
from mesh.bus.stored import Stored
from mesh.bus.track import Track
from mesh.protocol.errors import ErrorCode
from mesh.protocol.events import Cancelled, Claim, Done, End, Failed, FleetEvent, Queued, RunEvent
from mesh.protocol.run import Applied, Run, text_checksum
from mesh.protocol.subjects import RunSubject, Writer

LOST = "The mesh's log was replaced, and this request is not in the new one; ask again."
"""What is said of a request whose log is gone."""

BELIED = (
    "Some of what you were told was not what counts: its writer had lost the request to another "
    "before. Read this answer again, from its beginning."
)
"""What is said where words were told before the claim was heard of that had taken the pen away."""

SHORT = (
    "The end of this answer counts pieces that the mesh's log does not have: its worker wrote what "
    "is not so, or they are lost. Ask again."
)
"""What is said where all was read, and it is less than the end says."""

OnEvent = Callable[[RunSubject, RunEvent, int], None]


class Tracks:
    """The tracks of one reply address by request, and how far each chain of frames was applied.

    on_event hears every event of the address once it was applied, tracked or not. since: the
    log's sequence up to which all was put in, or came before we began; chains: the last frame that
    was applied beyond it, by subject.
    """

    def __init__(self, reply: str, on_event: OnEvent | None = None) -> None:
        self.since = 0
        self.chains: dict[str, int] = {}
        self._reply = reply
        self._on_event = on_event
        self._tracks: dict[str, Track] = {}
        self._bereft: list[tuple[Track, Queued]] = []

    def __len__(self) -> int:
        return len(self._tracks)

    # --- which there are --------------------------------------------------------------------------

    def begin(self, rid: str, start: int) -> Track:
        """Keep a request up to date from now on; `start` as in `Track`."""
        track = self._tracks[rid] = Track(rid, start)
        return track

    def ready(self, rid: str) -> Track | None:
        """The track of a request, unless its story is still being read."""
        track = self._tracks.get(rid)
        return track if track is not None and track.held is None else None

    def get(self, rid: str) -> Track | None:
        """The track of a request, even while its story is still being read."""
        return self._tracks.get(rid)

    def drop(self, track: Track) -> None:
        """Keep a request no longer."""
        if self._tracks.get(track.rid) is track:
            del self._tracks[track.rid]

    def forsake(self, track: Track) -> None:
        """Keep no longer what was not queued after all, unless somebody else does."""
        if not (track.landed or track.readers or track.run.queued or track.held is not None):
            self.drop(track)

    def holders(self) -> set[Writer]:
        """Whose latest claims the requests without an end have."""
        runs = [track.run for track in self._tracks.values()]
        return {run.pen[1] for run in runs if run.pen is not None and run.end is None}

    def held_by(self, writer: Writer) -> list[Track]:
        """The requests without an end whose latest claim is this writer's."""
        return [
            track
            for track in self._tracks.values()
            if track.run.pen is not None and track.run.pen[1] == writer and track.run.end is None
        ]

    # --- what is missing --------------------------------------------------------------------------

    def in_chain(self, stored: Stored) -> bool:
        """Whether the frame before this one, on the same subject, was applied."""
        return stored.previous <= self.chains.get(stored.subject, self.since)

    def settle(self, upto: int) -> None:
        """Everything up to a sequence was applied: links to frames before it need no check."""
        self.since = upto
        self.chains = {subject: seq for subject, seq in self.chains.items() if seq > upto}

    def unvouched(self, where: RunSubject, stored: Stored) -> bool:
        """Whether this is an end without a seal, which does not say how much came before it."""
        track = self._tracks.get(where.rid)
        if track is None or track.run.pen is None:
            return False
        event = read_event(stored)
        return isinstance(event, End) and event.seal is None

    # --- applying ---------------------------------------------------------------------------------

    def apply(self, where: RunSubject, stored: Stored, unheard: bool = False) -> list[Track]:
        """Apply a message to the tracks it is about; returns those that miss something before.

        unheard: it is read again, and was not heard live. What was said before a claim that was
        heard comes too late then, and counts for nothing, though the log counts it.
        """
        with passing_over(stored):  # it would be read again, and again, and nothing behind it
            if where.kind == "tok":
                return self._apply_frame(where, stored, unheard)
            return self._apply_event(where, stored)
        return []

    def _apply_frame(self, where: RunSubject, stored: Stored, unheard: bool) -> list[Track]:
        frame = read_frame(stored)
        broken, late = [], []
        for at, entry in enumerate(frame.entries if frame is not None else ()):
            track = self._tracks.get(entry.rid)
            if track is None:
                continue
            if track.held is not None:
                track.held.append(stored)
                continue
            odds = frame.odds_of(at) if frame is not None and frame.odds else []
            match track.run.entry(entry, where.writer, odds):
                case Applied.COUNTED:
                    track.counted = stored.seq
                    track.wake()
                case Applied.GAP:
                    broken.append(track)
                case Applied.IGNORED if unheard and stored.seq < track.run.claimed_at:
                    late.append(track)
        if not broken:
            self.chains[stored.subject] = stored.seq
        return broken + late

    def _apply_event(self, where: RunSubject, stored: Stored) -> list[Track]:
        event = read_event(stored)
        if isinstance(event, FleetEvent):
            return []
        track = self._tracks.get(where.rid)
        if track is not None and track.held is not None:
            track.held.append(stored)
        elif track is not None and not self._advance(track, where, stored, event):
            return [track]
        if event is not None:
            self._tell(where, event, stored.seq)
        return []

    def hold(self, track: Track, where: RunSubject, stored: Stored) -> list[Stored]:
        """Hold back what comes of a request from now on, until its whole story was read, which has
        this message too, before which something is missing. Returns what is held."""
        event = read_event(stored) if where.kind == "evt" else None
        if event is not None and not isinstance(event, FleetEvent):
            self._tell(where, event, stored.seq)
        track.held = []
        return track.held

    def _tell(self, where: RunSubject, event: RunEvent, seq: int) -> None:
        if self._on_event is not None:
            self._on_event(where, event, seq)

    def _advance(
        self, track: Track, where: RunSubject, stored: Stored, event: RunEvent | None
    ) -> bool:
        if (stored.expected or 0) > track.run.last or _belied(track, event, stored.seq):
            return False
        if event is None:
            track.run.skip(stored.seq)
            track.wake()
            return True
        if track.run.event(event, where.writer, stored.seq) is Applied.GAP:
            return False
        track.wake()
        if track.run.end is not None and not track.readers:
            self.drop(track)
        return True

    def mend(self, track: Track, run: Run) -> None:
        """Put what was read of the whole story in the place of what was heard.

        If that has other words, somebody was told what the log does not say: whoever reads it is
        told so, and it is followed no longer.
        """
        told = track.run
        forgotten = run.pen == told.pen and run.texts == told.texts[: run.count] != told.texts
        if forgotten or run.last < told.last:
            return
        if track.readers and run.texts[: told.count] != told.texts:
            told.end = Failed(uid="", code=ErrorCode.INTERNAL, detail=BELIED)
            self.drop(track)
        else:
            track.run = run

    def lose(self, track: Track, why: str = LOST) -> None:
        """Tell whoever reads a request why it cannot be read, and follow it no longer."""
        track.run.end = Failed(uid="", code=ErrorCode.INTERNAL, detail=why)
        self.drop(track)

    # --- a log that was replaced ------------------------------------------------------------------

    def start_over(self) -> None:
        """The log was created anew, or restored from a backup: all of it is put in again.

        What had a beginning, and has none in what is put in, has lost its log: `give_up` it then.
        """
        self.since = 0
        self.chains.clear()
        for track in self._tracks.values():
            if track.run.queued is not None:
                self._bereft.append((track, track.run.queued))
            track.start, track.run = 1, Run()

    def give_up(self, upto: int) -> None:
        """Tell whoever waits for a request that the log has lost it: nothing comes any more.

        upto: the sequence to which the new log was put in.
        """
        bereft, self._bereft = self._bereft, []
        for track, queued in bereft:
            if track.run.queued is not None:
                continue
            track.run.queued = queued  # whoever tells of the end tells what was asked as well
            end = track.run.end = Failed(uid="", code=ErrorCode.INTERNAL, detail=LOST)
            track.wake()
            self.drop(track)
            self._tell(RunSubject(self._reply, "evt", track.rid, Writer("", "")), end, upto)


def _belied(track: Track, event: RunEvent | None, seq: int) -> bool:
    """Whether an event says that words were counted which do not count: a claim before them, or a
    seal over others."""
    run = track.run
    match event:
        case Claim(n=n):
            return n > run.n and seq < track.counted
        case Done(seal=seal) | Failed(seal=seal) | Cancelled(seal=seal) if seal is not None:
            return seal.count == run.count and seal.text != text_checksum(run.text)
    return False
