"""`traceparent` and `tracestate`, as W3C Trace Context level 1 has them read."""

import pytest

from mesh.protocol.trace_context import NO_TRACE, read

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
PARENT = f"00-{TRACE}-{SPAN}-01"


def test_a_span_below_another_is_of_the_same_trace() -> None:
    found = read([PARENT], ["vendor=value"])
    assert (found.trace, found.span, found.sampled) == (TRACE, SPAN, True)
    below = found.below()
    assert (below.trace, below.sampled, below.tracestate) == (TRACE, True, "vendor=value")
    assert below.span != SPAN and read([below.traceparent]).span == below.span
    assert found.headers() == {"traceparent": PARENT, "tracestate": "vendor=value"}
    assert not NO_TRACE and NO_TRACE.headers() == {}


@pytest.mark.parametrize(("flags", "sampled"), [("00", False), ("03", True), ("02", False)])
def test_of_the_flags_one_is_known_and_handed_on(flags: str, sampled: bool) -> None:
    found = read([f"00-{TRACE}-{SPAN}-{flags}"])
    assert found.sampled is sampled
    assert found.traceparent == f"00-{TRACE}-{SPAN}-0{int(sampled)}"


@pytest.mark.parametrize("later", [f"cc-{TRACE}-{SPAN}-01", f"cc-{TRACE}-{SPAN}-01-what-follows"])
def test_of_a_later_version_what_is_known_is_read(later: str) -> None:
    assert read([later]).traceparent == PARENT


@pytest.mark.parametrize(
    "invalid",
    [
        [],
        [""],
        [PARENT, PARENT],
        [f"ff-{TRACE}-{SPAN}-01"],
        [f"00-{'0' * 32}-{SPAN}-01"],
        [f"00-{TRACE}-{'0' * 16}-01"],
        [PARENT.upper()],
        [f"{PARENT}-more"],
        [f"cc-{TRACE}-{SPAN}-01.more"],
        [f"00-{TRACE}-{SPAN}-1"],
        [f"00-{TRACE[1:]}-{SPAN}-01"],
        [f"00_{TRACE}_{SPAN}_01"],
    ],
)
def test_what_is_not_valid_is_no_trace(invalid: list[str]) -> None:
    assert read(invalid, ["vendor=value"]) == NO_TRACE


@pytest.mark.parametrize(
    ("states", "handed_on"),
    [
        (["a=1,b=2", " c@d=3 ", ""], "a=1,b=2,c@d=3"),
        (["a=1,a=2"], ""),
        (["a"], ""),
        (["A=1"], ""),
        (["a=\n"], ""),
        ([",".join(f"k{at}=1" for at in range(33))], ""),
        ([f"a={'x' * 200},b={'y' * 200},c={'z' * 200}"], f"a={'x' * 200},b={'y' * 200}"),
    ],
)
def test_the_state_is_handed_on_if_it_is_valid(states: list[str], handed_on: str) -> None:
    found = read([PARENT], states)
    assert (found.traceparent, found.tracestate) == (PARENT, handed_on)
