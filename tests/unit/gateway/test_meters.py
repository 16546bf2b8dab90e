"""What a gateway counts of the requests that it accepted, event by event."""

from msgspec.structs import replace
from prometheus_client.exposition import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from mesh.gateway.metrics.meters import REMEMBERED, Meters
from mesh.protocol.errors import ErrorCode
from mesh.protocol.events import Claim, Done, Failed, Queued, RunEvent, Timings, Usage
from mesh.protocol.request import Request
from mesh.protocol.subjects import RunSubject, Writer

QUEUED = Queued(
    uid="q",
    request=Request(
        rid="r1", reply="gw1", tenant="u", model="tiny", messages=(), created=0.0, deadline=1e9
    ),
)
DONE = Done(
    uid="d",
    finish="stop",
    usage=Usage(prompt_tokens=7, completion_tokens=5, cached_tokens=2),
    timings=Timings(queue=1.0, first_token=0.5, generate=2.0, gap=1.5),
)


def claim(n: int) -> Claim:
    return Claim(uid=f"c{n}", n=n, item=1, ack_reply="", model="tiny")


class Told:
    """Meters of the gateway gw1, and the events that they are told."""

    def __init__(self) -> None:
        self.meters = Meters("gw1")

    def tell(self, *events: RunEvent, rid: str = "r1", reply: str = "gw1") -> None:
        for event in events:
            self.meters.hear(RunSubject(reply, "evt", rid, Writer("w1", "i1")), event)

    def value(self, name: str, **labels: str) -> float:
        text = generate_latest(self.meters.registry).decode()
        return sum(
            sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        )


def test_an_answer_is_counted_with_its_tokens_and_times() -> None:
    told = Told()
    told.tell(QUEUED, claim(1), DONE)
    assert told.value("mesh_requests_total", model="tiny") == 1
    assert told.value("mesh_requests_ended_total", model="tiny", end="done") == 1
    kinds = {"prompt": 7, "completion": 5, "cached": 2}
    for kind, tokens in kinds.items():
        assert told.value("mesh_tokens_total", model="tiny", kind=kind) == tokens
    assert told.value("mesh_queue_seconds_sum") == 1.0
    assert told.value("mesh_first_token_seconds_sum") == 1.5
    assert told.value("mesh_mean_token_gap_seconds_sum") == 0.5
    assert told.value("mesh_longest_token_gap_seconds_sum") == 1.5
    assert told.value("mesh_takeovers_total") == 0


def test_an_answer_that_two_workers_had_has_no_mean_gap() -> None:
    """The time is that of the last one, the tokens are those of both."""
    told = Told()
    told.tell(QUEUED, claim(1), claim(2), replace(DONE, n=2))
    assert told.value("mesh_mean_token_gap_seconds_count") == 0
    assert told.value("mesh_longest_token_gap_seconds_count") == 1


def test_a_worker_that_does_not_measure_the_longest_gap_yet_is_counted_without() -> None:
    told = Told()
    told.tell(QUEUED, claim(1), replace(DONE, n=1, timings=replace(DONE.timings, gap=None)))
    assert told.value("mesh_mean_token_gap_seconds_count") == 1
    assert told.value("mesh_longest_token_gap_seconds_count") == 0


def test_what_failed_is_counted_by_its_code_and_take_overs_each() -> None:
    told = Told()
    failed = Failed(uid="f", code=ErrorCode.ENGINE_FAILED)
    told.tell(QUEUED, claim(1), claim(2), claim(3), failed)
    assert told.value("mesh_requests_ended_total", end="failed", code="engine_failed") == 1
    assert told.value("mesh_takeovers_total", model="tiny") == 2
    assert told.value("mesh_first_token_seconds_count") == 0


def test_a_gateway_that_ends_what_nobody_ends_takes_nothing_over() -> None:
    told = Told()
    told.tell(QUEUED, claim(1))
    told.meters.hear(RunSubject("gw1", "evt", "r1", Writer("gateway", "g1")), claim(2))
    assert told.value("mesh_takeovers_total") == 0
    told.tell(claim(3))
    assert told.value("mesh_takeovers_total") == 1


def test_an_event_that_is_heard_again_counts_once() -> None:
    told = Told()
    for _ in range(2):
        told.tell(QUEUED, claim(1), claim(2), DONE)
    assert told.value("mesh_requests_total") == told.value("mesh_requests_ended_total") == 1
    assert told.value("mesh_takeovers_total") == 1
    assert told.value("mesh_tokens_total", kind="prompt") == 7


def test_what_is_accepted_after_ten_thousand_others_still_counts_and_little_is_kept() -> None:
    told = Told()
    for number in range(12_000):
        told.tell(replace(QUEUED, uid=f"q{number}"), DONE, rid=f"r{number}")
    assert told.value("mesh_requests_total") == told.value("mesh_requests_ended_total") == 12_000
    assert len(told.meters._heard) <= REMEMBERED


def test_the_requests_of_other_gateways_are_theirs() -> None:
    told = Told()
    told.tell(QUEUED, claim(1), DONE, reply="gw2")
    assert told.value("mesh_requests_total") == told.value("mesh_tokens_total") == 0


def test_an_end_without_its_beginning_is_nobodys() -> None:
    """It was accepted before this process began."""
    told = Told()
    told.tell(DONE)
    assert told.value("mesh_requests_ended_total") == 0
