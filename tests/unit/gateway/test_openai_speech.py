"""How an answer's text is told apart into thoughts, content and calls, however it is cut."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh.gateway.openai.speech import Delta, Speech

CALL = '<tool_call>\n{"name": "f", "arguments": {"a": "}<"}}\n</tool_call>'
WHOLE = f"<think>\nhm\n</think>\n\nNow <b>: {CALL}\n{CALL}"


def heard(text: str, cuts: list[int], **knows: bool) -> tuple[str, str, list[tuple[str, str]]]:
    speech = Speech(
        "r1",
        knows.get("calls", True),
        knows.get("thinks", True),
        **{name: value for name, value in knows.items() if name == "thinking"},
    )
    ends = [*sorted(cut % (len(text) + 1) for cut in cuts), len(text)]
    parts = [speech.feed(text[a:b]) for a, b in zip([0, *ends], ends, strict=False)]
    return together([*parts, speech.finish()])


def together(parts: list[Delta]) -> tuple[str, str, list[tuple[str, str]]]:
    calls: dict[int, tuple[str, str]] = {}
    for delta in (delta for part in parts for delta in part.calls):
        name, arguments = calls.get(delta.index, ("", ""))
        calls[delta.index] = (name + delta.name, arguments + delta.arguments)
    return "".join(p.reasoning for p in parts), "".join(p.content for p in parts), [*calls.values()]


@given(st.lists(st.integers(0, 200), max_size=40))
def test_it_makes_no_difference_how_the_text_is_cut(cuts: list[int]) -> None:
    call = ("f", '{"a": "}<"}')
    assert heard(WHOLE, cuts) == ("hm\n", "Now <b>: ", [call, call])


@pytest.mark.parametrize("text", ["", "a <", "<tool_cal", "<thin", " <think", "x <think>y</think>"])
def test_what_only_looks_like_a_mark_is_content(text: str) -> None:
    assert heard(text, [1, 2, 3])[:2] == ("", text)


def test_where_nothing_is_offered_nothing_is_called() -> None:
    assert heard(CALL, [], calls=False) == ("", CALL, [])


def test_a_prompt_may_have_opened_the_thoughts() -> None:
    assert heard("hm</think>yes", [4], thinking=True)[:2] == ("hm", "yes")


def test_an_answer_that_is_cut_off_keeps_what_there_was() -> None:
    cut = CALL[: CALL.index("}<") + 2]
    assert heard(cut, [3])[2] == [("f", '{"a": "}<')]
    assert heard("<think>\nhalf a tho", [])[0] == "half a tho"


@pytest.mark.parametrize("cut", range(len(CALL) - CALL.index("}<") - 4))
@pytest.mark.parametrize("at", [3, 60])
def test_no_part_of_a_mark_gets_into_the_arguments(cut: int, at: int) -> None:
    """Whole arguments stay whole, however much of what closes the call was written."""
    whole = '{"a": "}<"}'
    text = CALL[: CALL.index(whole) + len(whole) + cut]
    assert heard(text, [at])[2] == [("f", whole)]


@pytest.mark.parametrize("more", ["", "}", "}\n", "}}", "}}\n</tool_call"])
def test_a_brace_that_is_missing_is_the_arguments_own(more: str) -> None:
    begun = '{"a": {"b": 1}'
    text = CALL[: CALL.index('{"a"')] + begun + more
    assert heard(text, [5])[2] == [("f", begun + more[:1])]
