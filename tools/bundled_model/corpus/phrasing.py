"""How people type: wordings with alternatives, politeness, lower case, missing marks, slips.

A wording is a pattern such as `[what is|what's] the opposite of {word}`: square brackets hold
alternatives (they nest), braces hold slots. A leading `~` marks an order ("~tell me a story"),
which may follow "can you" or "please". The wordings lie in `wordings/*.txt`, one to a line, under
headings (`== name`), with abbreviations (`name := text`, used as `<name>`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from random import Random

from .words import SPELLABLE, invented

_FOLDER = Path(__file__).with_name("wordings")
_CHOICE = re.compile(r"\[([^\[\]]*)\]")
_OPENERS = (
    "hey, |hi, |hello, |hello! |hi! |ok, |okay, |ok |so |so, |now |now, |well, |um, |and |great, |"
    "nice. |cool, |thanks. |alright, |good. |dear model, |quick question: |one question: |yes, |"
    "next question: |another one: |just wondering, |i wonder, |tell me: |please |hey mesh, |"
    "and now |i have a question. |my teacher asked: |for my homework: |let me see. |"
    "here is my question: |"
    "listen, |look, |oh, |right, |excuse me, |sorry, |by the way, |my son asks: |let's go on. |"
    "something else: |i am curious, |not sure about this: |can you help? |help me: |i need help. |"
    "another thing: |one more thing, |first of all, |then |hmm, |wow, |haha, |interesting. |"
    "my turn: "
).split("|")
_ASKERS = (
    "[my|our|the|her|his] [daughter|son|teacher|boss|neighbour|grandma|uncle|class|friend|cousin]"
    " [asks|asked|wants to know|would like to know|keeps asking|needs this|is curious][:|,] ",
    "[a|one|another|the next|a short|a little|an easy|my last] [question|request|wish|task|thing]"
    "[ for you|][:|,] ",
    "[i am|we are|i'm] [bored|playing|learning|studying|at school|curious|back|new here]"
    "[.|,| and so|, so] ",
    "[if you [can|like|have time|know]|whenever you are ready|when you can|for practice|as a test|"
    "just for fun|to begin with|before we go on|this time], ",
)
_INDIRECT = (
    "do you know |can you tell me |i'd like to know |could you tell me |i want to know |tell me |"
    "do you happen to know |any idea |can you say |remind me |i forgot |please tell me |guess |"
    "i wonder |i am wondering |would you know |can you explain |let me know |say "
).split("|")
_ORDERS = (
    "please |can you |could you |can you please |could you please |would you |will you |"
    "i want you to |i would like you to |i'd like you to |i need you to |now please |hey, can you |"
    "hello, please |ok, now |let's try this: |would you please |you should |go ahead and |just |"
    "hi, could you |can u |pls |try to |maybe you can |do me a favour and |are you able to "
).split("|")
_CLOSERS = (
    " please| for me| thanks| thank you| now|, please|, thanks| pls| if you can|, ok| again| then|"
    " for my kid|, can you| right now| for a test|, i forgot|, any idea| today|, my friend|"
    ", i am curious|. it is for my son|. i need it|. i can't remember|. be quick|, you know|, mesh|"
    ". go| for fun|, hm"
).split("|")
_FILLERS = (
    "just kindly really quickly actually maybe simply once here carefully properly perhaps then now"
    " nicely exactly basically honestly well gladly quietly first finally also please somehow today"
    " again dear my very much".split()
)
_QUESTION = re.compile(
    r"(what|who|which|how|when|where|why|can|could|do|does|is|are|will|would|did|have|should)\b"
)
_WH_QUESTION = re.compile(r"(what|who|which|how|where)\b")
_SMALL = frozenset("the a an of is are to me do does can you it i in for from with please".split())
_SHORT = {
    "you": "u", "are": "r", "please": "pls", "what is": "whats", "what's": "whats", "for": "4",
    "to": "2", "i'm": "im", "don't": "dont", "you're": "youre", "i'd": "id", "and": "&",
    "because": "cuz", "your": "ur", "thanks": "thx", "want to": "wanna", "let's": "lets",
    "could": "cud", "tomorrow": "tmrw", "colour": "color", "favourite": "favorite",
}  # fmt: skip


def wordings(name: str) -> dict[str, tuple[str, ...]]:
    """The wordings of one file, by heading, abbreviations written out."""
    short: dict[str, str] = {}
    sections: dict[str, list[str]] = {}
    for line in (_FOLDER / f"{name}.txt").read_text(encoding="utf-8").splitlines():
        if not line or line.startswith("# "):
            continue
        for key, text in short.items():
            line = line.replace(f"<{key}>", text)
        if line.startswith("== "):
            lines = sections.setdefault(line.removeprefix("== "), [])
        elif " := " in line:
            key, text = line.split(" := ")
            short[key] = text
        else:
            lines.append(line)
    return {heading: tuple(lines) for heading, lines in sections.items()}


def expand(rng: Random, pattern: str) -> str:
    """Choose one alternative in each pair of square brackets, the innermost first."""
    while "[" in pattern:
        pattern = _CHOICE.sub(lambda found: rng.choice(found[1].split("|")), pattern)
    return pattern


def reply(rng: Random, patterns: Sequence[str] | str, **slots: object) -> str:
    """One of the model's own sentences: a pattern expanded, its slots filled."""
    pattern = patterns if isinstance(patterns, str) else rng.choice(patterns)
    return expand(rng, pattern).format(**slots)


def ask(rng: Random, patterns: Sequence[str], **slots: object) -> str:
    """One user's message: a wording, made polite or sloppy at random, its slots filled.

    Slips are made before the slots are filled: a word to be spelled stays as it is.
    """
    text = expand(rng, rng.choice(patterns))
    order = text.startswith("~")
    text = text.removeprefix("~")
    if order and rng.random() < 0.5:
        text = rng.choice(_ORDERS) + text
    elif _WH_QUESTION.match(text) and rng.random() < 0.2:
        text = rng.choice(_INDIRECT) + text
    lead = rng.random()
    if lead < 0.12:
        text = rng.choice(_OPENERS) + text
    elif lead < 0.2:
        text = expand(rng, rng.choice(_ASKERS)) + text
    if rng.random() < 0.15:
        text += rng.choice(_CLOSERS)
    text = _reworded(rng, text.split())
    mood = rng.random()
    if mood < 0.5:
        return _tidy(rng, text).format(**slots)
    text = _sloppy(rng, text).format(**slots)
    return text.upper() if mood > 0.985 else text.lower() if mood > 0.6 else text


def _reworded(rng: Random, words: list[str]) -> str:
    """The words joined; at times one more is put in, or one of many is another, which means
    nothing: what a request is must not hang on a single word."""
    if len(words) > 2 and rng.random() < 0.08:
        words.insert(rng.randrange(1, len(words)), rng.choice(_FILLERS))
    if len(words) > 6 and rng.random() < 0.08:
        place = rng.randrange(len(words))
        if words[place].isalpha():
            words[place] = rng.choice((invented, lambda rng: rng.choice(SPELLABLE)))(rng)
    return " ".join(words)


def _tidy(rng: Random, text: str) -> str:
    """Capitals and, mostly, a mark at the end."""
    text = re.sub(r"\bi\b(?!')|\bi(?=')", "I", text)
    asks = _QUESTION.match(text) or " can you" in text
    mark = rng.choice("????" + " ") if asks else rng.choice((".", ".", ".", "!", "", ""))
    return text[:1].upper() + text[1:] + ("" if text.endswith("=") else mark.strip())


def _sloppy(rng: Random, text: str) -> str:
    """Short forms, small words left out, one slip, and seldom a mark at the end."""
    if rng.random() < 0.3:
        for long, short in _SHORT.items():
            if rng.random() < 0.6:
                text = re.sub(rf"(?<![\w{{'-]){long}(?![\w}}'-])", short, text)
    words = text.split(" ")
    if rng.random() < 0.25:
        words = [word for word in words if word not in _SMALL or rng.random() < 0.7] or words
    if rng.random() < 0.35:
        place = rng.randrange(len(words))
        words[place] = _slip(rng, words[place])
    text = " ".join(words)
    if rng.random() < 0.3:
        text = text.replace("'", "")
    return text + rng.choice(("", "", "", "", "?", ".", "!", "...", " ?", "??"))


def _slip(rng: Random, word: str) -> str:
    """Drop, double or swap one letter of an ordinary word."""
    if len(word) < 4 or not word.isalpha():
        return word
    place = rng.randrange(1, len(word) - 1)
    match rng.randrange(3):
        case 0:
            return word[:place] + word[place + 1 :]
        case 1:
            return word[:place] + word[place] + word[place:]
        case _:
            return word[:place] + word[place + 1] + word[place] + word[place + 2 :]
