"""Holds log, clients and database against one another and counts what is wrong. Pure.

The log is the truth about what was said; that it is sound in itself is checked as well: one end
each, and the one that it had to have (`ends.py`), its seal over what was read, and every word the
one that had to come at its place.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal, get_args

from mesh.gateway.anew import void
from mesh.protocol.events import Cancelled, Done, Failed
from tests.chaos.by_log import differences
from tests.chaos.ends import Known, amiss, broke_off, ended_itself, mistold
from tests.chaos.kept import Kept
from tests.chaos.plan import ECHO, WORDS, Ask
from tests.chaos.story import Story

NOTHING = Known()


@dataclass
class Transcript:
    """What one client read of one answer: pieces with their numbers, over all its connections.

    ended: `done`, `cancelled`, `error: …`, or "" for a client that left for good; whole: the text
    as one message, for a client that came when the answer had ended; calls: a sentence for each
    connection on which it was read, told if it comes to no end.
    """

    number: int
    pieces: list[tuple[int, str]] = field(default_factory=list)
    ended: str = ""
    total: int = -1
    whole: str | None = None
    calls: list[str] = field(default_factory=list)


Count = Literal[
    "lost", "duplicated", "out_of_order", "never_ended", "wrong", "wrongly_ended", "never_granted"
]
"""What has to be nought."""


@dataclass
class Verdict:
    """The four counts, what else is wrong, and a sentence for each case.

    wrongly_ended: answers with another end than they had to have, or told to have it;
    never_granted: clients that were never granted what they asked for, however often.
    """

    requests: int = 0
    readings: int = 0
    tokens: int = 0
    lost: int = 0
    duplicated: int = 0
    out_of_order: int = 0
    never_ended: int = 0
    wrong: int = 0
    wrongly_ended: int = 0
    never_granted: int = 0
    ends: Counter[str] = field(default_factory=Counter)
    models: Counter[str] = field(default_factory=Counter)
    takeovers: int = 0
    said: list[str] = field(default_factory=list)

    @property
    def counts(self) -> dict[str, int]:
        """All of them, each by its name in words."""
        return {name.replace("_", " "): getattr(self, name) for name in get_args(Count)}

    @property
    def clean(self) -> bool:
        return not any(self.counts.values())

    def blame(self, count: Count, why: str) -> None:
        setattr(self, count, getattr(self, count) + 1)
        self.said.append(f"{count}: {why}")


def check(
    stories: Iterable[Story],
    asks: Iterable[Ask],
    transcripts: Iterable[Transcript],
    kept: Kept | None,
    known: Known = NOTHING,
) -> Verdict:
    """Everything that has to hold after a campaign. kept: in the database; None: no store was.

    What was refused is asked again under its key, and is queued anew then.
    """
    verdict, stories = Verdict(), list(stories)
    by_number: dict[int, Story] = {}
    asked = {ask.number: ask for ask in asks}
    for story in stories:
        verdict.requests += 1
        former = by_number.get(story.number)
        if former is not None and not void(former.run):
            verdict.blame("duplicated", f"#{story.number} was queued twice")
        by_number[story.number] = story
        _check_story(verdict, story, asked.get(story.number))
        _check_end(verdict, story, asked.get(story.number), known)
    for count, why in differences(stories, kept) if kept is not None else ():
        verdict.blame(count, why)
    for transcript in transcripts:
        verdict.readings += 1
        story_of = by_number.get(transcript.number)
        if story_of is None:
            verdict.blame("lost", f"#{transcript.number} is not in the log")
        else:
            _check_reading(verdict, transcript, story_of, asked[transcript.number], known)
    _check_known(verdict, known)
    return verdict


def _check_known(verdict: Verdict, known: Known) -> None:
    """What was noticed while it happened, and needs no log."""
    for why in known.never_granted:
        verdict.blame("never_granted", why)
    for why in known.blunt:
        verdict.blame("wrong", why)
    for cut in known.cuts:
        if why := broke_off(cut, known):
            verdict.blame("never_ended", why)
    for left in known.left:
        if why := ended_itself(left, known):
            verdict.blame("wrong", why)


def _check_story(verdict: Verdict, story: Story, ask: Ask | None) -> None:
    run, name = story.run, f"#{story.number}"
    verdict.tokens += len(run.texts)
    verdict.models[story.model] += 1
    verdict.takeovers += max(0, len(story.claims) - 1)
    if run.end is None:
        return verdict.blame("never_ended", f"{name} has {len(run.texts)} pieces and no end")
    verdict.ends[_kind(story)] += 1
    if story.ends != 1:
        verdict.blame("duplicated", f"{name} has {story.ends} ends")
    if not run.sealed():
        verdict.blame("wrong", f"{name}: the seal does not fit its {len(run.texts)} pieces")
    elif run.end.text != run.text:
        verdict.blame("wrong", f"{name}: its end says {run.end.text!r}, written is {run.text!r}")
    if story.model == ECHO:
        words = ask.words if ask is not None else [f"#{story.number}", *WORDS]
        for place, text in enumerate(run.texts):
            if text.partition("~")[0] != words[place % len(words)]:
                verdict.blame("wrong", f"{name}: piece {place} is {text[:80]!r}")
                break
        counted = run.end.usage.completion_tokens
        if run.end.seal is not None and counted != len(run.texts):
            verdict.blame("wrong", f"{name}: {counted} tokens are counted, not {len(run.texts)}")


def _check_end(verdict: Verdict, story: Story, ask: Ask | None, known: Known) -> None:
    why = "nobody has asked for it" if ask is None else amiss(story, ask, known)
    if why:
        verdict.blame("wrongly_ended", f"#{story.number}: {why}")


def _check_reading(
    verdict: Verdict, transcript: Transcript, story: Story, ask: Ask, known: Known
) -> None:
    name, truth = f"#{transcript.number} ({ask.client})", story.run.texts
    at = 0
    for index, text in transcript.pieces:
        if index < at:
            kind: Count = "duplicated" if truth[index : index + 1] == [text] else "out_of_order"
            return verdict.blame(kind, f"{name}: piece {index} came after {at - 1}")
        if index > at:
            return verdict.blame("lost", f"{name}: piece {index} came after {at - 1}")
        if truth[index : index + 1] != [text]:
            return verdict.blame("wrong", f"{name}: piece {index} was read as {text[:80]!r}")
        at += 1
    if not transcript.ended:
        left = known.hung_up.keys() | {cut.number for cut in known.cuts}
        if ask.client == "hanger" and at and ask.number not in left:
            verdict.blame("never_ended", f"{name}: after {at} pieces nothing came, and no end")
        return
    if transcript.ended == "nothing":
        calls = "; ".join(transcript.calls)
        return verdict.blame("never_ended", f"{name}: its client read {at} pieces, no end: {calls}")
    if transcript.whole is not None and transcript.whole != story.run.text:
        verdict.blame("wrong", f"{name}: the message says {transcript.whole!r}")
    came_late = transcript.whole is not None and not transcript.pieces
    why = mistold(transcript.ended, story, ask, known)
    all_said = transcript.ended in ("done", "cancelled") or not why
    if all_said and at != len(truth) and not came_late:
        verdict.blame("lost", f"{name}: {at} of {len(truth)} pieces were read")
    if transcript.ended == "done" and transcript.total not in (-1, len(truth)):
        verdict.blame("wrong", f"{name}: told of {transcript.total} pieces, not {len(truth)}")
    if why:
        verdict.blame("wrongly_ended", f"{name}: {why}, and it is {_kind(story)}")


def _kind(story: Story) -> str:
    match story.run.end:
        case Done():
            return "done"
        case Cancelled():
            return "cancelled"
        case Failed(code=code):
            return f"failed: {code.value}"
    return "none"
