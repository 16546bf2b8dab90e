"""The few facts that the model learns: opposites, colours, animals, days and months."""

from __future__ import annotations

from random import Random

from .phrasing import ask, reply
from .turns import Turn
from .words import article, invented


def _pairs(text: str) -> dict[str, str]:
    return {left: right for left, right in (entry.split(":") for entry in text.split())}


_ONE_WAY = _pairs(
    """hot:cold big:small fast:slow up:down left:right day:night black:white happy:sad full:empty
    open:closed old:young rich:poor strong:weak heavy:light high:low tall:short long:short wet:dry
    hard:soft good:bad new:old clean:dirty early:late loud:quiet near:far thick:thin wide:narrow
    bright:dark true:false right:wrong in:out on:off yes:no first:last begin:end start:stop love:hate
    laugh:cry win:lose push:pull buy:sell give:take come:go find:lose ask:answer remember:forget
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
_UNCOUNTED = """snow milk grass blood coal butter rice salt sugar wood coffee mud soil paper chocolate corn
lettuce broccoli lavender""".split()
SOUNDS = _pairs(
    """cow:moo dog:woof cat:meow duck:quack sheep:baa pig:oink horse:neigh hen:cluck rooster:cock-a-doodle-doo
    lion:roar bee:buzz snake:hiss frog:croak owl:hoot mouse:squeak wolf:howl bird:tweet goat:meh donkey:hee-haw
    crow:caw lamb:baa goose:honk turkey:gobble bear:growl tiger:roar chicken:cluck kitten:mew puppy:yap
    elephant:trumpet monkey:ooh-ooh dove:coo"""
)
LEGS = {
    animal: legs
    for legs, animals in {
        "eight": "spider scorpion tick octopus",
        "six": "ant bee beetle butterfly fly ladybird cricket moth wasp grasshopper mosquito",
        "four": """dog cat horse cow sheep goat pig elephant lion tiger mouse frog wolf fox bear rabbit
        deer donkey giraffe zebra camel lizard crocodile turtle squirrel hamster monkey cheetah rhino""",
        "two": """bird duck hen chicken ostrich penguin owl eagle human person swan goose parrot crow
        kangaroo robin rooster""",
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

_W = "[{w}|{w}|{w}|'{w}'|\"{w}\"]"
_OPPOSITE = (
    f"what is the opposite of [the word|] {_W}",
    f"what's the opposite of {_W}",
    f"[the|] opposite of {_W}",
    f"~[tell me|give me|say|name] the opposite of {_W}",
    f"what [word|] is the opposite of {_W}",
    f"which word is opposite to {_W}",
    f"what [is|would be] the contrary of {_W}",
    f"what is the antonym [of|for] {_W}",
    f"~[give me|find|name] an antonym [of|for] {_W}",
    f"do you know the opposite of {_W}",
    f"[what means|which word means] the opposite of {_W}",
    "{w} and its opposite",
    f"i need the opposite of {_W}",
    "{w} is the opposite of what",
    "what do you call something that is not {w}",
    "if something is not {w}, what is it",
    "not {w} but",
    f"[it's|it is] the reverse of {_W}, what is it",
    "opposite: {w}",
    f"which word means the contrary of {_W}",
    f"~reverse the meaning of {_W}",
    f"~change {_W} into its opposite",
    "something is not {w}. what is it then",
    f"i am looking for the opposite of {_W}",
    f"{{w}} has which opposite",
    f"[a|one|any] word opposite [in meaning|] to {_W}",
    f"~turn the word {_W} around in meaning",
)
_OPPOSITE_NEXT = ("[and|what about|how about|now] {w}", "and [the opposite |]of {w}", "and for {w}")
_T = "[{t}|the {t}|{at}|{t}]"
_COLOUR = (
    f"what colour is {_T}",
    f"which colour [is|has] {_T}",
    f"what [is|'s] the colour of {_T}",
    f"~[tell me|name|say] the colour of {_T}",
    f"[the|] colour of {_T}",
    f"what colour does {_T} have",
    f"what colour [would you paint|do you give] {_T}",
    f"do you know [what colour {_T} is|the colour of {_T}]",
    f"~tell me what colour {_T} is",
    f"in what colour do you see {_T}",
    f"is {_T} [red|blue|green|yellow] or what colour is it",
    f"how would you describe the colour of {_T}",
    f"i want to paint {_T}, which colour do i need",
    f"{_T} - what colour is it",
    f"{_T} is what colour",
    f"{_T} has [what|which] colour",
    f"which colour do you [see|think of] with {_T}",
    f"does {_T} have a colour, and which",
    f"what shade is {_T} [usually|normally|]",
)
_NEXT = ("[and|what about|how about|and what about|now] [a |the |]{t}",)
_SOUND = (
    "what sound does {at} make",
    "[what|which] [sound|noise] [does|do] [{at}|the {t}|{t}s] make",
    "what does [{at}|the {t}] say",
    "what noise [comes from|do you hear from] {at}",
    "~make [the sound of|a sound like|a noise like] {at}",
    "[the sound|sound|noise] of {at}",
    "how [does|do] [{at}|the {t}] [go|speak|talk|call]",
    "what is the sound of {at}",
    "~[tell|show] me [what sound|the sound] {at} makes",
    "{t} [sound|noise]",
    "what do {t}s [say|sound like]",
    "[a {t}|the {t}] [says|makes] [what|which sound|which noise]",
    "when {at} speaks, what does it say",
    "what would {at} say",
)
_LEGS = (
    "how many legs does {at} have",
    "how many legs [has {at}|do {t}s have|are on {at}|does the {t} have]",
    "what number of legs does {at} have",
    "~tell me how many legs {at} has",
    "legs of {at}",
    "on how many legs does {at} [walk|stand|go]",
    "~count the legs of {at}",
    "do you know how many legs {at} has",
    "{t} legs, how many",
    "[{at}|the {t}] [has|stands on] how many legs",
    "[what is|] the number of legs of {at}",
)
_BABY = (
    "what is a baby {t} called",
    "what do you call [a baby {t}|a young {t}|the baby of {at}]",
    "what is the [name of|word for|name for] a [baby|young] {t}",
    "how [is a baby {t} called|do you call a baby {t}]",
    "a baby {t} is called [what|a what|]",
    "~[name|tell me the name of|give me the word for] a baby {t}",
    "what is [the child|the baby|the little one] of {at} called",
    "baby {t} [name|is what|is called]",
    "who is the baby of {at}",
    "what do people call the young of {at}",
    "{at} has a baby, what is it called",
    "which word means a young {t}",
    "what are [young|baby] {t}s called",
    "[the word|name] for a young {t}",
)
_AFTER_DAY = (
    "[what|which] day [comes|is|follows] after {d}",
    "what comes after {d}",
    "what day [is|comes] next after {d}",
    "[today is|it is|it's] {d}. what [day is|is] [tomorrow|it tomorrow]",
    "after {d} comes [what|which day]",
    "~tell me [the day after|what comes after] {d}",
    "[the day|day] after {d}",
    "which day follows {d}",
    "{d} is followed by [what|which day]",
    "what is the next day after {d}",
    "which day will it be after {d}",
    "{d}, and then [what|which day]",
    "if it is {d} today, which day is it tomorrow",
)
_BEFORE_DAY = (
    "[what|which] day [comes|is] before {d}",
    "what comes before {d}",
    "[today is|it is|it's] {d}. what [day|] was [yesterday|it yesterday]",
    "before {d} comes [what|which day]",
    "~tell me [the day before|what comes before] {d}",
    "[the day|day] before {d}",
    "if today is {d}, [what day was|which day was] yesterday",
    "{d} comes after which day",
)
_AFTER_MONTH = (
    "[what|which] month [comes|is] after {d}",
    "what comes after {d}",
    "[the month|month] after {d}",
    "after {d} comes [what|which month]",
    "what is the next month after {d}",
    "~tell me [the month after|what comes after] {d}",
    "{d} is followed by [what|which month]",
    "it is {d}. which month is next",
    "{d}, and then [what|which month]",
    "the month [right|just] after {d}",
)
_BEFORE_MONTH = (
    "[what|which] month [comes|is] before {d}",
    "what comes before {d}",
    "[the month|month] before {d}",
    "~tell me [the month before|what comes before] {d}",
    "it is {d}. which month was last",
    "{d} comes after which month",
    "before {d} comes [what|which month]",
    "the month [right|just] before {d}",
)
_SEASON = ("[what|which] season [comes|is|follows] after {d}", "what comes after {d}")
_LISTS = {
    "~[list|name|say|tell me|give me|write down] the [days of the week|weekdays|days]": ", ".join(DAYS),
    "what are the [days of the week|seven days of the week|weekdays]": ", ".join(DAYS),
    "~[list|name|say|tell me|give me|write down] the [months|months of the year|twelve months]": ", ".join(MONTHS),
    "what are the [months|months of the year|twelve months]": ", ".join(MONTHS),
    "~[list|name|tell me] the [four seasons|seasons]": ", ".join(SEASONS),
    "how many days [are in a week|does a week have|are there in a week|has a week]": "A week has seven days",
    "how many months [are in a year|does a year have|are there in a year|has a year]": "A year has twelve months",
    "[what|which] is the first day of the week": "The first day of the week is Monday",
    "[what|which] is the last day of the week": "The last day of the week is Sunday",
    "[what|which] is the first month of the year": "The first month of the year is January",
    "[what|which] is the last month of the year": "The last month of the year is December",
}  # fmt: skip


def opposite(rng: Random) -> list[Turn]:
    """The opposite of a word, or of an unknown word that nobody can know."""
    turns: list[Turn] = []
    while not turns or (rng.random() < 0.3 and len(turns) < 3):
        word = rng.choice(list(OPPOSITES))
        answer = f"The opposite of {word} is {OPPOSITES[word]}."
        if rng.random() < 0.05:
            word = invented(rng)
            answer = f"I do not know the opposite of {word}."
        turns.append(Turn(ask(rng, _OPPOSITE_NEXT if turns else _OPPOSITE, w=word), answer))
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
        if rng.random() < 0.05:
            thing = invented(rng)
            answer = f"I do not know the colour of {article(thing)}."
        user = ask(rng, _NEXT if turns else _COLOUR, t=thing, at=article(thing))
        turns.append(Turn(user, answer))
    return turns


def animal(rng: Random) -> list[Turn]:
    """The sound, the legs or the young of an animal, sometimes of a second one."""
    table, wordings, answer = rng.choice(
        (
            (SOUNDS, _SOUND, "{at} says {x}."),
            (LEGS, _LEGS, "{at} has {x} legs."),
            (BABIES, _BABY, "A baby {t} is called {ax}."),
        )
    )
    turns: list[Turn] = []
    while not turns or (rng.random() < 0.3 and len(turns) < 3):
        kind, found = rng.choice(list(table.items()))
        user = ask(rng, _NEXT if turns else wordings, t=kind, at=article(kind))
        if rng.random() < 0.04 and not turns:
            kind = invented(rng)
            text = f"I do not know the animal {kind}."
            user = ask(rng, wordings, t=kind, at=article(kind))
        else:
            text = reply(rng, answer, t=kind, at=article(kind), x=found, ax=article(found))
        turns.append(Turn(user, text[0].upper() + text[1:]))
    return turns


def calendar(rng: Random) -> list[Turn]:
    """Neighbours among days, months and seasons, and the lists of them."""
    if rng.random() < 0.2:
        wording, answer = rng.choice(list(_LISTS.items()))
        return [Turn(ask(rng, (wording,)), f"{answer}.")]
    if rng.random() < 0.08:
        place = rng.randrange(4)
        user = ask(rng, _SEASON, d=SEASONS[place])
        return [Turn(user, f"After {SEASONS[place]} comes {SEASONS[(place + 1) % 4]}.")]
    names, after, before = rng.choice(
        ((DAYS, _AFTER_DAY, _BEFORE_DAY), (MONTHS, _AFTER_MONTH, _BEFORE_MONTH))
    )
    place = rng.randrange(len(names))
    asked = names[place] if rng.random() < 0.7 else names[place].lower()
    if rng.random() < 0.6:
        answer = f"After {names[place]} comes {names[(place + 1) % len(names)]}."
        return [Turn(ask(rng, after, d=asked), answer)]
    answer = f"Before {names[place]} comes {names[place - 1]}."
    return [Turn(ask(rng, before, d=asked), answer)]
