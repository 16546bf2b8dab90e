"""How an answer is spelled in chunks, without a mesh."""

import pytest
from msgspec.structs import replace

from mesh.gateway.openai.asked import Asked
from mesh.gateway.openai.completion import DONE, Book, Chunks
from mesh.protocol.abilities import Ability
from mesh.protocol.errors import ErrorCode
from mesh.protocol.events import Cancelled, Done, End, Failed, Usage
from mesh.protocol.frames import Odds
from mesh.protocol.request import Request, Sampling, Tool
from mesh.protocol.run import Run
from mesh.protocol.worker_info import ModelCard

REQUEST = Request(
    rid="r1", reply="gw1", tenant="ada", model="echo", messages=(), created=5.5, deadline=60.0
)
PLAIN = ModelCard(name="echo", fingerprint="f", engine="echo", context_length=512)
THINKS = replace(PLAIN, abilities=(Ability.REASON.value,))


def asked(*, include_usage: bool = False, n: int = 1, raw: bool = False) -> Asked:
    return Asked(
        model=None,
        prompts=((),),
        n=n,
        raw=raw,
        sampling=Sampling(),
        max_tokens=None,
        stream=True,
        include_usage=include_usage,
    )


def chunks(*, include_usage: bool = False, opened: bool = False) -> Chunks:
    return Chunks(Book(asked(include_usage=include_usage), REQUEST), 0, opened)


def told(dialect: Chunks, *texts: str, behind: int = 0) -> bytes:
    """The events of pieces, of which so many were told before, or their reader has them."""
    run = Run(texts=["?"] * behind + list(texts))
    return dialect.tokens(run, behind, run.count)


def ended(end: End) -> Run:
    return Run(end=end)


def test_an_answer_without_a_token_still_names_its_role() -> None:
    events = chunks().end(ended(Done(uid="u", finish="stop"))).split(b"\n\n")
    assert b'"role":"assistant"' in events[0]
    assert b'"finish_reason":"stop"' in events[1]
    assert events[2] + b"\n\n" == DONE


def test_the_role_is_named_once() -> None:
    dialect = chunks()
    assert told(dialect, "a").count(b'"role"') == 1
    assert b'"role"' not in told(dialect, "b", behind=1)
    assert b'"role"' not in dialect.end(ended(Done(uid="u", finish="stop")))


def test_who_reads_on_is_not_told_the_role_again() -> None:
    events = told(chunks(opened=True), "b", behind=7)
    assert events.startswith(b'id: 7\ndata: {"id":"chatcmpl-r1",')
    assert b'"role"' not in events


def test_each_piece_is_an_event_with_its_number() -> None:
    events = told(chunks(opened=True), "a", 'b"\n', "ü", behind=3)
    assert events.count(b"\n\n") == 3
    assert [f"id: {at}\n".encode() in events for at in range(2, 7)] == [
        False,
        True,
        True,
        True,
        False,
    ]


def test_who_reads_on_within_a_call_is_told_the_rest_of_its_arguments() -> None:
    texts = ["<tool_call>", '\n{"name": "f", "arguments": {"x"', ": 1}", "}\n</tool_call>"]
    book = Book(replace(asked(), tools=(Tool(name="f"),)), REQUEST)
    events = Chunks(book, 0, opened=True).tokens(Run(texts=texts), 2, 4)
    assert b'"tool_calls":[{"index":0,"function":{"arguments":": 1"}}]' in events
    assert b'"content"' not in events and b'"name"' not in events


CALL = '<tool_call>\n{"name": "f", "arguments": {"x": 1}}\n</tool_call>'


@pytest.mark.parametrize(
    "texts",
    [
        ["one ", "two<"],
        ["one ", "two<", "tool", "_ca"],
        [CALL],
        ["So: ", CALL],
        [CALL[:30], CALL[30:-4], CALL[-4:]],
        [CALL + "\n", CALL],
        [CALL[:45]],
        ["<think>Hm", ".</th", "ink>\n", "\nYes", "."],
        ["<think>Hm.</th"],
        ["<thi"],
        ["plain ", "words"],
        [],
    ],
)
@pytest.mark.parametrize("tools", [(), (Tool(name="f"),)])
def test_whoever_reads_on_is_told_what_an_unbroken_stream_would_have_told(
    texts: list[str], tools: tuple[Tool, ...]
) -> None:
    book = Book(replace(asked(), tools=tools), REQUEST, THINKS)
    run = Run(texts=texts, end=Done(uid="u", finish="stop"))

    def told(behind: int) -> list[bytes]:
        dialect = Chunks(book, 0, opened=behind >= 0)
        data = dialect.tokens(run, behind + 1, run.count) if behind + 1 < run.count else b""
        return (data + dialect.end(run)).split(b"\n\n")

    whole = told(-1)
    for at, event in enumerate(whole):
        if event.startswith(b"id: "):
            number = int(event.partition(b"\n")[0].removeprefix(b"id: "))
            assert told(number) == whole[at + 1 :], number


@pytest.mark.parametrize("thoughts", ["", "<think>So\n</think>\n"])
def test_what_follows_the_thoughts_is_written_as_where_there_are_none(thoughts: str) -> None:
    texts = [thoughts + "a", " b\n", " c"]
    without = Chunks(Book(asked(), REQUEST, PLAIN), 0, opened=True)
    run = Run(texts=texts)
    thinking = Chunks(Book(asked(), REQUEST, THINKS), 0, opened=True)
    told = thinking.tokens(run, 0, 1)
    assert b'"content":"a"' in told and (b'"reasoning_content":"So' in told) == bool(thoughts)
    assert [thinking.tokens(run, at, at + 1) for at in (1, 2)] == [
        without.tokens(run, at, at + 1) for at in (1, 2)
    ]
    again = Chunks(Book(asked(), REQUEST, THINKS), 0, opened=True)
    assert again.tokens(run, 2, 3) == without.tokens(run, 2, 3)


@pytest.mark.parametrize("cut", range(7))
def test_it_makes_no_difference_how_many_pieces_are_told_at_once(cut: int) -> None:
    texts = ["<think>", "so", "</think>", "\n", "it", " is", "\u2028"]
    together, apart = (Chunks(Book(asked(), REQUEST, THINKS), 0) for _ in range(2))
    run = Run(texts=texts)
    whole = together.tokens(run, 0, len(texts))
    assert whole == apart.tokens(run, 0, cut) + apart.tokens(run, cut, len(texts))
    assert whole.count(b'"reasoning_content":"so"') == 1 and b"\\u2028" in whole


def test_usage_comes_last_and_without_a_choice() -> None:
    usage = Usage(prompt_tokens=3, completion_tokens=2, cached_tokens=1)
    done = Done(uid="u", finish="length", usage=usage)
    *_, last, end, nothing = chunks(include_usage=True).end(ended(done)).split(b"\n\n")
    assert b'"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5' in last
    assert (end, nothing) == (DONE.strip(), b"")


def test_what_went_wrong_is_said_and_nothing_after_it() -> None:
    failed = Failed(uid="u", code=ErrorCode.WORKER_LOST, detail="It is gone.", param=None)
    assert chunks().end(ended(failed)) == (
        b'data: {"error":{"message":"It is gone.","type":"server_error",'
        b'"param":null,"code":"worker_lost"}}\n\n'
    )
    assert b'"code":"cancelled"' in chunks().end(ended(Cancelled(uid="u")))


def test_the_end_of_several_answers_comes_with_the_last_of_them() -> None:
    book = Book(asked(n=2, include_usage=True), REQUEST)
    first, second = (Chunks(book, at) for at in range(2))
    usage = Usage(prompt_tokens=3, completion_tokens=2)
    done = Done(uid="u", finish="stop", usage=usage)
    assert b"id: " not in told(first, "a")
    assert b'"index":1' in told(second, "b")
    assert DONE not in first.end(ended(done))
    last = second.end(ended(done))
    assert last.endswith(DONE)
    assert b'"usage":{"prompt_tokens":6,"completion_tokens":4,"total_tokens":10' in last


def test_a_text_has_no_role() -> None:
    events = told(Chunks(Book(asked(raw=True), REQUEST), 0), "a")
    assert events.startswith(b'id: 0\ndata: {"id":"cmpl-r1","object":"text_completion"')
    assert b'"text":"a"' in events and b"delta" not in events


def test_where_a_text_stands_is_known_though_what_was_told_before_it_is_held_no_more() -> None:
    made = replace(asked(raw=True), sampling=Sampling(logprobs=0))
    run = Run(texts=["ab", "c", "def", "g"], odds=[Odds(-1.0)] * 4)
    whole = Chunks(Book(made, REQUEST), 0).tokens(run, 0, 4)
    parts = Chunks(Book(made, REQUEST), 0)
    told_of = parts.tokens(run, 0, 2)
    run.let_go(2)
    assert told_of + parts.tokens(run, 2, 4) == whole
    assert b'"text_offset":[6]' in whole
