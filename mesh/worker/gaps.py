"""How long the tokens of a model's answers let a reader wait for the next. Counting is cheap."""

from bisect import bisect_right

from mesh.metrics import GAPS


class Gaps:
    """Counts gaps, in seconds, by the first of the bounds GAPS that is not less; the last count is
    of longer ones. total: of all, in seconds.

    Not a histogram of Prometheus', whose locks cost several times as much, at every token. Read by
    another thread, for which the counts may be a moment ahead of the total.
    """

    def __init__(self) -> None:
        self.counts = [0] * (len(GAPS) + 1)
        self.total = 0.0

    def add(self, gaps: list[float]) -> None:
        """Count some, which are put in order for that: the bounds are fewer than they are."""
        gaps.sort()
        below = 0
        for at, bound in enumerate(GAPS):
            upto = bisect_right(gaps, bound, below)
            self.counts[at] += upto - below
            below = upto
        self.counts[-1] += len(gaps) - below
        self.total += sum(gaps)
