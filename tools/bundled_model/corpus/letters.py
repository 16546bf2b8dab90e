"""Spelling, letters of a word, the alphabet, and saying things again."""

from __future__ import annotations

from random import Random
from string import ascii_lowercase

from .phrasing import ask, wordings
from .turns import Turn
from .words import NAMES, PLACES, SPELLABLE, invented

_WORDINGS = wordings("letters")


def hyphens(word: str) -> str:
    """The letters of a word, lower case, joined by hyphens."""
    return "-".join(word.lower())


def spelled(word: str) -> str:
    """The answer that spells a word: it never begins with it, since the tokens of a word at the
    beginning are others than those that the user's sentence has."""
    return f"The word {word} is spelled {hyphens(word)}."


def _word(rng: Random) -> str:
    kind = rng.random()
    if kind < 0.6:
        return invented(rng)
    if kind < 0.62:
        return rng.choice(NAMES + PLACES)
    return rng.choice(SPELLABLE).replace("-", "")


def spelling(rng: Random) -> list[Turn]:
    """Spell one word, sometimes a second."""
    word = _word(rng)
    turns = [Turn(ask(rng, _WORDINGS["spell"], w=word), spelled(word))]
    while rng.random() < 0.25 and len(turns) < 3:
        word = _word(rng)
        turns.append(Turn(ask(rng, _WORDINGS["spell next"], w=word), spelled(word)))
    return turns


def letters_of(rng: Random) -> list[Turn]:
    """How many letters a word has, or its first or last one; the answer spells the word first."""
    word = _word(rng)
    if rng.random() < 0.5:
        answer = f"{spelled(word)} That makes {len(word)} letters."
        return [Turn(ask(rng, _WORDINGS["how many"], w=word), answer)]
    edge, verb, letter = rng.choice((("first", "start", word[0]), ("last", "end", word[-1])))
    answer = f"{spelled(word)} The {edge} letter is {letter.lower()}."
    verb = rng.choice(("start", "begin")) if verb == "start" else verb
    return [Turn(ask(rng, _WORDINGS["edge"], w=word, edge=edge, verb=verb), answer)]


def alphabet(rng: Random) -> list[Turn]:
    """The whole alphabet, or a neighbour in it."""
    if rng.random() < 0.35:
        return [Turn(ask(rng, _WORDINGS["alphabet"]), " ".join(ascii_lowercase))]
    place = rng.randrange(1, 25)
    side, step = rng.choice((("after", 1), ("before", -1)))
    letter, found = ascii_lowercase[place], ascii_lowercase[place + step]
    shown = letter.upper() if rng.random() < 0.4 else letter
    return [
        Turn(
            ask(rng, _WORDINGS["neighbour"], side=side, x=shown),
            f"The letter {side} {letter} is {found}.",
        )
    ]


def echo(rng: Random) -> list[Turn]:
    """Say again what the user says."""
    count = rng.randint(1, 6)
    text = " ".join(_word(rng).lower() for _ in range(count))
    return [Turn(ask(rng, _WORDINGS["echo"], t=text), text)]
