"""Things that the user tells about himself, and the questions about them later in the chat."""

from __future__ import annotations

from random import Random

from .phrasing import ask, reply, wordings
from .turns import Turn
from .words import COLOURS, FOODS, NAMES, PETS, PLACES, SPELLABLE, invented

_WORDINGS = wordings("memory")
_KINDS = ("name", "colour", "food", "place", "word", "pet")
_OFTEN = ("name", "name", "name", "name", "colour", "food", "place", "word", "word", "pet")


def _value(kind: str, rng: Random) -> str:
    made_up = rng.random() < 0.5
    match kind:
        case "name" | "pet" | "place":
            known = {"name": NAMES, "pet": PETS, "place": PLACES}[kind]
            return invented(rng).capitalize() if made_up else rng.choice(known)
        case "colour":
            return rng.choice(COLOURS)
        case "food":
            return rng.choice(FOODS)
        case _:
            return invented(rng) if made_up else rng.choice(SPELLABLE)


def fact(rng: Random) -> tuple[Turn, list[Turn]]:
    """A turn that tells the model something, and one or two that ask for it, to be put later."""
    kind = rng.choice(_OFTEN)
    value = _value(kind, rng)
    slots = {"x": value, "y": value.capitalize(), "p": reply(rng, _WORDINGS["pet kinds"])}
    told = Turn(_user(rng, kind, "told", slots), _model(rng, kind, "noted", slots))
    asked = [
        Turn(_user(rng, kind, "asked", slots), _model(rng, kind, "given", slots))
        for _ in range(rng.choice((1, 1, 1, 2)))
    ]
    return told, asked


def not_told(rng: Random) -> list[Turn]:
    """A question about something that the user has not told."""
    kind = rng.choice(("name", "name", *_KINDS))
    slots = {"p": reply(rng, _WORDINGS["pet kinds"])}
    return [Turn(_user(rng, kind, "asked", slots), _model(rng, kind, "unknown", slots))]


def _user(rng: Random, kind: str, what: str, slots: dict[str, str]) -> str:
    return ask(rng, _WORDINGS[f"{kind} {what}"], **slots)


def _model(rng: Random, kind: str, what: str, slots: dict[str, str]) -> str:
    return reply(rng, _WORDINGS[f"{kind} {what}"], **slots)
