"""The event-stream decoder against a naive reading of the standard, at every cut."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh_client import sse
from mesh_client.errors import BadReply
from mesh_client.sse import ServerEvent, SSEDecoder


def oracle(stream: bytes) -> list[ServerEvent]:
    """The standard's algorithm over the whole stream at once, as slow and plain as it can be."""
    text = stream.decode("utf-8", "replace")
    text = text[1:] if text.startswith("\ufeff") else text
    *lines, _cut_off = re.split("\r\n|\r|\n", text)
    events: list[ServerEvent] = []
    data: list[str] = []
    kind = last_id = ""
    for line in lines:
        if line == "":
            if data:
                events.append(ServerEvent("\n".join(data), kind or "message", last_id))
            data, kind = [], ""
        elif ":" in line:
            name, value = line.split(":", 1)
            value = value[1:] if value.startswith(" ") else value
            if name == "data":
                data.append(value)
            elif name == "event":
                kind = value
            elif name == "id" and "\0" not in value:
                last_id = value
        elif line == "data":
            data.append("")
        elif line == "event":
            kind = ""
        elif line == "id":
            last_id = ""
    return events


CHARACTERS = st.characters(exclude_characters="\r\n", codec="utf-8")
LINES = st.one_of(
    st.sampled_from(["", "", "data", "data:", "data: {}", "id: 7", "id:\0", "event: x", ": hi"]),
    st.text(CHARACTERS, max_size=8),
    st.text(CHARACTERS).map(lambda text: f"data: {text}"),
)
STREAMS = st.lists(st.tuples(LINES, st.sampled_from(["\n", "\r", "\r\n"]))).map(
    lambda lines: "".join(line + end for line, end in lines).encode()
)


@given(STREAMS, st.data())
def test_cutting_the_stream_anywhere_gives_the_events_of_the_whole(
    stream: bytes, data: st.DataObject
) -> None:
    cuts = data.draw(st.lists(st.integers(0, len(stream)), max_size=12).map(sorted))
    borders = [0, *cuts, len(stream)]
    chunks = [stream[a:b] for a, b in zip(borders, borders[1:], strict=False)]
    decoder = SSEDecoder()
    events = [event for chunk in chunks for event in decoder.feed(chunk)]
    assert events == oracle(stream)


@given(STREAMS)
def test_byte_by_byte_gives_the_events_of_the_whole(stream: bytes) -> None:
    decoder = SSEDecoder()
    events = [event for byte in stream for event in decoder.feed(bytes([byte]))]
    assert events == oracle(stream)


def test_an_event_that_was_cut_off_is_not_dispatched() -> None:
    assert SSEDecoder().feed(b"id: 3\ndata: {}\n") == []


def test_an_event_comes_with_the_carriage_return_that_ends_it() -> None:
    decoder = SSEDecoder()
    assert decoder.feed(b"data: a\r\r") == [ServerEvent("a")]
    assert decoder.feed(b"\ndata: b\n\n") == [ServerEvent("b")]


def test_an_event_without_an_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "MAX_EVENT_BYTES", 1000)
    decoder = SSEDecoder()
    with pytest.raises(BadReply):
        for _ in range(100):
            decoder.feed(b"x" * 100)


def test_a_long_stream_of_small_events_is_not_taken_for_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sse, "MAX_EVENT_BYTES", 1000)
    decoder = SSEDecoder()
    for _ in range(100):
        assert decoder.feed(b"data: " + b"x" * 100 + b"\n\n")
