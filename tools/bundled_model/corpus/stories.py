"""Short stories around the words that the user gives."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from .phrasing import ask, expand, reply
from .turns import Turn
from .words import ABSTRACT, ADJECTIVES, ANIMALS, NAMES, PEOPLE, THINGS, article, invented

_TALE = "[story|tale|short story|little story|fairy tale|bedtime story|nice story|tiny story]"
_ONE = (
    f"~tell me a {_TALE} [about|with|of] {{a}}",
    f"~[tell|write|give|make up|invent|create|read] [me|us|] a {_TALE} [about|with] {{a}}",
    f"~[tell|write|give] [me|us] a {_TALE} [about|with|that has|featuring|including] {{a}} [in it|]",
    f"[i want|i'd like|i would like|we want|give me|i need] a {_TALE} [about|with|on] {{a}}",
    f"[do you know|have you got|do you have] [a|any] {_TALE} [about|with] {{a}}",
    "[a story|story|short story|tale] [about|with|of|on|:|-] {a}",
    "~write [something|a few sentences|some sentences|a paragraph] about {a}",
    "{a} [story|story please|- story]",
    "once upon a time there was {a}",
    "[what happened to|what happens to|what did] {a} [one day|in the story|do in the forest]",
    f"[how about|what about|let's have|let us hear] a {_TALE} [about|with] {{a}}",
    f"my [son|kid|child|girl|boy|sister|brother] wants a {_TALE} [about|with] {{a}}",
    f"~use {{a}} in a {_TALE}",
    f"the {_TALE} [must|has to|needs to] [be about|contain|have|include] {{a}}",
    f"[a|one] {_TALE} please, [with|about|it must have|and use] {{a}} [in it|]",
    f"~[entertain|amuse] me with a {_TALE} about {{a}}",
    "[it's|it is|time for] bedtime, [tell|read] me [something|a story] about {a}",
    f"i feel like [hearing|reading] a {_TALE} about {{a}}",
    f"i am [bored|tired], tell me a {_TALE} about {{a}}",
    f"[i want|give me|we need] a {_TALE}, [put {{a}} in it|{{a}} must be in it|{{a}} in it|and {{a}}]",
    f"[is there|are there|got] [a|any] {_TALE} [with|about|featuring|of] {{a}}",
    f"[i would like|i want|can i have|may i have|can we have] {{a}} in [the|my|a] {_TALE}",
    "~imagine {a} and tell me what happens",
    f"{{a}}. make a {_TALE} [of it|out of that|with that]",
    f"~write a {_TALE} where {{a}} [plays a part|appears|is the hero]",
    f"~[make|do|produce] a {_TALE}. [topic|subject|words|hero|theme]: {{a}}",
)
_TWO = tuple(wording for wording in _ONE if "what did" not in wording) + (
    f"~tell me a {_TALE} in which {{a}} [meets|finds|sees|loses|gets] {{b}}",
    "[{a} meets {b}|{a} finds {b}|{a} and {b}], [tell me the story|make a story|what happens]",
    f"~write a {_TALE} about how {{a}} [met|found|got] {{b}}",
    f"words: {{a}}, {{b}}. [write|make|tell] [me|] a {_TALE}",
    f"~tell me a {_TALE} about {{a}} [who|that] [finds|has|loses|meets|wants] {{b}}",
)
_FREE = (
    f"~tell me a {_TALE}",
    f"~[tell|write|make up|read] [me|us] [any|some] [story|tale|stories]",
    f"[i want|i'd like|may i have] a {_TALE}",
    "[story|a story|story time|another story|story please]",
    "do you know [any stories|a story|some tales]",
    "[can i|could i|may i|can we] [have|get|hear] [a story|some story]",
    "~make something up",
)
_MORE = (
    "[another one|another|one more|again|more|tell me another one|another story please]",
    "[can i have|i want|give me] [another|one more] [story|one]",
    "that was [nice|good|great|lovely|funny], [tell me another|another one]",
    "[more stories|next story|continue with another one]",
)
_NEXT = (
    "[now|and|and now|ok now] [one|a story|another one|another] [about|with] {a}",
    "[another|the same|one more] [story|one] but [with|about] {a} [instead|]",
    "[what about|how about] [one|a story] [with|about] {a}",
    "[and|now] {a}",
)

_PLACE = """[in a small village|near the river|at the edge of the forest|by the sea|on a green hill|in a quiet
 valley|in a little house|in a big old town|far away behind the mountains]""".replace("\n", "")
_TIME = "[One day|One morning|One evening|One rainy day|One sunny day|One cold night]"
_OPEN = f"Once upon a time there was {{a_hero}} who lived {_PLACE}."
_WHERE = "[under a tree|beside the road|behind a stone|in the tall grass|in an old box|near the bridge]"
_MET = "[under a tree|on the road|in the tall grass|near the bridge|on the way home]"
_SAY = "[said|asked|called|whispered]"
_END = (
    "From that day on, the {hero} was never lonely again.",
    "And so the {hero} went home, tired and happy.",
    "That night the {hero} slept well and dreamed of the {thing}.",
    "Everybody in the village still talks about the {hero} and the {thing}.",
    "From then on, the {hero} took good care of the {thing}.",
)
_END_FRIENDS = (
    "From that day on, the {hero} and the {friend} were best friends.",
    "And so the {hero} and the {friend} went home together, tired and happy.",
    "They shared everything, and they were never lonely again.",
    "Since that day the {hero} and the {friend} meet every morning.",
)
_FOUND = (
    _OPEN,
    "{time} the {hero} found {a_thing} {where}.",
    "[The {thing} was old and dusty, but it was beautiful.|Nobody knew where the {thing} came from.|The"
    " {thing} was the most wonderful thing the {hero} had ever seen.]",
    '"[What a fine {thing}|What a strange {thing}|Who lost this {thing}]," {said} the {hero}.',
    "[The {hero} asked all the neighbours, but nobody had lost the {thing}.|The {hero} cleaned the"
    " {thing} with care and carried it home.|The {hero} showed the {thing} to everybody in the village.]",
    "{end}",
)
_LOST = (
    _OPEN,
    "The {hero} had {a_thing} and loved it very much.",
    "{time} the {thing} was gone.",
    "The {hero} looked everywhere: [in the garden, under the bed and behind the door|in the forest, by"
    " the river and on the hill].",
    "[At last the {hero} found the {thing} {where}.|Then a little bird showed the {hero} the way, and"
    " there was the {thing}.]",
    '"[I will never lose you again|There you are|I am so glad]," {said} the {hero}.',
    "{end}",
)
_MADE = (
    _OPEN,
    "The {hero} had one great wish: {a_thing}.",
    "[So the {hero} worked hard all summer.|So the {hero} went on a long journey.|So the {hero} asked"
    " every friend for help.]",
    "[It was not easy, but the {hero} did not give up.|It rained, and the wind blew, but the {hero} went"
    " on.]",
    "{time} the wish came true, and there stood the {thing}.",
    "[The {hero} laughed and danced with joy.|The {hero} could not believe it.]",
    "{end}",
)
_SHARED = (
    _OPEN,
    "{time} the {hero} met {a_friend} {met}.",
    '"[Why are you so sad|What are you looking for|Where are you going]?" asked the {hero}.',
    '"[I have lost my {thing}|I am looking for a {thing}|My {thing} is broken]," said the {friend}.',
    "[The {hero} helped the {friend}, and together they found the {thing}.|Together they mended the"
    " {thing}, and it was better than before.|They looked the whole day, and in the evening they found"
    " the {thing}.]",
    "{end_friends}",
)
_CAREFUL = (
    _OPEN,
    "{time} the {hero} met {a_friend} {met}.",
    "[At first the {hero} was afraid of the {friend}.|At first the {friend} did not say a word.]",
    "[Then it began to rain, and they both ran under the same tree.|Then the {friend} smiled and shared"
    " some bread.]",
    '"[You are kind|Let us be friends|I like you]," {said} the {friend}.',
    "[They played until the sun went down.|They told each other stories until the moon came up.]",
    "{end_friends}",
)
_THINGS = (
    _OPEN,
    "The {hero} had two treasures: {a_thing} and {a_second}.",
    "{time} a strong wind carried the {thing} away.",
    "[The {hero} took the {second} and ran after it.|With the help of the {second}, the {hero} followed"
    " the wind.]",
    "[The {hero} found the {thing} on the other side of the hill.|The {thing} was hanging high in a tree,"
    " and the {hero} climbed up to get it.]",
    "[Now the {thing} and the {second} stand side by side in the window.|That evening the {hero} put the"
    " {thing} and the {second} in a safe place.]",
    "And the {hero} was happy.",
)
_NAMED = (
    "Once upon a time there was a [child|young traveller|little dreamer] called {name}.",
    "{name} lived " + _PLACE + " and had {a_thing}.",
    "{time} {name} took the {thing} and went out to see the world.",
    "[On the way {name} met a hungry bird and shared some bread.|It was a long way, but {name} was not"
    " afraid.]",
    '"[What a fine {thing}|May I see your {thing}]," said an old woman.',
    "[{name} let her hold the {thing}, and she smiled.|{name} gave her the {thing}, and she laughed with"
    " joy.]",
    "In the evening {name} went home, tired and happy.",
)
_IDEA = (
    "Once upon a time there was {a_hero} who did not know anything about {idea}.",
    "{time} the {hero} asked {a_friend}: \"What is {idea}?\"",
    '"Come with me, and I will show you," said the {friend}.',
    "They walked over the hills the whole day and helped everybody they met.",
    '"Now I know what {idea} is," said the {hero}.',
    "{end_friends}",
)


@dataclass(frozen=True)
class _Words:
    """What the user asked for: a list of words, some alive, some not."""

    alive: tuple[str, ...] = ()
    things: tuple[str, ...] = ()
    name: str = ""
    idea: str = ""


def _some(rng: Random, alive: bool) -> str:
    if rng.random() < 0.1:
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
        return _Words(name=rng.choice(NAMES), things=(_some(rng, False),) if kind < 0.92 else ())
    return _Words(idea=rng.choice(ABSTRACT))


def _tell(rng: Random, words: _Words) -> str:
    """A story of 5 to 8 sentences that holds every word asked for."""
    hero = words.alive[0] if words.alive else rng.choice(ANIMALS[:30] + PEOPLE[:20])
    friend = words.alive[1] if len(words.alive) > 1 else rng.choice(ANIMALS[:40] + PEOPLE[:20])
    thing = words.things[0] if words.things else rng.choice(THINGS[:60])
    second = words.things[1] if len(words.things) > 1 else ""
    if words.name:
        plot = _NAMED
    elif words.idea:
        plot = _IDEA
    elif second:
        plot = _THINGS
    elif len(words.alive) > 1:
        plot = rng.choice((_SHARED, _CAREFUL))
    elif words.things:
        plot = rng.choice((_FOUND, _FOUND, _LOST, _MADE, _SHARED))
    else:
        plot = rng.choice((_FOUND, _SHARED, _CAREFUL))
    adjective = rng.choice(ADJECTIVES[:20]) if rng.random() < 0.5 else ""
    slots = {
        "hero": hero, "friend": friend, "thing": thing, "second": second, "name": words.name,
        "idea": words.idea, "a_hero": article(f"{adjective} {hero}".strip()),
        "a_friend": article(friend), "a_thing": article(thing), "a_second": article(second or "x"),
        "time": expand(rng, _TIME), "where": expand(rng, _WHERE), "said": expand(rng, _SAY),
        "met": expand(rng, _MET),
    }  # fmt: skip
    slots["end"] = rng.choice(_END).format(**slots)
    slots["end_friends"] = rng.choice(_END_FRIENDS).format(**slots)
    return " ".join(reply(rng, sentence, **slots) for sentence in plot)


def _name_of(rng: Random, word: str) -> str:
    """How the user puts a word: with an article, bare, or in the plural."""
    form = rng.random()
    if form < 0.68:
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
        return ask(rng, _ONE, a=asked[0])
    if rng.random() < 0.3:
        return ask(rng, _TWO[-5:], a=asked[0], b=asked[1])
    joined = rng.choice((" and ", " and ", " and ", ", ", " & ")).join(asked)
    return ask(rng, _TWO[:-5], a=joined)


def story(rng: Random) -> list[Turn]:
    """A story about given words or none, sometimes followed by another one."""
    words = _pick(rng)
    if rng.random() < 0.1:
        words = _Words()
        turns = [Turn(ask(rng, _FREE), _tell(rng, words))]
    else:
        turns = [Turn(_request(rng, words), _tell(rng, words))]
    follow = rng.random()
    if follow < 0.08:
        turns.append(Turn(ask(rng, _MORE), _tell(rng, words)))
    elif follow < 0.2:
        fresh = _Words(alive=(_some(rng, True),)) if rng.random() < 0.6 else _Words(
            things=(_some(rng, False),)
        )
        word = (fresh.alive + fresh.things)[0]
        turns.append(Turn(ask(rng, _NEXT, a=_name_of(rng, word)), _tell(rng, fresh)))
    return turns
