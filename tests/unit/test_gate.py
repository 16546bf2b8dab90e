"""The text gate against a naive oracle: what is before the first stop string, and nothing else."""

from collections.abc import Sequence

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mesh.worker.gate import Gate, Piece, has_stopped

ALPHABET = "aab<>é"
Tokens = list[str]

token_lists = st.lists(st.text(ALPHABET, max_size=4), max_size=30)
stop_lists = st.lists(st.text(ALPHABET, min_size=1, max_size=4), max_size=3)


def oracle(text: str, stop: Sequence[str]) -> str:
    found = [text.find(s) for s in stop if s in text]
    return text[: min(found)] if found else text


def run(
    tokens: Sequence[str], stop: Sequence[str], first: int = 0, ids: bool = True
) -> tuple[list[Piece], bool]:
    """Feed tokens, each with its number as its id, and return the pieces and `stopped`.

    What need not be fed is not, as the generation has it.
    """
    gate = Gate(stop)
    pieces: list[Piece] = []
    for number, token in enumerate(tokens[first:], first):
        said = (token, (number,) if ids else None)
        pieces += [Piece(*said)] if gate.clear and token else gate.feed(*said)
        if gate.stopped:
            break
    else:
        pieces += gate.finish()
    return pieces, gate.stopped


def text_of(pieces: Sequence[Piece]) -> str:
    return "".join(piece.text for piece in pieces)


def ids_of(pieces: Sequence[Piece]) -> list[int]:
    return [i for piece in pieces for i in piece.ids or ()]


@given(token_lists, stop_lists)
@example(["a", "bc", "d"], ["abcd", "bc"])
@example(["<", "<", "a"], ["<a"])
def test_the_answer_is_the_text_before_the_earliest_stop_string(
    tokens: Tokens, stop: list[str]
) -> None:
    pieces, stopped = run(tokens, stop)
    whole = "".join(tokens)
    assert text_of(pieces) == oracle(whole, stop)
    assert stopped == any(s in whole for s in stop)


def test_what_nothing_waits_for_need_not_be_fed() -> None:
    gate = Gate()
    assert gate.clear
    gate.feed("", (1,))
    assert not gate.clear, "the token without a character belongs to what comes next"
    assert gate.feed("é", (2,)) == [Piece("é", (1, 2))]
    assert gate.clear
    assert not Gate(("stop",)).clear


@given(token_lists, stop_lists, st.booleans())
def test_no_piece_is_empty_and_none_is_split_from_its_token(
    tokens: Tokens, stop: list[str], ids: bool
) -> None:
    pieces, _ = run(tokens, stop, ids=ids)
    assert all(piece.text for piece in pieces)
    for piece in pieces[:-1]:
        assert (piece.ids is not None) == ids
        if piece.ids is not None:
            assert piece.text == "".join(tokens[i] for i in piece.ids)


@given(token_lists, stop_lists, st.data())
def test_another_worker_goes_on_from_any_piece_to_the_same_answer(
    tokens: Tokens, stop: list[str], data: st.DataObject
) -> None:
    whole, _ = run(tokens, stop)
    delivered = whole[: data.draw(st.integers(0, len(whole)))]
    rest: list[Piece] = []
    if not has_stopped(delivered):
        ids = ids_of(delivered)
        assert ids == list(range(len(ids)))
        rest, _ = run(tokens, stop, first=len(ids))
    assert text_of(delivered) + text_of(rest) == text_of(whole)


@given(token_lists, stop_lists)
def test_text_is_let_through_as_soon_as_it_is_certain(tokens: Tokens, stop: list[str]) -> None:
    gate = Gate(stop)
    said = given = ""
    for token in tokens:
        said += token
        given += text_of(gate.feed(token, None))
        if gate.stopped:
            break
        waits = len(said) - len(given)
        assert waits < max(map(len, stop), default=1) + 2 * max(map(len, tokens), default=0)
        if not any(said.endswith(s[:n]) for s in stop for n in range(1, len(s) + 1)):
            assert given == said


def test_without_stop_strings_every_step_is_a_piece() -> None:
    gate = Gate()
    assert gate.feed("Hello ", (1,)) == [Piece("Hello ", (1,))]
    assert gate.feed("you", (2,)) == [Piece("you", (2,))]
    assert gate.finish() == []
    assert not gate.stopped


def test_a_character_cut_over_steps_is_one_piece_with_all_its_ids() -> None:
    gate = Gate()
    assert gate.feed("", (1,)) == []
    assert gate.feed("", (2,)) == []
    assert gate.feed("🙂", (3,)) == [Piece("🙂", (1, 2, 3))]


def test_ids_of_a_character_that_never_came_are_left_out() -> None:
    gate = Gate()
    gate.feed("", (1,))
    assert gate.finish() == []


def test_one_unknown_id_makes_a_piece_without_ids() -> None:
    gate = Gate()
    gate.feed("", None)
    assert gate.feed("é", (3,)) == [Piece("é", None)]


def test_the_beginning_of_a_stop_string_is_held_and_let_go_whole() -> None:
    gate = Gate(["<end>"])
    assert gate.feed("so <", (1,)) == []
    assert gate.feed("en", (2,)) == []
    assert gate.feed("tity", (3,)) == [Piece("so <", (1,)), Piece("en", (2,)), Piece("tity", (3,))]


def test_text_cut_out_of_a_token_carries_no_ids_and_shows_the_end() -> None:
    gate = Gate(["<end>"])
    gate.feed("so <", (1,))
    pieces = gate.feed("end> and on", (2,))
    assert pieces == [Piece("so ", ())]
    assert gate.stopped
    assert gate.finish() == []
    assert has_stopped(pieces)


@pytest.mark.parametrize(
    "pieces", [[], [Piece("so ", (1,))], [Piece("so ", None)]], ids=["none", "ids", "unknown ids"]
)
def test_an_answer_that_goes_on_does_not_show_an_end(pieces: list[Piece]) -> None:
    assert not has_stopped(pieces)


def test_held_text_comes_out_when_the_engine_ends() -> None:
    gate = Gate(["<end>"])
    assert gate.feed("a<e", (1,)) == []
    assert gate.finish() == [Piece("a<e", (1,))]


def test_an_earlier_stop_string_wins_though_a_later_one_is_whole_first() -> None:
    gate = Gate(["abcd", "bc"])
    assert gate.feed("xabc", (1,)) == []
    assert not gate.stopped
    assert gate.feed("d", (2,)) == [Piece("x", ())]
    assert gate.stopped


def test_an_empty_stop_string_stops_nothing() -> None:
    assert Gate([""]).feed("text", (1,)) == [Piece("text", (1,))]
