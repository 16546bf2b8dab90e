"""What a worker counts and measures, for Prometheus."""

from collections.abc import Callable, Iterator, Mapping
from itertools import accumulate

from prometheus_client.core import GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from mesh.metrics import GAPS, SECONDS, Registry
from mesh.protocol.events import Cancelled, Claim, Done, End, Failed, RunEvent
from mesh.protocol.request import Request
from mesh.worker.engines.base import Engine
from mesh.worker.gaps import Gaps

BY = ("worker", "model")


class Meters:
    """The metrics of one worker process. running: how many requests it works on; gaps: by model,
    between the tokens of its answers."""

    def __init__(
        self, name: str, engine: Engine, running: Callable[[], int], gaps: Mapping[str, Gaps]
    ) -> None:
        self._name = name
        self.registry = Registry()
        counter, histogram = self.registry.counter, self.registry.histogram
        self._claims = counter("mesh_worker_claims", "Requests that it has claimed.", *BY)
        self._takeovers = counter(
            "mesh_worker_takeovers", "Of these, that a worker had claimed before.", *BY
        )
        self._ended = counter(
            "mesh_worker_requests_ended", "Requests that it ended, and how.", *BY, "end", "code"
        )
        self._tokens = counter("mesh_worker_tokens", "Tokens, by the engine's count.", *BY, "kind")
        self._prefill = histogram(
            "mesh_worker_prefill_seconds", "From a claim to the first token.", SECONDS, *BY
        )
        self.registry.register(_Slots(name, engine, running))
        self.registry.register(_TokenGaps(name, gaps))

    def hear(self, request: Request, event: RunEvent) -> None:
        """An event that this worker has stored in a request's log."""
        by = self._name, request.model
        match event:
            case Claim(n=n):
                self._claims.labels(*by).inc()
                self._takeovers.labels(*by).inc(n > 1)
            case Done() | Failed() | Cancelled():
                self._end(by, event)

    def _end(self, by: tuple[str, str], end: End) -> None:
        code = end.code.value if isinstance(end, Failed) else ""
        self._ended.labels(*by, str(end.__struct_config__.tag), code).inc()
        usage, timings = end.usage, end.timings
        self._tokens.labels(*by, "prompt").inc(usage.prompt_tokens)
        self._tokens.labels(*by, "cached").inc(usage.cached_tokens)
        self._tokens.labels(*by, "completion").inc(usage.completion_tokens)
        if timings.first_token is not None:
            self._prefill.labels(*by).observe(timings.first_token)


class _Slots(Collector):
    """What it can work on at once, and does: looked at when somebody asks."""

    def __init__(self, name: str, engine: Engine, running: Callable[[], int]) -> None:
        self._name = name
        self._engine = engine
        self._running = running

    def collect(self) -> Iterator[Metric]:
        info = self._engine.info
        for name, what, value in (
            ("mesh_worker_slots", "Requests that it can work on at once.", info.slots),
            ("mesh_worker_slots_busy", "Requests that it works on.", self._running()),
        ):
            gauge = GaugeMetricFamily(name, what, labels=BY)
            gauge.add_metric([self._name, info.model], value)
            yield gauge


class _TokenGaps(Collector):
    """From each token of an answer to the next: made a histogram when somebody asks."""

    def __init__(self, name: str, gaps: Mapping[str, Gaps]) -> None:
        self._name = name
        self._gaps = gaps

    def collect(self) -> Iterator[Metric]:
        told = HistogramMetricFamily(
            "mesh_worker_token_gap_seconds", "From a token of an answer to the next.", labels=BY
        )
        bounds = [*map(floatToGoString, GAPS), "+Inf"]
        for model, gaps in list(self._gaps.items()):  # a model may come meanwhile
            total, counts = gaps.total, accumulate(map(float, gaps.counts))
            told.add_metric([self._name, model], list(zip(bounds, counts, strict=True)), total)
        yield told
