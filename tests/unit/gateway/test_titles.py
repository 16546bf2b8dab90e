"""What a model says when it is asked for a title, and what is made of it."""

import pytest

from mesh.gateway.titles import title

TALK = (
    "Here and there: why do puffins nest in burrows?\nThe burrows keep their eggs warm. 海鸟 нора"
)


@pytest.mark.parametrize(
    ("said", "taken"),
    [
        ("Puffins and their burrows", "Puffins and their burrows"),
        ('"Puffin burrows."', "Puffin burrows"),
        ("Title: Nesting in Burrows\n\nI hope this helps!", "Nesting in Burrows"),
        ("\n**Warm eggs**", "Warm eggs"),
        ("海鸟", "海鸟"),
        ("Зачем нора", "Зачем нора"),
    ],
)
def test_a_title_is_taken_without_its_trimmings(said: str, taken: str) -> None:
    assert title(said, TALK) == taken


@pytest.mark.parametrize(
    "said",
    [
        "",
        " \n ",
        '""',
        "x",
        "I am a small model",
        "burrows " * 12,
        f"burrows {'a' * 60}",
        "of the",
        "Here is the beginning of a conversation",
    ],
)
def test_what_is_no_title_of_this_is_not_taken(said: str) -> None:
    assert title(said, TALK) is None
