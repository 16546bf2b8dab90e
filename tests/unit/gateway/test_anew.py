"""Which requests count as never begun, by their log, and under which ids they are asked anew."""

import pytest

from mesh.gateway.anew import RETRY_AFTER, next_id, refusal, void
from mesh.protocol.errors import ErrorCode
from mesh.protocol.events import Cancel, Cancelled, Claim, Done, Failed, RunEvent
from mesh.protocol.run import Run
from mesh.protocol.subjects import Writer

GATEWAY, WORKER = Writer("gateway", "i1"), Writer("w1", "i2")
CLAIM = Claim(uid="c", n=1, item=1, ack_reply="a", model="m")


def told(*events: RunEvent) -> Run:
    run = Run(bare=True)
    for seq, event in enumerate(events, 1):
        run.event(event, WORKER if isinstance(event, Claim | Done) else GATEWAY, seq)
    return run


@pytest.mark.parametrize(
    "events",
    [
        (Failed(uid="f", code=ErrorCode.SHARE_FULL),),
        (Failed(uid="f", code=ErrorCode.QUEUE_FULL),),
        (Cancel(uid="k", withdrawn=True),),
        (Cancel(uid="k", withdrawn=True), Cancelled(uid="e")),
        (CLAIM, Cancel(uid="k", withdrawn=True)),
        (CLAIM, Cancel(uid="k", withdrawn=True), Done(uid="d", n=1, finish="stop")),
    ],
)
def test_what_was_refused_or_withdrawn_was_never_begun(events: tuple[RunEvent, ...]) -> None:
    assert void(told(*events))


@pytest.mark.parametrize(
    "events",
    [
        (),
        (Cancelled(uid="e"),),
        (Cancel(uid="k", by="ada"), Cancelled(uid="e")),
        (Failed(uid="f", code=ErrorCode.DEADLINE_EXCEEDED),),
        (CLAIM, Failed(uid="f", code=ErrorCode.QUEUE_FULL, n=1)),
        (CLAIM, Failed(uid="f", code=ErrorCode.ENGINE_FAILED, n=1)),
        (CLAIM, Done(uid="d", n=1, finish="stop"), Cancel(uid="k", withdrawn=True)),
    ],
)
def test_what_anybody_took_or_somebody_stopped_was_begun(events: tuple[RunEvent, ...]) -> None:
    assert not void(told(*events))


def test_each_id_leads_to_another_one_that_is_an_id() -> None:
    ids = ["0" * 32]
    for _ in range(5):
        ids.append(next_id(ids[-1]))
    assert len(set(ids)) == 6
    assert all(len(each) == 32 and each.isalnum() for each in ids)


def test_a_refusal_says_that_it_is_worth_asking_again_and_a_failure_does_not() -> None:
    assert refusal(Failed(uid="f", code=ErrorCode.SHARE_FULL)).retry_after == RETRY_AFTER
    assert refusal(Failed(uid="f", code=ErrorCode.ENGINE_FAILED, n=1)).retry_after is None


def test_what_no_worker_took_in_time_says_when_it_is_worth_asking_anew() -> None:
    late = Failed(uid="f", code=ErrorCode.DEADLINE_EXCEEDED, retry_after=7.5)
    assert refusal(late).retry_after == 7.5
    assert refusal(Failed(uid="f", code=ErrorCode.DEADLINE_EXCEEDED, n=1)).retry_after is None
