"""Whether each answer has the end that it had to have, by what its client did and what befell the

mesh. Pure. What is done is whole; what is cancelled was asked to be; what failed could not but
fail; who hung up was heard.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise, takewhile
from math import inf
from typing import NamedTuple

from mesh.protocol.errors import ErrorCode
from mesh.protocol.events import Cancelled, Done, Failed
from mesh.protocol.request import Request
from tests.chaos.faults import CLIENTS, Left, Window
from tests.chaos.plan import ECHO, Ask
from tests.chaos.story import Claimed, Story

HEARD = 3.0
"""Seconds after hanging up, or asking to stop, within which an answer may still come to its end,
if nobody was in trouble meanwhile. One is promised, on a machine that has time."""

OBEYED = 10.0
"""Seconds after which a cancellation comes late, if nobody was in trouble since it was asked."""

NOTICED = 5.0
"""Seconds after which a client has noticed that its stream was cut, and we that a service ended."""

REFUSING = 15.0
"""Seconds before a request stands in the log in which a trouble may be why it was refused: its
gateway waits for the broker for ten."""


class Cut(NamedTuple):
    """A stream that came to no end though its client stayed: whose, at which gateway, and when."""

    number: int
    gateway: str
    at: float


DEADLY = ("kill worker", "freeze worker")
"""After which a worker does not answer."""


@dataclass(frozen=True)
class Known:
    """What the log does not tell. Nothing of it excuses anything unless it is given.

    hung_up: when a client hung up or asked to stop, by number, Unix time; windows: when something
    was wrong, and with whom; timeout: seconds that a request is given; poison_after: so many
    workers lost in a row are its own fault, or poison_in_all wherever they were; never_granted: a
    sentence for each client that was never granted what it asked for; blunt: one for each refusal
    that did not say when to come back; cuts: streams that broke off; left: services that ended by
    themselves.
    """

    hung_up: Mapping[int, float] = field(default_factory=dict)
    windows: Sequence[Window] = ()
    timeout: float = inf
    poison_after: float = inf
    poison_in_all: float = inf
    never_granted: Sequence[str] = ()
    blunt: Sequence[str] = ()
    cuts: Sequence[Cut] = ()
    left: Sequence[Left] = ()


def amiss(story: Story, ask: Ask, known: Known) -> str:
    """What is wrong with the end that an answer has; "" for nothing."""
    match story.run.end:
        case Done():
            return _short(story, ask) or _unheard(story, known)
        case Cancelled() if ask.client != "hanger" and ask.number not in known.hung_up:
            return "it was cancelled, and nobody had asked for that"
        case Cancelled():
            return _obeyed_late(story, known)
        case Failed(code=code) if not _had_to_fail(code, story, ask, known):
            return f"it failed with {code.value}, and nothing that happened explains it"
    return ""


def mistold(ended: str, story: Story, ask: Ask, known: Known) -> str:
    """What is wrong with the end that a client was told; "" for nothing.

    A failure is one in the log, and what was cancelled is told of as an error on `/generate`.
    """
    end, chat = story.run.end, is_chat(story)
    asked = ask.number in known.hung_up
    if ended == "done":
        right = isinstance(end, Done)
    elif ended == "cancelled":
        right = chat and isinstance(end, Cancelled)
    else:
        right = isinstance(end, Failed) or (isinstance(end, Cancelled) and asked and not chat)
    return "" if right else f"its client was told {ended!r}"


def broke_off(cut: Cut, known: Known) -> str:
    """What is wrong with a stream that broke off; "" where its way to its client was in trouble."""
    way, moment = {cut.gateway, CLIENTS + cut.gateway}, (cut.at - NOTICED, cut.at)
    for each in known.windows:
        breaks = each.kind.split()[0] not in ("clock", "hour")  # a wrong clock cuts nothing
        if breaks and each.name in way and each.meets(*moment):
            return ""
    return f"#{cut.number}: {cut.gateway} broke its stream off, and nobody was in trouble"


def ended_itself(left: Left, known: Known) -> str:
    """What is wrong with a service's end; "" where we had killed or stopped it.

    Started again it may find its port taken for a moment. A full disk is no excuse: whoever cannot
    write waits until it can.
    """
    near = {
        each.kind.split()[0]
        for each in known.windows
        if each.name == left.name and each.meets(left.at - NOTICED, left.at)
    }
    if near & {"kill", "stop"}:
        return ""
    full = ", its disk full" if "fill" in near else ""
    return f"{left.name} ended by itself{full}, with status {left.status}: {left.last}"


def is_chat(story: Story) -> bool:
    return story.run.queued is not None and story.run.queued.turn is not None


def concerns(window: Window, story: Story) -> bool:
    """Whether a trouble may keep a client from being heard that hangs up, or asks to stop.

    Not that of workers that never had the request; and who hangs up needs neither the store nor
    another gateway's wire to its clients, while who asks to stop may do so at any gateway.
    """
    if window.kind.endswith("worker"):
        return window.name in {claim.writer.user for claim in story.claims}
    if is_chat(story):
        return True
    if window.name.startswith(CLIENTS):
        return window.name == CLIENTS + _request(story).reply
    return not window.kind.endswith("store")


def _short(story: Story, ask: Ask) -> str:
    """An echo says all that it is asked for; a model may stop before, and not behind."""
    count = len(story.run.texts)
    if count == ask.tokens or (story.model != ECHO and count < ask.tokens):
        return ""
    return f"it is done with {count} of {ask.tokens} pieces"


def _unheard(story: Story, known: Known) -> str:
    at = known.hung_up.get(story.number)
    if at is None or story.ended - at <= HEARD:
        return ""
    if any(concerns(each, story) and each.meets(at, story.ended) for each in known.windows):
        return ""
    return f"its client had hung up, and it was written on for {story.ended - at:.1f} s, to its end"


def _obeyed_late(story: Story, known: Known) -> str:
    at = known.hung_up.get(story.number)
    if at is None or story.ended - at <= OBEYED:
        return ""
    lived = (story.asked, story.ended)
    if any(concerns(each, story) and each.meets(*lived) for each in known.windows):
        return ""
    return f"its client had hung up, and it was cancelled only {story.ended - at:.1f} s later"


def _had_to_fail(code: ErrorCode, story: Story, ask: Ask, known: Known) -> bool:
    """Whether what happened can lead to this failure."""
    match code:
        case ErrorCode.DEADLINE_EXCEEDED:
            began = min(story.asked, _request(story).created)
            late = story.ended - began >= known.timeout
            return late and _troubled(story, began, known.windows) >= known.timeout / 2
        case ErrorCode.WORKER_LOST:
            return (
                _lost_in_a_row(story, known.windows) >= known.poison_after
                or _lost_in_all(story, known.windows) >= known.poison_in_all
            )
        case ErrorCode.QUEUE_FULL:  # for want of room on a disk; whoever has a key asks anew
            full = [each for each in known.windows if each.kind == "fill broker"]
            return _refused(story, full, {"broker"})
        case ErrorCode.BROKER_UNAVAILABLE:  # what was refused, and got into the log all the same
            names = {"broker", _request(story).reply}
            return ask.client == "hanger" and _refused(story, known.windows, names)
    return False


def _troubled(story: Story, began: float, windows: Sequence[Window]) -> float:
    """Seconds of a request's life in which the broker, its gateway or a holder was in trouble."""
    names = {"broker", _request(story).reply, *(claim.writer.user for claim in story.claims)}
    seconds, counted = 0.0, began
    for each in sorted(windows, key=lambda window: window.start):
        end = min(each.end, story.ended)
        if each.name in names and end > counted:
            seconds += max(0.0, end - max(each.start, counted))
            counted = end
    return seconds


def _refused(story: Story, windows: Sequence[Window], names: set[str]) -> bool:
    """Whether nobody ever had it, and some of these were in trouble when it was asked."""
    near = (story.asked - REFUSING, story.ended)
    troubled = any(each.name in names and each.meets(*near) for each in windows)
    return not story.claims and troubled


def _lost_in_a_row(story: Story, windows: Sequence[Window]) -> int:
    """How many of its holders were lost in a row at one place, and killed, or frozen, by the time
    that it was asked whether they are back. Whoever gave it back, or is back, stands in no row and
    ends none: such are those who asked, and came to no end of that."""
    places = [
        following.place
        for held, following in _lost(story, windows)
        if any(
            each.name == held.writer.user
            and each.kind in DEADLY
            and held.at <= each.start <= story.ended
            for each in windows
        )
    ]
    return sum(1 for _ in takewhile(lambda place: place == places[-1], reversed(places)))


def _lost_in_all(story: Story, windows: Sequence[Window]) -> int:
    """How many of its holders were lost, wherever they were."""
    return len(_lost(story, windows))


def _lost(story: Story, windows: Sequence[Window]) -> list[tuple[Claimed, Claimed]]:
    """The claims whose holder was lost by the word of the next one, which is with them, and was in
    trouble before it: that word alone explains nothing."""
    return [
        (held, following)
        for held, following in pairwise(story.claims)
        if following.lost
        and any(
            each.name == held.writer.user and each.meets(held.at, following.at) for each in windows
        )
    ]


def _request(story: Story) -> Request:
    assert story.run.queued is not None
    return story.run.queued.request
