"""How long things took in a campaign, by the log's own clock. Pure; times in seconds.

Each figure is told twice: of the cases that nothing else met, so that the mechanism itself is what
was measured, and of those amid other trouble, where deadlines and patience count as well.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from statistics import median, quantiles

from mesh.protocol.messages import Cancelled
from tests.chaos.faults import CLIENTS, Death, Faults, Window
from tests.chaos.story import Claimed, Story


@dataclass
class Times:
    """alone: of the cases that nothing else met; amid: of the others."""

    alone: list[float] = field(default_factory=list)
    amid: list[float] = field(default_factory=list)

    def note(self, start: float, end: float, others: Iterable[Window]) -> None:
        """Add the time from `start` to `end`, in which one of `others` may have been open."""
        troubled = any(window.meets(start, end) for window in others)
        (self.amid if troubled else self.alone).append(max(0.0, end - start))


def takeovers(stories: list[Story], faults: Faults) -> Times:
    """From each worker's kill -9 to the next claim on each request that it held.

    Alone: where broker, gateways and the other workers of its model were well, so that the broker's
    word of the death could be heard and acted upon.
    """
    found = Times()
    serving: defaultdict[str, set[str]] = defaultdict(set)
    for story in stories:
        serving[story.model] |= {claim.writer.user for claim in story.claims}
    workers = {service.name for service in faults.mesh.workers}
    for story in stories:
        apart = {"store", *(workers - serving[story.model])}
        windows = [each for each in faults.windows if _bears(each) and each.name not in apart]
        for held, following in zip(story.claims, story.claims[1:], strict=False):
            death = _death_between(held, following, faults)
            if death is not None:
                others = (window for window in windows if window.name != death.user)
                found.note(death.at, following.at, others)
    return found


def _bears(window: Window) -> bool:
    """Whether a trouble has to do with who takes over: not one between gateways and clients, and
    no clock, for nobody goes by one there."""
    return not (window.name.startswith(CLIENTS) or window.kind.startswith("clock"))


def _death_between(held: Claimed, following: Claimed, faults: Faults) -> Death | None:
    """The death of a claim's holder before the next claim, if it was killed and that was why."""
    for death in faults.deaths:
        if held.writer.user == death.user and death.born <= held.at <= death.at <= following.at:
            return death
    return None


def cancels(stories: list[Story], hung_up: dict[int, float], faults: Faults) -> Times:
    """From hanging up, or asking to stop, to the end in the log.

    Alone: where all were well who have to do with it, which is everybody but the workers that had
    nothing to do with the request.
    """
    found = Times()
    by_number = {story.number: story for story in stories}
    workers = {service.name for service in faults.mesh.workers}
    for number, at in hung_up.items():
        story = by_number.get(number)
        if story is None or not isinstance(story.run.end, Cancelled):
            continue
        idle = workers - {claim.writer.user for claim in story.claims}
        found.note(at, story.ended, (each for each in faults.windows if each.name not in idle))
    return found


def resumed(stories: list[Story], faults: Faults) -> list[float]:
    """From each return of a broker that was restarted to the next piece, or the end, of each

    answer that was being written when it went and whose worker met no trouble of its own.
    """
    found = []
    restarts = ("kill broker", "stop broker")
    windows = [window for window in faults.windows if window.kind not in restarts]
    for back in faults.returns:
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
