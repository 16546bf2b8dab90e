"""Pieces too large for a message: their parts are the same text and odds, and small enough."""

import pytest
from msgspec.json import encode

from mesh.protocol.errors import ErrorCode, MeshError
from mesh.protocol.frames import Odds
from mesh.worker.gate import Piece
from mesh.worker.parts import parts

MOST = 600


def test_what_is_small_stays_as_it_is() -> None:
    piece = Piece("a" * (MOST // 6 - 4), (1, 2), Odds(-1.0))
    assert parts(piece, MOST) == [piece]
    assert parts(Piece("", (1,)), MOST) == [Piece("", (1,))]


@pytest.mark.parametrize("character", ["a", "é", "水", "\U0001f600", "\x00", '"', "\\"])
def test_parts_are_the_text_in_its_order_and_small_in_bytes(character: str) -> None:
    text = "".join(f"{k}{character}" for k in range(1000))
    found = parts(Piece(text, (1, 2, 3)), MOST)
    assert "".join(part.text for part in found) == text
    assert all(len(encode(part.text)) <= MOST + 2 for part in found)
    assert all(part.text and part.ids is None and part.odds is None for part in found)


def test_the_odds_of_the_parts_are_those_of_the_piece() -> None:
    odds = Odds(-2.5, (("a", -0.1), ("b", -3.0)))
    found = parts(Piece("a" * 1000, (1,), odds), MOST)
    assert [part.odds for part in found] == [Odds(0.0)] * (len(found) - 1) + [odds]


def test_ids_that_are_too_many_are_left_out() -> None:
    assert parts(Piece("a", tuple(range(1000))), MOST) == [Piece("a", None)]
    assert parts(Piece("", tuple(range(1000))), MOST) == [Piece("", None)]


def test_odds_cannot_be_divided() -> None:
    with pytest.raises(MeshError) as caught:
        parts(Piece("a", (1,), Odds(-1.0, (("a" * MOST, -1.0),))), MOST)
    assert caught.value.code is ErrorCode.TOO_LARGE
