"""Things that the user tells about himself, and the questions about them later in the chat."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from .phrasing import ask, reply
from .turns import Turn
from .words import COLOURS, FOODS, NAMES, PETS, PLACES, SPELLABLE, invented


@dataclass(frozen=True)
class Fact:
    """A kind of thing to remember: how it is told, taken note of, asked for and given back."""

    tell: tuple[str, ...]
    noted: tuple[str, ...]
    recall: tuple[str, ...]
    given: str
    unknown: str


_PET = "[dog|cat|rabbit|hamster|horse|bird|fish|pony|parrot|turtle|pet|teddy|mouse|puppy|kitten]"
_FACTS: dict[str, Fact] = {
    "name": Fact(
        tell=(
            "my name is {x}",
            "[hi|hello|hey|good morning|good evening|], [i am|i'm|my name is|this is|it's] {x}",
            "i am {x}",
            "i'm {x}",
            "[you can call|call|please call] me {x}",
            "my name's {x}",
            "[everybody|my friends|they] [calls|call] me {x}",
            "i am called {x}",
            "{x} is my name",
            "the name is {x}",
            "i am {x}, [nice to meet you|who are you|pleased to meet you|how are you]",
            "my name is {x}, [what is yours|and yours|remember it|please remember that|don't forget it]",
            "~remember that my name is {x}",
            "[hello|hi] my name is {x}, [nice to meet you|how are you]",
            "{x} here",
            "you are speaking with {x}",
            "i go by {x}",
        ),
        noted=("Hello {x}! Nice to meet you.",),
        recall=(
            "what is my name",
            "what's my name",
            "do you [remember|know|still know|recall] my name",
            "~tell me my name",
            "who am i",
            "what am i called",
            "~say my name",
            "[can you remember|have you forgotten|did you forget|do you know] what my name is",
            "how am i called",
            "what name did i [tell|say to] you",
            "do you know who i am",
            "[my name|my name is]",
            "what was my name [again|]",
            "do you remember [me|who i am]",
            "i forgot my name, what is it",
            "what do my friends call me",
        ),
        given="Your name is {x}.",
        unknown="You have not told me your name yet.",
    ),
    "colour": Fact(
        tell=(
            "my favourite colour is {x}",
            "[i like|i love|i prefer] the colour {x} [best|most|very much]",
            "{x} is my favourite colour",
            "the colour i like [best|most] is {x}",
            "~remember that my favourite colour is {x}",
            "i like {x} best of all colours",
        ),
        noted=("{y} is a nice colour! I will remember it.",),
        recall=(
            "what is my favourite colour",
            "which colour do i like [best|most|]",
            "do you [remember|know|recall] my favourite colour",
            "~tell me my favourite colour",
            "what colour did i say i like",
            "what was my favourite colour [again|]",
        ),
        given="Your favourite colour is {x}.",
        unknown="You have not told me your favourite colour yet.",
    ),
    "food": Fact(
        tell=(
            "my favourite food is {x}",
            "{x} is my favourite food",
            "the food i like [best|most] is {x}",
            "i love to eat {x} [most|more than anything|best]",
            "~remember that my favourite food is {x}",
        ),
        noted=("{y} sounds tasty! I will remember it.",),
        recall=(
            "what is my favourite food",
            "what food do i like [best|most|]",
            "do you [remember|know] my favourite food",
            "what do i like to eat",
            "what was my favourite food [again|]",
            "~tell me my favourite food",
        ),
        given="Your favourite food is {x}.",
        unknown="You have not told me your favourite food yet.",
    ),
    "place": Fact(
        tell=(
            "i live in {x}",
            "i am from {x}",
            "i'm from {x}",
            "i come from {x}",
            "my home is in {x}",
            "my [home town|city|home] is {x}",
            "~remember that i live in {x}",
        ),
        noted=("{x} is a nice place! I will remember it.",),
        recall=(
            "where do i live",
            "where am i from",
            "where do i come from",
            "do you [remember|know] where i live",
            "~tell me where i live",
            "which [place|city|town] do i live in",
            "what is my home town",
            "where did i say i live",
        ),
        given="You told me that you are from {x}.",
        unknown="You have not told me where you live yet.",
    ),
    "word": Fact(
        tell=(
            "~remember the word {x}",
            "the [secret|magic|code|] word is {x}",
            "~remember this word: {x}",
            "~keep [this word|the word] in mind: {x}",
            "~[learn|note|memorise|store|save|don't forget] the word {x}",
            "my [secret|magic|code|] word is {x}, [remember it|please remember it|don't forget]",
            "~remember: {x}",
            "[the password is|my password is] {x}",
            "the word to remember is {x}",
            "here is a word for you to remember: {x}",
        ),
        noted=("I will remember the word {x}.",),
        recall=(
            "what was the [secret|magic|code|] word [again|]",
            "which word did i [tell you|give you|ask you to remember|say]",
            "what is the [secret|magic|code|] word",
            "do you [remember|know|recall] the [secret|magic|code|] word",
            "what word [did you remember|should you remember|were you to remember|did you keep]",
            "~[tell me|say|give me] the [secret|magic|code|] word [again|]",
            "what was the password",
            "the word i told you was",
            "what did i ask you to remember",
        ),
        given="The word is {x}.",
        unknown="You have not given me a word to remember yet.",
    ),
    "pet": Fact(
        tell=(
            "my {p} is called {x}",
            "my {p}'s name is {x}",
            "the name of my {p} is {x}",
            "i have a {p} [called|named] {x}",
            "i have a {p}, [its|his|her] name is {x}",
            "[we|i] call [our|my] {p} {x}",
            "this is my {p} {x}",
            "{x} is my {p}",
        ),
        noted=("{x} is a nice name for a {p}!",),
        recall=(
            "what is my {p} called",
            "what is the name of my {p}",
            "what is my {p}'s name",
            "do you [remember|know] [my {p}'s name|the name of my {p}|what my {p} is called]",
            "~tell me the name of my {p}",
            "how is my {p} called",
            "what do i call my {p}",
            "what was my {p}'s name [again|]",
            "who is my {p}",
        ),
        given="Your {p} is called {x}.",
        unknown="You have not told me about your {p} yet.",
    ),
}


def _value(kind: str, rng: Random) -> str:
    made_up = rng.random() < 0.35
    match kind:
        case "name" | "pet":
            return invented(rng).capitalize() if made_up else rng.choice(NAMES if kind == "name" else PETS)
        case "place":
            return invented(rng).capitalize() if made_up else rng.choice(PLACES)
        case "colour":
            return rng.choice(COLOURS)
        case "food":
            return rng.choice(FOODS)
        case _:
            return invented(rng) if made_up else rng.choice(SPELLABLE)


def fact(rng: Random) -> tuple[Turn, list[Turn]]:
    """A turn that tells the model something, and one or two that ask for it, to be put later."""
    kind = rng.choice(("name", "name", "name", "name", "colour", "food", "place", "word", "word", "pet"))
    known, value = _FACTS[kind], _value(kind, rng)
    slots = {"x": value, "y": value.capitalize(), "p": reply(rng, _PET)}
    told = Turn(ask(rng, known.tell, **slots), reply(rng, known.noted, **slots))
    asked = [
        Turn(ask(rng, known.recall, **slots), reply(rng, known.given, **slots))
        for _ in range(rng.choice((1, 1, 1, 2)))
    ]
    return told, asked


def not_told(rng: Random) -> list[Turn]:
    """A question about something that the user has not told."""
    kind = rng.choice(("name", "name", *_FACTS))
    known, slots = _FACTS[kind], {"p": reply(rng, _PET)}
    return [Turn(ask(rng, known.recall, **slots), reply(rng, known.unknown, **slots))]
