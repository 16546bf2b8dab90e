"""Ask a GGUF questions through llama.cpp, greedily, and judge the answers.

A question is one entry of `tests/worker/bundled_prompts.json`: the user's turns (the model answers
each of them itself), the patterns that the last answer must match, those that it must not, and,
for a story, how many sentences it may have.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from random import Random
from typing import Any

import xllamacpp

from mesh.worker.bundled import PATH
from tools.bundled_model.corpus import conversation, words
from tools.bundled_model.corpus.knowledge import BABIES, COLOURS, LEGS, OPPOSITES, SOUNDS

MAX_TOKENS = 256


@dataclass(frozen=True, kw_only=True)
class Question:
    """A chat to have with the model, and what its last answer must be like."""

    skill: str
    turns: Sequence[str]
    expect: Sequence[str]
    """Regular expressions, any case; each must be found."""
    reject: Sequence[str] = ()
    """Regular expressions, none of which may be found."""
    words: Sequence[str] = ()
    """The parts of the turns that are subjects, not wording."""
    system: str = ""
    sentences: Sequence[int] | None = None
    """Fewest and most sentences."""


@dataclass(frozen=True)
class Answer:
    """What the model said last."""

    text: str
    finished: bool
    """Whether it ended by itself, before the limit of `MAX_TOKENS`."""


def load_questions(path: Path) -> list[Question]:
    """Read a file of questions."""
    return [Question(**entry) for entry in json.loads(path.read_text(encoding="utf-8"))]


def open_model(path: Path, context: int = 1024, threads: int = 1) -> Any:
    """llama.cpp's server in this process, with the model loaded."""
    params = xllamacpp.CommonParams()
    params.model.path = str(path)
    params.n_ctx = context
    params.n_parallel = 1
    params.cpuparams.n_threads = threads
    params.n_gpu_layers = 0
    params.verbosity = -1
    return xllamacpp.Server(params)


def ask(server: Any, question: Question) -> Answer:
    """Have the chat, taking the likeliest token each time, and return the last answer."""
    messages = [{"role": "system", "content": question.system}] if question.system else []
    answer = Answer("", False)
    for turn in question.turns:
        messages.append({"role": "user", "content": turn})
        body = {"messages": messages, "temperature": 0, "max_tokens": MAX_TOKENS}
        choice = server.handle_chat_completions(body)["choices"][0]
        answer = Answer(choice["message"]["content"], choice["finish_reason"] == "stop")
        messages.append({"role": "assistant", "content": answer.text})
    return answer


def right(question: Question, answer: Answer) -> bool:
    """Whether the answer obeys the question's rules."""

    def found(pattern: str) -> bool:
        return re.search(pattern, answer.text, re.IGNORECASE) is not None

    if question.sentences:
        low, high = question.sentences
        if not low <= len(re.findall(r"[.!?]\"?(?=\s|$)", answer.text)) <= high:
            return False
    return all(map(found, question.expect)) and not any(map(found, question.reject))


def gibberish(answer: Answer, known: frozenset[str], asked: str) -> str:
    """Why the answer is not sensible text; empty if it is.

    `known` are the words of the training corpus in lower case; those `asked` for count as well.
    """
    if not answer.finished:
        return "does not end"
    if not answer.text.isprintable():
        return "unprintable characters"
    said = re.findall(r"[a-z]+", answer.text.lower())
    allowed = known | set(re.findall(r"[a-z]+", asked.lower()))
    strange = [word for word in said if len(word) > 1 and word not in allowed]
    if len(strange) > len(said) // 20:
        return f"unknown words: {' '.join(strange)}"
    if re.search(r"(\b\w+\b(?:\W+\w+){1,7})(?:\W+\1){2,}", answer.text):
        return "goes round in a loop"
    return ""


def known_words(chats: int = 4000) -> frozenset[str]:
    """The words that the training corpus means, in lower case: those of the tables, and those that
    the answers of some of that many conversations hold. What it invents to be copied is none."""
    facts = (OPPOSITES, COLOURS, SOUNDS, LEGS, BABIES)
    listed = (words.SPELLABLE, words.NAMES, words.PLACES, words.PETS, words.FOODS)
    tables = " ".join(chain(*listed, *facts, *(fact.values() for fact in facts)))
    known = set(re.findall(r"[a-z]+", tables.lower()))
    seen: Counter[str] = Counter()
    for index in range(chats):
        _, turns = conversation(Random(f"words:{index}"))
        said = " ".join(turn.answer for turn in turns)
        seen.update(set(re.findall(r"[a-z]+", said.lower())))
    return frozenset(known | {word for word, times in seen.items() if times >= 5})


def main() -> None:
    """Command line: ask all questions of a file and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gguf", type=Path, default=PATH)
    parser.add_argument("--questions", type=Path, default=Path("tests/worker/bundled_prompts.json"))
    parser.add_argument("--failures", action="store_true", help="print only what is not right")
    arguments = parser.parse_args()
    server, known = open_model(arguments.gguf), known_words()
    asked: Counter[str] = Counter()
    won: Counter[str] = Counter()
    began = time.monotonic()
    for question in load_questions(arguments.questions):
        answer = ask(server, question)
        nonsense = gibberish(answer, known, " ".join(question.turns))
        good = right(question, answer) and not nonsense
        asked[question.skill] += 1
        won[question.skill] += good
        if not (good and arguments.failures):
            print(f"{'ok  ' if good else 'FAIL'} {question.turns[-1]}")
            print(f"     {answer.text} {nonsense and f'[{nonsense}]'}")
    print(f"\n{'skill':<12}right")
    for skill, count in asked.items():
        print(f"{skill:<12}{won[skill]}/{count}")
    total = asked.total()
    print(f"{'all':<12}{won.total()}/{total} = {won.total() / total:.0%}"
          f" in {time.monotonic() - began:.1f} s")  # fmt: skip
    sys.exit(won.total() < 0.9 * total)


if __name__ == "__main__":
    main()
