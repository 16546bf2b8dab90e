"""Numbers that nobody can mean: refused where they decide, mended where they measure."""

from math import inf, nan
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from mesh.protocol.codec import decode, decode_event, decode_frame, encode
from mesh.protocol.embeddings import Embedded
from mesh.protocol.events import Claim, Done, Queued, Timings, Usage
from mesh.protocol.numbers import EXACT, LEAP, MOST_SECONDS, MOST_TOKENS
from mesh.protocol.request import Request
from mesh.protocol.run import Applied, Run
from mesh.protocol.subjects import Writer, acknowledges
from mesh.protocol.worker_info import WorkerInfo
from tests.unit.protocol.test_fuzz import golden

GATEWAY, HOLDER, MAD = Writer("gateway", "a"), Writer("w1", "a"), Writer("mad", "a")

REQUEST = Request(
    rid="r", reply="gw1", tenant="t", model="m", messages=(), created=0.0, deadline=1.0
)


def claim(n: int) -> Claim:
    return Claim(uid=f"c{n}", n=n, item=1, ack_reply="ack", model="m")


@pytest.fixture
def held() -> Run:
    """A request that a worker has claimed."""
    run = Run()
    run.event(Queued(uid="q", request=REQUEST), GATEWAY, 1)
    run.event(claim(1), HOLDER, 2)
    return run


@pytest.mark.parametrize("number", [-1, EXACT, 2**63, 10**400, 10**4300 - 1])
@pytest.mark.parametrize("field", ["n", "item", "failures"])
def test_a_claim_with_a_number_beyond_all_bounds_cannot_be_read(field: str, number: int) -> None:
    message: dict[str, Any] = golden(Claim)[0] | {field: number}
    with pytest.raises(msgspec.DecodeError):
        decode_event(msgspec.json.encode(message))


@pytest.mark.parametrize("number", [-1, 10**400])
def test_neither_can_an_end_or_a_piece_or_a_worker(number: int) -> None:
    end = golden(Done)[0]
    for wrong in ({"n": number}, {"truncated": number}, {"seal": {"count": number, "text": ""}}):
        with pytest.raises(msgspec.DecodeError):
            decode_event(msgspec.json.encode(end | wrong))
    for entry in (["r", number, 0, ["a"]], ["r", 1, number, ["a"]]):
        with pytest.raises(msgspec.DecodeError):
            decode_frame(msgspec.json.encode({"type": "frame", "entries": [entry]}))
    for name in ("slots", "running", "memory"):
        with pytest.raises(msgspec.DecodeError):
            decode(msgspec.json.encode(golden(WorkerInfo)[0] | {name: number}), WorkerInfo)


@pytest.mark.parametrize(
    ("said", "meant"), [(-1, 0), (-(10**400), 0), (2**63 - 1, MOST_TOKENS), (10**400, MOST_TOKENS)]
)
def test_a_count_of_tokens_that_cannot_be_meant_costs_no_answer(said: int, meant: int) -> None:
    names = ("prompt_tokens", "completion_tokens", "cached_tokens", "reasoning_tokens")
    message = golden(Done)[0] | {"usage": dict.fromkeys(names, said)}
    end = decode_event(msgspec.json.encode(message))
    assert isinstance(end, Done)
    assert [getattr(end.usage, name) for name in names] == [meant] * 4
    assert decode_event(encode(replace(end, usage=Usage(prompt_tokens=said)))) is not None
    embedded = msgspec.json.encode(golden(Embedded)[0] | {"tokens": said})
    assert decode(embedded, Embedded).tokens == meant


@pytest.mark.parametrize(("said", "meant"), [(-0.3, 0.0), (1e308, MOST_SECONDS)])
def test_nor_does_a_time_of_a_clock_that_was_set(said: float, meant: float) -> None:
    names = ("queue", "first_token", "generate", "gap")
    message = golden(Done)[0] | {"timings": dict.fromkeys(names, said)}
    end = decode_event(msgspec.json.encode(message))
    assert isinstance(end, Done)
    assert [getattr(end.timings, name) for name in names] == [meant] * 4


@pytest.mark.parametrize("no_time", [inf, -inf, nan])
def test_a_writer_tells_of_no_time_that_json_has_no_number_for(no_time: float) -> None:
    assert Timings(queue=no_time, gap=no_time) == Timings(queue=0.0, gap=0.0)


def test_no_claim_leaves_no_number_for_those_after_it(held: Run) -> None:
    assert held.event(claim(EXACT - 1), MAD, 3) is Applied.IGNORED
    assert held.event(claim(2 + LEAP), MAD, 4) is Applied.IGNORED
    assert held.pen == (1, HOLDER)
    assert held.event(claim(2), MAD, 5) is Applied.COUNTED


@pytest.mark.parametrize("n", [0, 1, EXACT - 1])
def test_whoever_appends_next_follows_on_a_claim_that_counts_for_nothing(held: Run, n: int) -> None:
    held.event(claim(n), MAD, 3)
    assert held.last == 3


def test_nobody_puts_another_request_under_the_same_name(held: Run) -> None:
    later = Queued(uid="q2", request=replace(REQUEST, deadline=1e9))
    held.event(later, MAD, 3)
    assert held.queued is not None and held.queued.request == REQUEST
    assert (held.queued_at, held.last) == (1, 3)


@pytest.mark.parametrize("consumer", ["echo", "echo+n3"])
def test_the_address_of_an_item_of_the_queue_is_known(consumer: str) -> None:
    address = f"$JS.ACK.REQ.{consumer}.1.7.3.1795354800000000000.0"
    assert acknowledges(address, "echo", 7)
    assert not acknowledges(address, "echo", 8)
    assert not acknowledges(address, "another", 7)


@pytest.mark.parametrize(
    "address",
    [
        "",
        "x",
        "$KV.leases.sweeping",
        "$JS.API.STREAM.PURGE.RUN",
        "$JS.ACK.RUN.echo.1.7.3.4.0",
        "$JS.ACK.REQ.echo.1.7.3.4.0.5",
        "$JS.ACK.REQ.echo.1.7.3.4.0\n",
        "$JS.ACK.REQ.*.1.7.3.4.0",
        "$JS.ACK.REQ.echo.1.7.3.4.>",
        "$JS.ACK.REQ.echo.1.７.3.4.0",
    ],
)
def test_any_other_address_is_not(address: str) -> None:
    assert not acknowledges(address, "echo", 7)
