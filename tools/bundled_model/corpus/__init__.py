"""Made-up conversations for the bundled model: every word comes from the tables of this package.

`conversation(rng)` is the only door; the same generator state gives the same conversation.
"""

from __future__ import annotations

from random import Random

from .knowledge import animal, calendar, colour, opposite
from .letters import alphabet, echo, letters_of, spelling
from .memory import fact, not_told
from .numbers import adding, comparing, counting, subtracting
from .phrasing import expand
from .refusals import refusal
from .smalltalk import about, small_talk
from .stories import story
from .turns import Skill, Turn

_MIX: dict[Skill, float] = {
    story: 19, counting: 18, spelling: 20, letters_of: 1.5, alphabet: 1, echo: 7, adding: 11,
    subtracting: 10, comparing: 1, opposite: 5, colour: 4, animal: 5, calendar: 5, small_talk: 15,
    refusal: 16,
}  # fmt: skip
_SKILLS, _WEIGHTS = list(_MIX), list(_MIX.values())
_SYSTEM = (
    "[You are a|You're a|You are the] [helpful|friendly|kind|small|useful|polite|]"
    " [assistant|chatbot|model|ai assistant].",
    "You are a helpful assistant.",
    "You are [mesh|the mesh demo model], a [small|tiny] [demonstration|demo] model.",
    "[Answer|Reply] [briefly|in short sentences|politely|in English|clearly|truthfully].",
    "You are a [helpful assistant|friendly bot]."
    " [Answer|Reply] [briefly|politely|in one sentence|in English].",
    "[Be|Stay] [helpful|kind|brief|polite|concise|honest].",
    "You are an expert in [python|cooking|law|history|physics|writing|coding].",
    "You [help|assist] [children|students|users|people] [with their questions|].",
    "You are [Bob|a pirate|an old teacher|a travel guide|a coding assistant|a tutor].",
)


def conversation(rng: Random, most: int = 5) -> tuple[str, list[Turn]]:
    """A system prompt (possibly empty) and one to about `most` turns."""
    system = expand(rng, rng.choice(_SYSTEM)) if rng.random() < 0.2 else ""
    length = rng.choice((1, 1, *range(1, most + 1)))
    turns: list[Turn] = []
    if length > 1 and rng.random() < 0.3:
        turns += about("greet", rng)
    if rng.random() < 0.3:
        turns += _remembering(rng, most)
    elif rng.random() < 0.05:
        turns += not_told(rng)
    while len(turns) < length:
        turns += about("greet", rng) if rng.random() < 0.05 else _any(rng)
    if rng.random() < 0.12:
        turns += about("bye", rng)
    return system, turns


def _any(rng: Random) -> list[Turn]:
    return rng.choices(_SKILLS, _WEIGHTS)[0](rng)


def _remembering(rng: Random, most: int) -> list[Turn]:
    """A fact told, some other turns, and the question about the fact; seldom two facts at once."""
    told, asked = fact(rng)
    turns = [told]
    if rng.random() < 0.12:
        other, also = fact(rng)
        turns.append(other)
        asked = rng.sample(asked[:1] + also[:1], k=2) if _kind(told) != _kind(other) else also
    for _ in range(rng.choice((0, 0, 1, 1, 2, *range(most - 1)))):
        turns += _any(rng)
    return turns + asked


def _kind(turn: Turn) -> str:
    """What an acknowledgement has in common with others about the same kind of fact."""
    return turn.answer.split()[-2]
