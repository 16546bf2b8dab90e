"""Short stories around the words that the user gives."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from .phrasing import ask, expand, reply, wordings
from .turns import Turn
from .words import ABSTRACT, ADJECTIVES, ANIMALS, NAMES, PEOPLE, THINGS, article, invented

_WORDINGS = wordings("stories")
_TOGETHER = tuple(wording for wording in _WORDINGS["one"] if "what did" not in wording)


@dataclass(frozen=True)
class _Words:
    """What the user asked for: a list of words, some alive, some not."""

    alive: tuple[str, ...] = ()
    things: tuple[str, ...] = ()
    name: str = ""
    idea: str = ""


def _some(rng: Random, alive: bool) -> str:
    if rng.random() < 0.5:
        return invented(rng)
    return rng.choice(rng.choice((ANIMALS, ANIMALS, PEOPLE))) if alive else rng.choice(THINGS)


def _pick(rng: Random) -> _Words:
    kind = rng.random()
    if kind < 0.24:
        return _Words(alive=(_some(rng, True),))
    if kind < 0.44:
        return _Words(things=(_some(rng, False),))
    if kind < 0.70:
        return _Words(alive=(_some(rng, True),), things=(_some(rng, False),))
    if kind < 0.80:
        return _Words(alive=(_some(rng, True), _some(rng, True)))
    if kind < 0.88:
        return _Words(things=(_some(rng, False), _some(rng, False)))
    if kind < 0.96:
        name = invented(rng).capitalize() if rng.random() < 0.15 else rng.choice(NAMES)
        return _Words(name=name, things=(_some(rng, False),) if kind < 0.92 else ())
    return _Words(idea=rng.choice(ABSTRACT))


def _plots(words: _Words) -> tuple[str, ...]:
    """The plots that have a place for all the words."""
    if words.name:
        return ("named",)
    if words.idea:
        return ("idea",)
    if len(words.things) > 1:
        return ("things",)
    if len(words.alive) > 1:
        return ("shared", "careful")
    if words.things:
        return ("found", "found", "lost", "made", "shared")
    return ("found", "shared", "careful")


def _other_than(hero: str, rng: Random) -> str:
    while (friend := rng.choice(ANIMALS[:40] + PEOPLE[:20])) == hero:
        pass
    return friend


def _tell(rng: Random, words: _Words) -> str:
    """A story of 5 to 8 sentences that holds every word asked for."""
    hero = words.alive[0] if words.alive else rng.choice(ANIMALS[:30] + PEOPLE[:20])
    friend = words.alive[1] if len(words.alive) > 1 else _other_than(hero, rng)
    thing = words.things[0] if words.things else rng.choice(THINGS[:60])
    second = words.things[1] if len(words.things) > 1 else ""
    plot = _WORDINGS[f"plot {rng.choice(_plots(words))}"]
    adjective = rng.choice(ADJECTIVES[:20]) if rng.random() < 0.5 else ""
    slots = {
        "hero": hero, "friend": friend, "thing": thing, "second": second, "name": words.name,
        "idea": words.idea, "a_hero": article(f"{adjective} {hero}".strip()),
        "a_friend": article(friend), "a_thing": article(thing), "a_second": article(second or "x"),
        **{key: expand(rng, _WORDINGS[key][0]) for key in ("time", "where", "said", "met")},
    }  # fmt: skip
    slots["end"] = rng.choice(_WORDINGS["end"]).format(**slots)
    slots["end_friends"] = rng.choice(_WORDINGS["end of friends"]).format(**slots)
    return " ".join(reply(rng, sentence, **slots) for sentence in plot)


def _name_of(rng: Random, word: str) -> str:
    """How the user puts a word: with an article, bare, or in the plural."""
    form = rng.random()
    if form < 0.64:
        return article(word)
    if form < 0.76:
        return f"the {word}"
    if form < 0.82 and not word.endswith("s"):
        return f"{word}s"
    return word if form < 0.95 else article(f"{rng.choice(ADJECTIVES)} {word}")


def _request(rng: Random, words: _Words) -> str:
    asked = [_name_of(rng, word) for word in words.alive + words.things]
    asked += [word for word in (words.name, words.idea) if word]
    if rng.random() < 0.25:
        rng.shuffle(asked)
    if len(asked) == 1:
        return ask(rng, _WORDINGS["one"], a=asked[0])
    if rng.random() < 0.4:
        return ask(rng, _WORDINGS["two"], a=asked[0], b=asked[1])
    joined = rng.choice((" and ", " and ", " and ", ", ", " & ")).join(asked)
    return ask(rng, _TOGETHER, a=joined)


def story(rng: Random) -> list[Turn]:
    """A story about given words or none, sometimes followed by another one."""
    words = _pick(rng)
    if rng.random() < 0.1:
        words = _Words()
        turns = [Turn(ask(rng, _WORDINGS["free"]), _tell(rng, words))]
    else:
        turns = [Turn(_request(rng, words), _tell(rng, words))]
    follow = rng.random()
    if follow < 0.08:
        turns.append(Turn(ask(rng, _WORDINGS["more"]), _tell(rng, words)))
    elif follow < 0.2:
        fresh = (
            _Words(alive=(_some(rng, True),))
            if rng.random() < 0.6
            else _Words(things=(_some(rng, False),))
        )
        word = (fresh.alive + fresh.things)[0]
        turns.append(Turn(ask(rng, _WORDINGS["next"], a=_name_of(rng, word)), _tell(rng, fresh)))
    return turns
