"""Requests beyond the model, of many kinds, and the polite answer that it cannot help with them.

The wordings mix topics with everyday words on purpose: that a request names a fox or a number must
not be enough for the model to believe that it can answer.
"""

from __future__ import annotations

from random import Random

from .phrasing import ask, expand, wordings
from .turns import Turn
from .words import ABSTRACT, ADJECTIVES, ANIMALS, NAMES, PEOPLE, PLACES, THINGS, VERBS, invented

ONLY = "I am only a small demonstration model, and I cannot {what}."
OFFER = "Ask me to count, to spell, to add or to tell a story."

_WORDINGS = wordings("refusals")
_KINDS = {
    "fact": (40, "help with that"),
    "do": (34, "help with that"),
    "advice": (22, "help with that"),
    "maths": (10, "calculate that"),
    "count": (3, "count that far"),
}
"""For each kind of request: how often it is drawn, and what the model says it cannot do."""
_WEIGHTS = [weight for weight, _ in _KINDS.values()]
_HUGE = ("1000", "a thousand", "a million", "500", "10000", "1000000", "999", "200", "infinity",
         "a billion", "5000", "ten thousand", "one thousand", "300")  # fmt: skip


def refuse(what: str) -> str:
    """The polite refusal of one kind of request."""
    return f"{ONLY.format(what=what)} {OFFER}"


def _number(rng: Random) -> str:
    return str(rng.choice((rng.randint(2, 12), rng.randint(2, 999))))


def _topic(rng: Random) -> str:
    return expand(rng, rng.choice(_WORDINGS["topics"]))


def _slots(rng: Random) -> dict[str, str]:
    """A filling for every slot of the wordings."""
    thing = invented(rng) if rng.random() < 0.1 else rng.choice(THINGS)
    animal, name = rng.choice(ANIMALS), rng.choice(NAMES)
    place = invented(rng).capitalize() if rng.random() < 0.15 else rng.choice(PLACES)
    if rng.random() < 0.4:
        place = place.lower()
    topic = invented(rng) if rng.random() < 0.15 else _topic(rng)
    if rng.random() < 0.3:
        topic = topic.title()
    verb = rng.choice(VERBS)
    big, big2 = rng.randint(101, 99999), rng.randint(0, 9999)
    phrase = {"name": name, "thing": thing, "animal": animal, "verb": verb}
    return {
        **phrase, "place": place, "topic": topic, "place2": rng.choice(PLACES),
        "topic2": _topic(rng),
        "task": rng.choice(_WORDINGS["tasks"]) if rng.random() < 0.7 else f"{verb} a {thing}",
        "person": rng.choice(PEOPLE), "adjective": rng.choice(ADJECTIVES),
        "abstract": rng.choice(ABSTRACT), "lang": rng.choice(_WORDINGS["languages"]),
        "code": rng.choice(_WORDINGS["programming"]),
        "phrase": rng.choice(_WORDINGS["phrases"]).format(**phrase),
        "snippet": rng.choice(_WORDINGS["snippets"]), "p": _number(rng), "q": _number(rng),
        "big": str(big), "big2": str(big2), "huge": rng.choice(_HUGE),
    }  # fmt: skip


def refusal(rng: Random) -> list[Turn]:
    """A request that the model must decline."""
    kind = rng.choices(list(_KINDS), _WEIGHTS)[0]
    slots = _slots(rng)
    if kind == "maths" and rng.random() < 0.3:
        slots["p"], slots["q"] = str(rng.randint(2, 20)), str(rng.randint(2, 20))
    return [Turn(ask(rng, _WORDINGS[kind], **slots), refuse(_KINDS[kind][1]))]
