"""Ask a GGUF everything of a kind that training has left out: sums, differences, words.

`evaluate.py` asks in words that training has not seen; this asks in plain words, but for results
and words that it has not seen.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

from mesh.worker.bundled import PATH
from tools.bundled_model.corpus.knowledge import BABIES, COLOURS, LEGS, OPPOSITES, SOUNDS
from tools.bundled_model.corpus.letters import hyphens
from tools.bundled_model.corpus.numbers import held_out
from tools.bundled_model.corpus.words import HELD_OUT, article
from tools.bundled_model.evaluate import Question, ask, open_model, right

UNSEEN_WORDS = sorted(
    HELD_OUT
    | set(
        """alphabet backpack blizzard bracket buffalo cauliflower cinnamon cupboard dolphinarium
        electricity flashlight grapefruit handkerchief horizon hurricane jellyfish kilometre
        labyrinth magazine microscope nightingale octave parachute quarrel rhubarb satellite
        submarine tangerine trampoline vegetable vinegar vocabulary whirlpool xylophone yesterday
        zeppelin""".split()
    )
)


def questions() -> Iterator[Question]:
    """Everything that is asked, kind by kind."""
    yield from sums()
    for word in UNSEEN_WORDS:
        yield from copies(word)
    yield from counts(Random(0), 60)
    yield from facts()


def sums() -> Iterator[Question]:
    """The sums and differences within 0 to 20 that training left out."""
    for high in range(21):
        for low in range(high + 1):
            if held_out(low, high - low):
                yield Question(
                    skill="unseen sum up to 20",
                    turns=[f"What is {low} + {high - low}?"],
                    expect=[rf"= {high}\b"],
                )
            if held_out(high, low):
                yield Question(
                    skill="unseen difference up to 20",
                    turns=[f"What is {high} - {low}?"],
                    expect=[rf"= {high - low}\b"],
                )


def copies(word: str) -> Iterator[Question]:
    """What shows whether the model can say a word that it has not met: spelled, told, kept."""
    yield Question(
        skill="unseen word spelled",
        turns=[f"Spell {word}."],
        expect=[rf"\b{hyphens(word)}(?![-a-z])"],
    )
    yield Question(
        skill="story around an unseen word",
        turns=[f"Tell me a story about {article(word)}."],
        expect=[rf"\b{word}\b"],
        sentences=[4, 9],
    )
    yield Question(
        skill="unseen word remembered",
        turns=[f"Remember the word {word}.", "What is 2 + 3?", "What was the word?"],
        expect=[rf"\b{word}\b"],
    )


def counts(rng: Random, number: int) -> Iterator[Question]:
    """Ranges within 0 to 30, half of them backwards."""
    for index in range(number):
        low, high = sorted(rng.sample(range(31), 2))
        up = index % 2 == 0
        numbers = range(low, high + 1) if up else range(high, low - 1, -1)
        yield Question(
            skill="count up" if up else "count down",
            turns=[f"Count {'' if up else 'down '}from {numbers[0]} to {numbers[-1]}."],
            expect=[rf"^{', '.join(map(str, numbers))}$"],
        )


def facts() -> Iterator[Question]:
    """Every fact of the tables, asked plainly; these the model has seen."""
    for word, other in OPPOSITES.items():
        yield Question(
            skill="opposite", turns=[f"What is the opposite of {word}?"], expect=[rf"\b{other}\b"]
        )
    for thing, shade in COLOURS.items():
        name = article(thing.replace("-", " "))
        yield Question(
            skill="colour", turns=[f"What colour is {name}?"], expect=[rf"\b{shade}\.?$"]
        )
    for kind, sound in SOUNDS.items():
        yield Question(
            skill="sound", turns=[f"What does {article(kind)} say?"], expect=[rf"\b{sound}\b"]
        )
    for kind, legs in LEGS.items():
        yield Question(
            skill="legs",
            turns=[f"How many legs does {article(kind)} have?"],
            expect=[rf"\b{legs} legs"],
        )
    for kind, young in BABIES.items():
        yield Question(
            skill="baby", turns=[f"What is a baby {kind} called?"], expect=[rf"\b{young}\b"]
        )


def report(server: Any) -> None:
    """Ask all and print, for each kind, how many were right, and what was wrong."""
    kinds: dict[str, list[bool]] = {}
    for question in questions():
        answer = ask(server, question)
        good = right(question, answer)
        kinds.setdefault(question.skill, []).append(good)
        if not good:
            print(f"FAIL {question.turns[-1]}  {answer.text}")
    for kind, results in kinds.items():
        print(f"{kind:<28}{sum(results)}/{len(results)}")


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gguf", type=Path, default=PATH)
    report(open_model(parser.parse_args().gguf))


if __name__ == "__main__":
    main()
