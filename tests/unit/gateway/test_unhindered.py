"""Who hears of the log's events keeps nobody else from hearing of them."""

import logging
from functools import partial

import msgspec
import pytest

from mesh.gateway.crowd import Crowd
from mesh.gateway.limits.counts import Counts
from mesh.gateway.metrics.meters import Meters
from mesh.gateway.traces.telling import Traces
from mesh.gateway.unhindered import tell_all
from mesh.gateway.waiting import WaitingRoom
from mesh.protocol.codec import decode_event
from mesh.protocol.events import Done, Queued, RunEvent
from mesh.protocol.subjects import RunSubject, Writer
from tests.unit.protocol.test_fuzz import golden

WHERE = RunSubject("gw1", "evt", "r1", Writer("w1", "i1"))


def test_one_that_fails_is_logged_and_the_others_are_told(caplog: pytest.LogCaptureFixture) -> None:
    told: list[int] = []

    def fail() -> None:
        raise OverflowError("too large")

    tell_all(partial(told.append, 1), fail, partial(told.append, 2))
    assert told == [1, 2]
    (said,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert "OverflowError: too large" in caplog.text and said.exc_info


@pytest.mark.parametrize(
    "measured",
    [
        {"usage": {"prompt_tokens": 10**400, "completion_tokens": 10**400}},
        {"usage": {"prompt_tokens": -1, "cached_tokens": -(10**400)}},
        {"timings": {"queue": 1e308, "first_token": 1e308, "generate": 1e308, "gap": 1e308}},
        {"timings": {"queue": -1e308, "first_token": -1.0, "generate": -1e308, "gap": -1.0}},
    ],
)
def test_nobody_who_is_told_fails_at_what_a_worker_says_it_took(
    measured: dict[str, object],
) -> None:
    asked = msgspec.convert(golden(Queued)[0] | {"uid": "q"}, Queued)
    end = decode_event(msgspec.json.encode(golden(Done)[0] | {"uid": "d"} | measured))
    meters, traces = Meters("gw1"), Traces("http://collector", "gw1")
    crowd, counts = Crowd(WaitingRoom(), 100), Counts(60.0)
    assert isinstance(end, Done)
    events: list[RunEvent] = [asked, end]
    for seq, event in enumerate(events):
        meters.hear(WHERE, event)
        traces.hear(WHERE, event)
        crowd.hear("r1", event, seq)
        counts.hear("r1", event, seq, 1e9)
