"""Reading one answer over many connections, in memory: nothing twice, nothing missing."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh_client.errors import BadReply, GenerationFailed
from mesh_client.events import Event, Failed, Finished, Pending, Token, message_of
from mesh_client.following import Follower, GenerateReader, StreamBroken
from mesh_client.objects import Message, Usage

PIECES = ["One ", "twö ", "three\n", "", "four"]


def message(state: str = "complete", content: str | None = None) -> Message:
    content = "".join(PIECES) if content is None else content
    return msgspec.convert(
        {"id": "a", "role": "assistant", "state": state, "content": content}, Message
    )


def frame(data: object, id: int | None = None) -> bytes:
    head = f"id: {id}\n" if id is not None else ""
    return f"{head}data: {msgspec.json.encode(data).decode()}\n\n".encode()


def token(index: int) -> bytes:
    return frame({"event_type": "token", "text": PIECES[index]}, index)


def end(state: str = "complete", content: str | None = None) -> bytes:
    return frame({"event_type": "message", "message": message(state, content)})


def stream(after: int) -> bytes:
    pending = frame({"event_type": "pending", "queue_position": 1, "queue_size": 2})
    tokens = (token(index) for index in range(after + 1, len(PIECES)))
    return pending + b": keep-alive\n\n" + b"".join(tokens) + end()


def feed(follower: Follower, data: bytes) -> list[Event]:
    return list(follower.feed(data))


@given(st.lists(st.integers(0, 600), max_size=20), st.integers(0, 2))
def test_however_often_it_is_cut_each_piece_is_read_once(cuts: list[int], overlap: int) -> None:
    """A gateway may also send again what was read already."""
    follower, events = Follower("c", "a"), list[Event]()
    for cut in [*cuts, 10_000]:
        after = int(follower.call().headers.get("Last-Event-ID", "-1"))
        events += feed(follower, stream(max(-1, after - overlap))[:cut])
        if follower.ended:
            break
    assert [event.text for event in events if isinstance(event, Token)] == PIECES
    assert [event.index for event in events if isinstance(event, Token)] == [0, 1, 2, 3, 4]
    assert events[-1] == Finished("".join(PIECES), 5, "complete", message())


def test_the_first_connection_asks_for_everything_and_the_next_for_the_rest() -> None:
    follower = Follower("c", "a")
    assert "Last-Event-ID" not in follower.call().headers
    feed(follower, token(0) + token(1))
    assert follower.call().headers["Last-Event-ID"] == "1"


def test_a_missing_piece_breaks_the_stream_and_is_asked_for() -> None:
    follower = Follower("c", "a")
    feed(follower, token(0))
    with pytest.raises(StreamBroken, match="token 1 is missing before token 2"):
        feed(follower, token(2))
    assert follower.call().headers["Last-Event-ID"] == "0"


def test_a_finished_answer_comes_from_its_message() -> None:
    follower = Follower("c", "a")
    feed(follower, token(0))
    events = list(follower.settle(message()))
    assert events[0] == Token("twö three\nfour", 1)
    assert isinstance(events[1], Finished) and events[1].text == "".join(PIECES)


def test_a_stored_text_that_differs_from_the_one_read_is_never_hidden() -> None:
    follower = Follower("c", "a")
    feed(follower, token(0))
    with pytest.raises(BadReply, match="not the one that was read"):
        list(follower.settle(message(content="Something else")))


def test_an_answer_taken_for_finished_that_is_not_is_asked_for_again() -> None:
    with pytest.raises(StreamBroken):
        list(Follower("c", "a").settle(message("in_progress")))


def test_a_cancelled_answer_ends_as_finished_with_its_state() -> None:
    follower = Follower("c", "a")
    events = feed(follower, token(0) + end("cancelled", PIECES[0]))
    assert isinstance(events[-1], Finished) and events[-1].state == "cancelled"


def test_tokens_are_counted_by_the_engine_where_it_tells() -> None:
    follower = Follower("c", "a")
    stored = msgspec.structs.replace(message(), usage=Usage(completion_tokens=42))
    assert list(follower.settle(stored))[-1] == Finished("".join(PIECES), 42, "complete", stored)


@pytest.mark.parametrize(
    ("state", "code"), [("aborted_by_worker", "worker_lost"), ("timeout", "deadline_exceeded")]
)
def test_an_answer_that_did_not_end_well_ends_as_failed(state: str, code: str) -> None:
    follower = Follower("c", "a")
    last = feed(follower, token(0) + end(state, PIECES[0]))[-1]
    assert isinstance(last, Failed) and (last.code, last.text) == (code, PIECES[0])


def test_an_error_event_ends_as_failed_with_its_sentence() -> None:
    last = feed(Follower("c", "a"), frame({"event_type": "error", "error": "Out of memory."}))[-1]
    assert last == Failed("engine_failed", "Out of memory.", "")
    with pytest.raises(GenerationFailed, match="Out of memory"):
        message_of(last)


def test_events_of_later_versions_are_passed_over() -> None:
    data = frame({"event_type": "plugin_intermediate", "current_plugin_thought": "hm"})
    assert feed(Follower("c", "a"), data + token(0)) == [Token(PIECES[0], 0)]


def test_the_queue_is_told() -> None:
    data = frame({"event_type": "pending", "queue_position": 3, "queue_size": 9})
    assert feed(Follower("c", "a"), data) == [Pending(3, 9)]


@pytest.mark.parametrize("data", [b"data: {nonsense\n\n", b'data: {"text": "x"}\n\n'])
def test_what_is_not_the_protocol_is_a_bad_reply(data: bytes) -> None:
    with pytest.raises(BadReply):
        feed(Follower("c", "a"), data)


def test_a_token_without_an_index_is_a_bad_reply() -> None:
    with pytest.raises(BadReply, match="without its index"):
        feed(Follower("c", "a"), frame({"event_type": "token", "text": "x"}))


def test_generate_ends_with_its_count_or_its_error() -> None:
    token = frame({"token": "Hi", "index": 0})
    done = GenerateReader()
    assert list(done.feed(token + frame({"done": True, "total_tokens": 1}))) == [
        Token("Hi", 0),
        Finished("Hi", 1),
    ]
    failed = GenerateReader()
    assert list(failed.feed(token + frame({"error": "No."})))[-1] == Failed(
        "engine_failed", "No.", "Hi"
    )
    assert GenerateReader().cut("the connection was cut").code == "unreachable"
