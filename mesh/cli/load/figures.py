"""The figures of one load, computed from its answers. Pure."""

from collections import Counter
from collections.abc import Sequence
from statistics import median

from msgspec import Struct

from mesh.cli.load.answer import Answer


class Spread(Struct, frozen=True):
    """Of many values in milliseconds, the middle one and the one that 99 % do not exceed."""

    median: float
    p99: float


class Cost(Struct, frozen=True):
    """What one process (or several of a kind) spent on the load.

    cpu_us: microseconds of CPU time per token; memory_mb: most resident memory, in 10^6 bytes.
    """

    cpu_us: float
    memory_mb: float


class Figures(Struct, frozen=True, kw_only=True):
    """One load. seconds: from the first request to the last token; the tokens are all that came.

    pace, slowest: tokens per second of the median and of the slowest stream, from first token to
    last, 0 where all came at once; reasons: of the failures, with their number; costs: by kind of
    process.
    """

    streams: int
    answers: int
    failures: int
    tokens: int
    seconds: float
    tokens_per_second: float
    first_token_ms: Spread
    gap_ms: Spread
    pace: float
    slowest: float
    reasons: dict[str, int]
    costs: dict[str, Cost]


class Spent(Struct, frozen=True):
    """CPU seconds and most resident bytes of one kind of process during a load."""

    cpu: float
    memory: int


def summary(streams: int, answers: Sequence[Answer], spent: dict[str, Spent]) -> Figures:
    """The figures of a load of at least one answer."""
    tokens = sum(len(answer.at) for answer in answers)
    ends = [answer.at[-1] for answer in answers if answer.at]
    seconds = max(ends) - min(answer.asked for answer in answers) if ends else 0.0
    paces = [answer.pace for answer in answers if answer.pace]
    failed = [answer.failure for answer in answers if answer.failure]
    return Figures(
        streams=streams,
        answers=len(answers),
        failures=len(failed),
        tokens=tokens,
        seconds=round(seconds, 3),
        tokens_per_second=round(tokens / seconds, 1) if seconds else 0.0,
        first_token_ms=_spread([answer.first_token for answer in answers if answer.at]),
        gap_ms=_spread([gap for answer in answers for gap in answer.gaps]),
        pace=round(median(paces), 2) if paces else 0.0,
        slowest=round(min(paces), 2) if paces else 0.0,
        reasons=dict(Counter(failed)),
        costs={
            name: Cost(round(1e6 * of.cpu / tokens, 1) if tokens else 0.0, round(of.memory / 1e6))
            for name, of in spent.items()
        },
    )


def _spread(seconds: list[float]) -> Spread:
    if not seconds:
        return Spread(0.0, 0.0)
    ordered = sorted(seconds)
    ninety_ninth = ordered[min(len(ordered) - 1, len(ordered) * 99 // 100)]
    return Spread(round(1e3 * median(ordered), 3), round(1e3 * ninety_ninth, 3))
