"""The time from a token to the next, as a worker counts it and Prometheus reads it."""

import math
import random
from itertools import pairwise

from prometheus_client.exposition import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from mesh.metrics import GAPS
from mesh.protocol.events import Done
from mesh.settings import WorkerSettings
from mesh.worker.draft import Draft
from mesh.worker.engines.base import Step
from mesh.worker.engines.echo import EchoEngine
from mesh.worker.gaps import Gaps
from mesh.worker.meter import Meter
from mesh.worker.meters import Meters
from tests.unit.test_draft_usage import REQUEST

NAME = "mesh_worker_token_gap_seconds"

Samples = dict[tuple[str, str, str], float]
"""By name, model and bound ("" where there is none)."""


def told(meter: Meter) -> Samples:
    """What `/metrics` of a worker says of its gaps."""
    meters = Meters("w1", EchoEngine(WorkerSettings(engine="echo")), lambda: 0, meter.gaps)
    return {
        (sample.name, sample.labels["model"], sample.labels.get("le", "")): sample.value
        for family in text_string_to_metric_families(generate_latest(meters.registry).decode())
        for sample in family.samples
        if family.name == NAME and sample.labels["worker"] == "w1"
    }


def test_only_what_says_something_is_a_token_of_which_a_reader_waits_for_the_next() -> None:
    gaps = Gaps()
    draft = Draft(REQUEST, 1, gaps)
    for now, step in (
        (10.0, Step("one", (1,))),
        (10.5, Step("", ())),
        (12.0, Step("", (2,))),
        (12.25, Step(" two", (3, 4))),
        (19.0, Step("", (), "stop")),
    ):
        draft.note(step, now)
    draft.count_gaps()
    counted = {bound: n for bound, n in zip((*GAPS, math.inf), gaps.counts, strict=True) if n}
    assert counted == {2.5: 1, 0.25: 1}, "a step with two tokens came at once"
    assert gaps.total == 2.25
    assert draft.sealed(Done(uid="u", finish="stop")).timings.gap == 2.0


def test_an_engine_that_tells_no_ids_is_measured_by_its_text() -> None:
    gaps = Gaps()
    draft = Draft(REQUEST, 1, gaps)
    for now, text in ((1.0, "one"), (2.0, ""), (4.0, " two"), (100.0, "")):
        draft.note(Step(text), now)
    draft.count_gaps()
    assert (sum(gaps.counts), gaps.total) == (1, 3.0)


def test_gaps_counted_together_are_counted_as_each_by_itself() -> None:
    """Those that are just a bound as well, in any order."""
    chance = random.Random(1)
    many = [*GAPS, *(chance.expovariate(2) for _ in range(500)), 1000.0]
    chance.shuffle(many)
    together, alone = Gaps(), Gaps()
    for gap in many:
        alone.add([gap])
    assert alone.counts == [
        sum(low < gap <= high for gap in many)
        for low, high in pairwise((-math.inf, *GAPS, math.inf))
    ]
    together.add(many)
    assert together.counts == alone.counts
    assert math.isclose(together.total, alone.total)


def test_an_answer_counts_its_gaps_while_it_goes_on_and_all_of_them_at_its_end() -> None:
    gaps = Gaps()
    draft = Draft(REQUEST, 1, gaps)
    for at in range(150):
        draft.note(Step("a", (1,)), at / 10)
    assert 100 < sum(gaps.counts) < 149
    draft.note(Step("b", (2,), "stop"), 20.0)
    timings = draft.sealed(Done(uid="u", finish="stop")).timings
    assert sum(gaps.counts) == 150
    assert timings.gap is not None and math.isclose(timings.gap, 20.0 - 14.9)


def test_prometheus_reads_a_histogram_of_every_gap() -> None:
    meter = Meter()
    meter.gaps["m"].add([0.0011, 61.0])
    meter.gaps["m"].add([0.3, 0.001])
    found = told(meter)
    buckets = {le: n for (name, _, le), n in found.items() if name == f"{NAME}_bucket"}
    assert buckets["0.001"] == 1 and buckets["0.0025"] == buckets["0.25"] == 2
    assert buckets["0.5"] == buckets["60.0"] == 3 and buckets["+Inf"] == 4
    assert list(buckets) == [*map(str, GAPS), "+Inf"]
    assert found[f"{NAME}_count", "m", ""] == 4
    assert found[f"{NAME}_sum", "m", ""] == 0.001 + 0.0011 + 0.3 + 61.0


def test_a_worker_that_changes_its_model_takes_no_gap_along() -> None:
    meter = Meter()
    meter.gaps["before"].add([0.2])
    meter.gaps["after"].add([0.1, 0.1])
    found = told(meter)
    assert found[f"{NAME}_count", "before", ""] == 1
    assert found[f"{NAME}_count", "after", ""] == 2
