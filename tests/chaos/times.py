"""How long things took in a campaign, by the log's own clock. Pure; times in seconds.

Each figure is told twice: of the cases that nothing else met, so that the mechanism itself is what
was measured, and of those amid other trouble, where deadlines and patience count as well.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import median, quantiles
from time import localtime, strftime

from mesh.protocol.events import Cancelled, Done, End
from tests.chaos.ends import Known, concerns, is_chat
from tests.chaos.faults import CLIENTS, RECOVERY, Death, Faults, Window
from tests.chaos.story import Claimed, Story


@dataclass
class Times:
    """alone: of the cases that nothing else met; amid: of the others; slowest: of those alone, what
    to look for in the logs."""

    alone: list[float] = field(default_factory=list)
    amid: list[float] = field(default_factory=list)
    slowest: str = field(default="", compare=False)

    def note(self, start: float, end: float, others: Iterable[Window], what: str = "") -> None:
        """Add the time from `start` to `end`, in which one of `others` may have been open."""
        took = max(0.0, end - start)
        if any(window.meets(start, end) for window in others):
            self.amid.append(took)
            return
        if took > max(self.alone, default=0.0):
            self.slowest = f"{what}, {strftime('%H:%M:%S', localtime(start))}"
        self.alone.append(took)


def takeovers(stories: list[Story], faults: Faults) -> Times:
    """From each worker's kill -9 to the next claim on each request that it held.

    Alone: where broker, gateways and the other workers of its model were well, so that the broker's
    word of the death could be heard and acted upon.
    """
    found = Times()
    for story, windows in _bearing(stories, faults.windows):
        for held, following in pairwise(story.claims):
            death = _death_between(held, following, faults)
            if death is not None:
                others = (window for window in windows if window.name != death.user)
                what = f"{story.rid} of {story.model} from {held.writer} to {following.writer}"
                found.note(death.at, following.at, others, what)
    return found


def silent(stories: list[Story], windows: Sequence[Window]) -> Times:
    """From each worker's freezing to the next claim on each request that it held meanwhile.

    It keeps its connection, so there is no word of the broker's: only the queue's patience ends.
    Alone: as in `takeovers`.
    """
    found = Times()
    frozen = [window for window in windows if window.kind == "freeze worker"]
    for story, bearing in _bearing(stories, windows):
        for held, following in pairwise(story.claims):
            for freeze in frozen:
                if freeze.name == held.writer.user and _between(held, freeze, following):
                    others = (window for window in bearing if window.name != freeze.name)
                    found.note(freeze.start, following.at, others)
    return found


def _between(held: Claimed, freeze: Window, following: Claimed) -> bool:
    """Whether a worker froze after its claim, and was still frozen when another claimed."""
    return held.at <= freeze.start <= following.at <= freeze.end - RECOVERY


def _bearing(
    stories: list[Story], windows: Sequence[Window]
) -> Iterator[tuple[Story, list[Window]]]:
    """Each story with the troubles that may keep others from taking it over."""
    serving: defaultdict[str, set[str]] = defaultdict(set)
    for story in stories:
        serving[story.model] |= {claim.writer.user for claim in story.claims}
    for story in stories:
        peers = serving[story.model]
        yield story, [each for each in windows if _bears(each, peers)]


def _bears(window: Window, peers: set[str]) -> bool:
    """Whether a trouble has to do with who of the peers takes over: not the store's, nor one
    between gateways and clients, and no clock, for nobody goes by one there."""
    if window.kind.endswith("worker") and window.name not in peers:
        return False
    return not (
        window.kind.endswith("store")
        or window.name.startswith(CLIENTS)
        or window.kind.startswith(("clock", "hour"))
    )


def _death_between(held: Claimed, following: Claimed, faults: Faults) -> Death | None:
    """The death of a claim's holder before the next claim, if it was killed and that was why."""
    for death in faults.deaths:
        if held.writer.user == death.user and death.born <= held.at <= death.at <= following.at:
            return death
    return None


def obeyed(stories: list[Story], known: Known, chats: bool) -> Times:
    """From hanging up, or in chats from asking to stop, to `cancelled` in the log.

    The worker's slot is free by then. Alone: where all were well who have to do with it.
    """
    return _to_the_end([story for story in stories if is_chat(story) is chats], known, Cancelled)


def ran_on(stories: list[Story], known: Known) -> Times:
    """The same to `done`, which was quicker, or came although its client had hung up."""
    return _to_the_end(stories, known, Done)


def _to_the_end(stories: list[Story], known: Known, end: type[End]) -> Times:
    found = Times()
    for story in stories:
        at = known.hung_up.get(story.number)
        if at is not None and isinstance(story.run.end, end):
            others = (each for each in known.windows if concerns(each, story))
            found.note(at, story.ended, others)
    return found


def resumed(stories: list[Story], faults: Faults) -> list[float]:
    """From each return of a broker that was restarted to the next piece, or the end, of each

    answer that was being written when it went and whose worker met no trouble of its own.
    """
    return _next_after(faults.returns, ("kill broker", "stop broker"), stories, faults)


def headless(stories: list[Story], faults: Faults) -> list[float]:
    """The same from each death of the leader of several brokers."""
    return _next_after(faults.beheadings, ("kill leader",), stories, faults)


def _next_after(
    moments: Iterable[float], itself: tuple[str, ...], stories: list[Story], faults: Faults
) -> list[float]:
    found = []
    windows = [window for window in faults.windows if window.kind not in itself]
    for back in moments:
        for story in stories:
            before = [at for at in story.written if at < back]
            after = [at for at in (*story.written, story.ended) if at >= back]
            if not before or not after:
                continue
            met = {"broker", *(claim.writer.user for claim in story.claims)}
            others = (window for window in windows if window.name in met)
            if not any(window.meets(before[-1], min(after)) for window in others):
                found.append(min(after) - back)
    return found


def spread(values: list[float]) -> str:
    """Median, 99th percentile and maximum in milliseconds."""
    if not values:
        return "none"
    p99 = quantiles(values, n=100, method="inclusive")[-1] if len(values) > 1 else values[0]
    figures = (f"{1000 * value:.0f}" for value in (median(values), p99, max(values)))
    return f"{' / '.join(figures)} ms (median / p99 / max of {len(values)})"
