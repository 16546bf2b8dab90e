"""Greetings, who the model is, what it can do, thanks, farewells, moods and small remarks."""

from __future__ import annotations

from random import Random
from string import ascii_lowercase

from .phrasing import ask, reply, wordings
from .turns import Turn
from .words import ANIMALS, FOODS, THINGS

_WORDINGS = wordings("smalltalk")


def about(topic: str, rng: Random) -> list[Turn]:
    """One exchange about a topic: a heading of `wordings/smalltalk.txt` that has answers."""
    slots = {
        "n": rng.choice(ANIMALS + THINGS),
        "f": rng.choice(FOODS),
        "m": reply(rng, _WORDINGS["model"]),
        "x": "".join(rng.choices(ascii_lowercase, k=rng.randint(3, 9))),
        "y": "".join(rng.choices("asdfghjkl", k=rng.randint(2, 7))),
    }
    return [Turn(ask(rng, _WORDINGS[topic], **slots), rng.choice(_WORDINGS[f"{topic} answers"]))]


def small_talk(rng: Random) -> list[Turn]:
    """Any exchange that is neither a greeting nor a farewell."""
    if rng.random() < 0.08:
        return about("joke", rng)
    topics = ("identity", "identity", "identity", "size", "mesh", "help", "help", "how", "thanks",
              "thanks", "praise", "sad", "glad", "remark", "remark", "remark")  # fmt: skip
    return about(rng.choice(topics), rng)
