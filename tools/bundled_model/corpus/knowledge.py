"""The few facts that the model learns: opposites, colours, animals, days and months."""

from __future__ import annotations

from random import Random

from .phrasing import ask, reply, wordings
from .turns import Turn
from .words import THINGS, article, invented


def _pairs(text: str) -> dict[str, str]:
    return {left: right for left, right in (entry.split(":") for entry in text.split())}


_ONE_WAY = _pairs(
    """hot:cold big:small fast:slow up:down left:right day:night black:white happy:sad full:empty
    open:closed old:young rich:poor strong:weak heavy:light high:low tall:short long:short wet:dry
    hard:soft good:bad new:old clean:dirty early:late loud:quiet near:far thick:thin wide:narrow
    bright:dark true:false right:wrong in:out on:off yes:no first:last begin:end start:stop
    love:hate laugh:cry win:lose push:pull buy:sell give:take come:go find:lose ask:answer
    remember:forget
    easy:difficult sweet:sour sharp:blunt deep:shallow brave:afraid alive:dead asleep:awake
    always:never everything:nothing all:none many:few more:less before:after above:below
    inside:outside front:back top:bottom north:south east:west summer:winter morning:evening
    boy:girl man:woman king:queen brother:sister friend:enemy war:peace question:answer
    beautiful:ugly cheap:expensive smooth:rough warm:cool polite:rude safe:dangerous same:different
    large:small"""
)
OPPOSITES = {right: left for left, right in reversed(_ONE_WAY.items())} | _ONE_WAY
COLOURS = _pairs(
    """sky:blue sea:blue ocean:blue grass:green leaf:green frog:green cucumber:green pea:green
    tree:green lettuce:green broccoli:green crocodile:green banana:yellow lemon:yellow sun:yellow
    butter:yellow chick:yellow sunflower:yellow corn:yellow canary:yellow tomato:red strawberry:red
    cherry:red blood:red fire-engine:red rose:red ladybird:red raspberry:red heart:red orange:orange
    carrot:orange pumpkin:orange goldfish:orange tangerine:orange snow:white milk:white
    swan:white salt:white cloud:white sugar:white snowman:white rice:white paper:white tooth:white
    coal:black night:black raven:black crow:black tyre:black panther:black chocolate:brown
    bear:brown wood:brown coffee:brown potato:brown mud:brown soil:brown elephant:grey mouse:grey
    rock:grey stone:grey rhino:grey rain-cloud:grey flamingo:pink pig:pink plum:purple
    aubergine:purple lavender:purple violet:purple grape:purple fox:orange polar-bear:white
    moon:white blueberry:blue whale:blue"""
)
_UNCOUNTED = """snow milk grass blood coal butter rice salt sugar wood coffee mud soil paper
chocolate corn lettuce broccoli lavender""".split()
SOUNDS = _pairs(
    """cow:moo dog:woof cat:meow duck:quack sheep:baa pig:oink horse:neigh hen:cluck
    rooster:cock-a-doodle-doo lion:roar bee:buzz snake:hiss frog:croak owl:hoot mouse:squeak
    wolf:howl bird:tweet goat:meh donkey:hee-haw crow:caw lamb:baa goose:honk turkey:gobble
    bear:growl tiger:roar chicken:cluck kitten:mew puppy:yap elephant:trumpet monkey:ooh-ooh
    dove:coo"""
)
LEGS = {
    animal: legs
    for legs, animals in {
        "eight": "spider scorpion tick octopus",
        "six": "ant bee beetle butterfly fly ladybird cricket moth wasp grasshopper mosquito",
        "four": """dog cat horse cow sheep goat pig elephant lion tiger mouse frog wolf fox bear
        rabbit deer donkey giraffe zebra camel lizard crocodile turtle squirrel hamster monkey
        cheetah rhino""",
        "two": """bird duck hen chicken ostrich penguin owl eagle human person swan goose parrot
        crow kangaroo robin rooster""",
        "no": "snake fish worm snail shark whale dolphin slug eel",
        "ten": "crab lobster shrimp",
    }.items()
    for animal in animals.split()
}  # fmt: skip
BABIES = _pairs(
    """dog:puppy cat:kitten cow:calf sheep:lamb horse:foal pig:piglet goat:kid hen:chick
    chicken:chick duck:duckling goose:gosling bear:cub lion:cub wolf:cub fox:cub tiger:cub
    kangaroo:joey frog:tadpole swan:cygnet deer:fawn owl:owlet elephant:calf whale:calf bird:chick
    butterfly:caterpillar koala:joey eagle:eaglet seal:pup human:baby dolphin:calf"""
)
DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
MONTHS = """January February March April May June July August September October November
December""".split()
SEASONS = "spring summer autumn winter".split()

UNKNOWN = 0.1
"""How often the model is asked about a word that it cannot know, and must say so."""

_WORDINGS = wordings("knowledge")
_LISTS = [entry.split(" => ") for entry in _WORDINGS["lists"]]


def _unknown(rng: Random, table: dict[str, str]) -> str:
    """A word that the table does not have, half of the time one that nobody has."""
    while rng.random() < 0.5:
        if (word := rng.choice(THINGS)) not in table:
            return word
    return invented(rng)


def opposite(rng: Random) -> list[Turn]:
    """The opposite of a word, or of an unknown word that nobody can know."""
    turns: list[Turn] = []
    while not turns or (rng.random() < 0.3 and len(turns) < 3):
        word = rng.choice(list(OPPOSITES))
        answer = f"The opposite of {word} is {OPPOSITES[word]}."
        if rng.random() < UNKNOWN:
            word = _unknown(rng, OPPOSITES)
            answer = f"I do not know the opposite of {word}."
        turns.append(
            Turn(ask(rng, _WORDINGS["opposite next" if turns else "opposite"], w=word), answer)
        )
    return turns


def colour(rng: Random) -> list[Turn]:
    """The colour of a thing, sometimes of a second one."""
    turns: list[Turn] = []
    while not turns or (rng.random() < 0.3 and len(turns) < 3):
        thing, shade = rng.choice(list(COLOURS.items()))
        thing = thing.replace("-", " ")
        answer = f"The colour of {article(thing)} is {shade}."
        if thing in ("sky", "sea", "sun", "moon", "ocean", "night"):
            answer = f"The colour of the {thing} is {shade}."
        elif thing in _UNCOUNTED:
            answer = f"The colour of {thing} is {shade}."
        if rng.random() < UNKNOWN:
            thing = _unknown(rng, COLOURS)
            answer = f"I do not know the colour of {article(thing)}."
        user = ask(rng, _WORDINGS["next" if turns else "colour"], t=thing, at=article(thing))
        turns.append(Turn(user, answer))
    return turns


def animal(rng: Random) -> list[Turn]:
    """The sound, the legs or the young of an animal, sometimes of a second one."""
    table, asked, answer = rng.choice(
        (
            (SOUNDS, "sound", "{at} says {x}."),
            (LEGS, "legs", "{at} has {x} legs."),
            (BABIES, "baby", "A baby {t} is called {ax}."),
        )
    )
    turns: list[Turn] = []
    while not turns or (rng.random() < 0.3 and len(turns) < 3):
        kind, found = rng.choice(list(table.items()))
        user = ask(rng, _WORDINGS["next" if turns else asked], t=kind, at=article(kind))
        if rng.random() < UNKNOWN and not turns:
            kind = _unknown(rng, table)
            text = f"I do not know the animal {kind}."
            user = ask(rng, _WORDINGS[asked], t=kind, at=article(kind))
        else:
            text = reply(rng, answer, t=kind, at=article(kind), x=found, ax=article(found))
        turns.append(Turn(user, text[0].upper() + text[1:]))
    return turns


def calendar(rng: Random) -> list[Turn]:
    """Neighbours among days, months and seasons, and the lists of them."""
    if rng.random() < 0.2:
        wording, answer = rng.choice(_LISTS)
        return [Turn(ask(rng, (wording,)), f"{answer}.")]
    if rng.random() < 0.08:
        place = rng.randrange(4)
        user = ask(rng, _WORDINGS["after season"], d=SEASONS[place])
        return [Turn(user, f"After {SEASONS[place]} comes {SEASONS[(place + 1) % 4]}.")]
    kind, names = rng.choice((("day", DAYS), ("month", MONTHS)))
    place = rng.randrange(len(names))
    asked = names[place] if rng.random() < 0.7 else names[place].lower()
    if rng.random() < 0.6:
        answer = f"After {names[place]} comes {names[(place + 1) % len(names)]}."
        return [Turn(ask(rng, _WORDINGS[f"after {kind}"], d=asked), answer)]
    answer = f"Before {names[place]} comes {names[place - 1]}."
    return [Turn(ask(rng, _WORDINGS[f"before {kind}"], d=asked), answer)]
