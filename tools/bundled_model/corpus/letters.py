"""Spelling, letters of a word, the alphabet, and saying things again."""

from __future__ import annotations

from random import Random
from string import ascii_lowercase

from .phrasing import ask
from .turns import Turn
from .words import NAMES, PLACES, SPELLABLE, invented

_WORD = "[{w}|the word {w}|'{w}'|\"{w}\"|{w}]"
_SPELL = (
    f"~spell {_WORD}",
    f"how [do you|do i|does one|would you|to|can i] spell {_WORD}",
    f"how is {_WORD} [spelled|spelt]",
    f"what is the spelling of {_WORD}",
    f"~[give|show|tell|write] me the spelling of {_WORD}",
    f"~spell [out|] {_WORD} [out|] [letter by letter|with hyphens|slowly]",
    f"~[write|say|type|print|read] {_WORD} letter by letter",
    f"~[write|say|type|list|print|show] [me|] [all|] the letters of {_WORD}",
    f"which letters [does {_WORD} have|are in {_WORD}|do i need for {_WORD}]",
    f"~spell: {{w}}",
    f"spelling [test:|bee:|:|of] {{w}}",
    f"{{w}}, how [do you|to] spell [it|that]",
    f"{_WORD} - [spell it|spell that|letters please|spelling please]",
    f"i [don't know|do not know|wonder|want to know|need to know] how to spell {_WORD}",
    f"[i can't|i cannot|i never can] spell {_WORD}",
    f"~help me [to|] spell {_WORD}",
    f"~teach me [how to|to] spell {_WORD}",
    f"do you know how to spell {_WORD}",
    f"~split {_WORD} [up|] into [its|single|the] letters",
    f"~take {_WORD} apart, letter by letter",
    f"what letters [make up|form|build] {_WORD}",
    f"~put hyphens between the letters of {_WORD}",
    f"i am writing {_WORD}, how does it go",
    f"~separate the letters of {_WORD}",
    f"how do people write {_WORD} correctly",
    f"is it hard to spell {_WORD}",
)
_SPELL_NEXT = ("[and|now|then|what about|how about|next:|next word:] {w}", "and [the word|] {w}")
_HOW_MANY = (
    f"how many letters [does {_WORD} have|are in {_WORD}|are there in {_WORD}|has {_WORD}]",
    f"~count the letters [in|of] {_WORD}",
    f"[what is|] the number of letters in {_WORD}",
    f"how long is the word {{w}}",
)
_EDGE = (
    f"what is the {{edge}} letter [of|in] {_WORD}",
    f"[which|what] letter does {_WORD} {{verb}} with",
    f"the {{edge}} letter of {{w}}",
)
_ALPHABET = (
    "~[say|tell me|write|list|recite|give me|sing|type|show me] the [alphabet|abc|whole alphabet]",
    "what is the alphabet",
    "[the alphabet|abc|alphabet please|the letters from a to z]",
    "do you know [the alphabet|your abc|the abc|your letters]",
    "what are the letters of the alphabet",
)
_AFTER = (
    "[what|which] letter [comes|is|goes] {side} {x}",
    "what comes {side} [the letter|] {x} in the alphabet",
    "the letter {side} {x}",
)
_ECHO = (
    "~[say|repeat|write|echo|type]: {t}",
    "~repeat after me: {t}",
    "~[say|repeat|write] \"{t}\"",
    "~say {t}",
    "~repeat [this|these words|the following]: {t}",
    "~copy [this|these words]: {t}",
)


def hyphens(word: str) -> str:
    """The letters of a word, lower case, joined by hyphens."""
    return "-".join(word.lower())


def _word(rng: Random) -> str:
    kind = rng.random()
    if kind < 0.45:
        return invented(rng)
    if kind < 0.52:
        return rng.choice(NAMES + PLACES)
    return rng.choice(SPELLABLE).replace("-", "")


def spelling(rng: Random) -> list[Turn]:
    """Spell one word, sometimes a second."""
    word = _word(rng)
    turns = [Turn(ask(rng, _SPELL, w=word), f"{word} is spelled {hyphens(word)}.")]
    while rng.random() < 0.25 and len(turns) < 3:
        word = _word(rng)
        turns.append(Turn(ask(rng, _SPELL_NEXT, w=word), f"{word} is spelled {hyphens(word)}."))
    return turns


def letters_of(rng: Random) -> list[Turn]:
    """How many letters a word has, or its first or last one; the answer spells the word first."""
    word = _word(rng)
    if rng.random() < 0.5:
        answer = f"{word} is spelled {hyphens(word)}. That makes {len(word)} letters."
        return [Turn(ask(rng, _HOW_MANY, w=word), answer)]
    edge, verb, letter = rng.choice((("first", "start", word[0]), ("last", "end", word[-1])))
    answer = f"{word} is spelled {hyphens(word)}. The {edge} letter is {letter.lower()}."
    verb = rng.choice(("start", "begin")) if verb == "start" else verb
    return [Turn(ask(rng, _EDGE, w=word, edge=edge, verb=verb), answer)]


def alphabet(rng: Random) -> list[Turn]:
    """The whole alphabet, or a neighbour in it."""
    if rng.random() < 0.35:
        return [Turn(ask(rng, _ALPHABET), " ".join(ascii_lowercase))]
    place = rng.randrange(1, 25)
    side, step = rng.choice((("after", 1), ("before", -1)))
    letter, found = ascii_lowercase[place], ascii_lowercase[place + step]
    shown = letter.upper() if rng.random() < 0.4 else letter
    return [Turn(ask(rng, _AFTER, side=side, x=shown), f"The letter {side} {letter} is {found}.")]


def echo(rng: Random) -> list[Turn]:
    """Say again what the user says."""
    count = rng.randint(1, 6)
    text = " ".join(_word(rng).lower() for _ in range(count))
    return [Turn(ask(rng, _ECHO, t=text), text)]
