"""Holds log, clients and database against one another and counts what is wrong. Pure.

The log is the truth about what was said; that it is sound in itself is checked as well: one end
each, its seal over what was read, and every word the one that had to come at its place.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from mesh.protocol.messages import Cancelled, Done, Failed
from tests.chaos.plan import WORDS, Ask
from tests.chaos.story import Story

ECHO = "echo"
"""The model whose every word is known beforehand."""


@dataclass
class Transcript:
    """What one client read of one answer: pieces with their numbers, over all its connections.

    ended: `done`, `cancelled`, `error: …`, or "" for a client that left for good; whole: the text
    as one message, for a client that came when the answer had ended.
    """

    number: int
    pieces: list[tuple[int, str]] = field(default_factory=list)
    ended: str = ""
    total: int = -1
    whole: str | None = None


@dataclass
class Verdict:
    """The four counts, what else is wrong, and a sentence for each case."""

    requests: int = 0
    readings: int = 0
    tokens: int = 0
    lost: int = 0
    duplicated: int = 0
    out_of_order: int = 0
    never_ended: int = 0
    wrong: int = 0
    ends: Counter[str] = field(default_factory=Counter)
    models: Counter[str] = field(default_factory=Counter)
    takeovers: int = 0
    said: list[str] = field(default_factory=list)

    @property
    def clean(self) -> bool:
        counts = (self.lost, self.duplicated, self.out_of_order, self.never_ended, self.wrong)
        return not any(counts)

    def blame(self, count: str, why: str) -> None:
        setattr(self, count, getattr(self, count) + 1)
        self.said.append(f"{count}: {why}")


Row = tuple[str, str]
"""State and text of a run in the database."""


def check(
    stories: Iterable[Story],
    asks: Iterable[Ask],
    transcripts: Iterable[Transcript],
    rows: Mapping[str, Row] | None,
) -> Verdict:
    """Everything that has to hold after a campaign. rows: by rid; None where no store was."""
    verdict = Verdict()
    by_number: dict[int, Story] = {}
    for story in stories:
        verdict.requests += 1
        if story.number in by_number:
            verdict.blame("duplicated", f"#{story.number} was queued twice")
        by_number[story.number] = story
        _check_story(verdict, story)
        if rows is not None:
            _check_row(verdict, story, rows.get(story.rid))
    asked = {ask.number: ask for ask in asks}
    for transcript in transcripts:
        verdict.readings += 1
        story_of = by_number.get(transcript.number)
        if story_of is None:
            verdict.blame("lost", f"#{transcript.number} is not in the log")
        else:
            _check_reading(verdict, transcript, story_of, asked[transcript.number])
    return verdict


def _check_story(verdict: Verdict, story: Story) -> None:
    run, name = story.run, f"#{story.number}"
    verdict.tokens += len(run.texts)
    verdict.models[story.model] += 1
    verdict.takeovers += max(0, len(story.claims) - 1)
    if run.end is None:
        return verdict.blame("never_ended", f"{name} has {len(run.texts)} pieces and no end")
    verdict.ends[_kind(story)] += 1
    if story.ends != 1:
        verdict.blame("duplicated", f"{name} has {story.ends} ends")
    if not run.sealed() or (run.end.seal is not None and run.end.text != run.text):
        verdict.blame("wrong", f"{name}: the seal does not fit its {len(run.texts)} pieces")
    if story.model == ECHO:
        words = [f"#{story.number}", *WORDS]
        for place, text in enumerate(run.texts):
            if text.partition("~")[0] != words[place % len(words)]:
                verdict.blame("wrong", f"{name}: piece {place} is {text!r}")
                break


def _check_row(verdict: Verdict, story: Story, row: Row | None) -> None:
    end = story.run.end
    if end is None:
        return
    expected = ("done" if isinstance(end, Done) else _kind(story).partition(":")[0], end.text)
    if row is None:
        verdict.blame("lost", f"#{story.number} is not in the database")
    elif row != expected:
        verdict.blame("wrong", f"#{story.number}: the database has {row}, the log {expected}")


def _check_reading(verdict: Verdict, transcript: Transcript, story: Story, ask: Ask) -> None:
    name, truth = f"#{transcript.number} ({ask.client})", story.run.texts
    at = 0
    for index, text in transcript.pieces:
        if index < at:
            kind = "duplicated" if truth[index : index + 1] == [text] else "out_of_order"
            return verdict.blame(kind, f"{name}: piece {index} came after {at - 1}")
        if index > at:
            return verdict.blame("lost", f"{name}: piece {index} came after {at - 1}")
        if truth[index : index + 1] != [text]:
            return verdict.blame("wrong", f"{name}: piece {index} was read as {text!r}")
        at += 1
    if not transcript.ended:
        return
    if transcript.ended == "nothing":
        return verdict.blame("never_ended", f"{name}: its client was never told of an end")
    if transcript.whole is not None and transcript.whole != story.run.text:
        verdict.blame("wrong", f"{name}: the message says {transcript.whole!r}")
    came_late = transcript.whole is not None and not transcript.pieces
    if transcript.ended in ("done", "cancelled") and at != len(truth) and not came_late:
        verdict.blame("lost", f"{name}: {at} of {len(truth)} pieces were read")
    if transcript.ended == "done" and transcript.total not in (-1, len(truth)):
        verdict.blame("wrong", f"{name}: told of {transcript.total} pieces, not {len(truth)}")
    if transcript.ended == "done" and not isinstance(story.run.end, Done):
        verdict.blame("wrong", f"{name}: told it was done, but it is {_kind(story)}")


def _kind(story: Story) -> str:
    match story.run.end:
        case Done():
            return "done"
        case Cancelled():
            return "cancelled"
        case Failed(code=code):
            return f"failed: {code.value}"
    return "none"
