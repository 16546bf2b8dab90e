"""Counts what one gateway does: HTTP requests, and the requests to models that it accepted.

Each gateway counts its own, so that the sum over all gateways is the mesh's. What can be looked at
when somebody asks (queues, workers) is not counted but looked at: `state.py`.
"""

from mesh.gateway.metrics.storage import Storage
from mesh.metrics import GAPS, SECONDS, Registry
from mesh.protocol.events import Cancelled, Claim, Done, End, Failed, Queued, RunEvent
from mesh.protocol.subjects import RunSubject
from mesh.protocol.tool_story import WRITER

REMEMBERED = 10_000
"""Events that are known when they are heard again: what was missed is read with what was not."""


class Meters:
    """name: the reply address of this gateway, whose requests are counted."""

    def __init__(self, name: str) -> None:
        self.registry = Registry()
        self.storage = Storage(self.registry)
        self._name = name
        self._models: dict[str, str] = {}
        self._heard: dict[str, None] = {}
        counter, histogram = self.registry.counter, self.registry.histogram
        self.http = counter(
            "mesh_http_requests", "HTTP requests answered.", "method", "route", "status"
        )
        self.http_seconds = histogram(
            "mesh_http_seconds", "From a request to its headers.", SECONDS, "method", "route"
        )
        self._accepted = counter("mesh_requests", "Requests accepted for models.", "model")
        self._ended = counter(
            "mesh_requests_ended", "Requests that ended, and how.", "model", "end", "code"
        )
        self._tokens = counter("mesh_tokens", "Tokens, by the engine's count.", "model", "kind")
        self._takeovers = counter(
            "mesh_takeovers", "Requests that a further worker went on with.", "model"
        )
        self._waiting = histogram(
            "mesh_queue_seconds", "From a request to its last claim.", SECONDS, "model"
        )
        self._first = histogram(
            "mesh_first_token_seconds", "From a request to its first token.", SECONDS, "model"
        )
        self._mean_gap = histogram(
            "mesh_mean_token_gap_seconds",
            "Between two tokens of an answer, on average.",
            GAPS,
            "model",
        )
        self._longest_gap = histogram(
            "mesh_longest_token_gap_seconds",
            "The longest between two tokens of an answer.",
            GAPS,
            "model",
        )

    def hear(self, where: RunSubject, event: RunEvent) -> None:
        """An event of the log, in its order; one that is heard again counts once."""
        if where.reply != self._name:
            return
        match event:
            case Queued(request=request) if self._is_new(event):
                self._models[where.rid] = request.model
                self._accepted.labels(request.model).inc()
            case Claim() if where.writer.user == WRITER:
                pass  # it ends what nobody has ended
            case Claim(n=n, model=model) if n > 1 and self._is_new(event):
                self._takeovers.labels(model).inc()
            case Done() | Failed() | Cancelled():
                self._end(self._models.pop(where.rid, ""), event)

    def _is_new(self, event: RunEvent) -> bool:
        """By its own name: a log that was replaced counts its sequences from the beginning."""
        if event.uid in self._heard:
            return False
        self._heard[event.uid] = None
        while len(self._heard) > REMEMBERED:
            del self._heard[next(iter(self._heard))]
        return True

    def _end(self, model: str, end: End) -> None:
        """The model is not known of what was accepted before this process began, or has ended."""
        if not model:
            return
        kind = str(end.__struct_config__.tag)
        self._ended.labels(model, kind, end.code.value if isinstance(end, Failed) else "").inc()
        usage, timings = end.usage, end.timings
        self._tokens.labels(model, "prompt").inc(usage.prompt_tokens)
        self._tokens.labels(model, "cached").inc(usage.cached_tokens)
        self._tokens.labels(model, "completion").inc(usage.completion_tokens)
        if timings.first_token is None:
            return
        self._waiting.labels(model).observe(timings.queue)
        self._first.labels(model).observe(timings.queue + timings.first_token)
        if usage.completion_tokens > 1 and end.n < 2:  # else some tokens are not of that time
            mean = timings.generate / (usage.completion_tokens - 1)
            self._mean_gap.labels(model).observe(mean)
        if timings.gap is not None:
            self._longest_gap.labels(model).observe(timings.gap)
