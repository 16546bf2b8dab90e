"""The bundled model answers questions whose wording it has never seen, and loads elsewhere too."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any
from urllib.request import Request, urlopen

import pytest

from mesh.worker.bundled import PATH
from tools.bundled_model.corpus import conversation
from tools.bundled_model.corpus.letters import spelling
from tools.bundled_model.corpus.numbers import adding, held_out, subtracting
from tools.bundled_model.corpus.words import HELD_OUT

pytest.importorskip("xllamacpp")

from tools.bundled_model.evaluate import (  # noqa: E402
    Answer,
    Question,
    ask,
    gibberish,
    known_words,
    load_questions,
    open_model,
    right,
)

QUESTIONS = load_questions(Path(__file__).with_name("bundled_prompts.json"))
SKILLS = (adding, subtracting, spelling)
ODD_STRINGS = (
    "Hello, world!",
    "I'm sure you'll say it's they've, we'd; DON'T",
    "12345 + 67 = 8.9e10, ½ ² Ⅷ ١٢٣ ৪৫",
    "  two  spaces,\ttabs\t\tand\r\n\n\nlines \n ",
    "naïve café Ærøskøbing straße Łódź",
    "日本語のテキスト 中文 한국어 العربية עברית ไทย",
    "emoji 😀👩‍👩‍👧‍👦🏳️‍🌈❤️ and e\u0301 combining",
    "\u00a0non\u2009breaking\u3000spaces\u200bzero",
    "snake_case CamelCase x+=1; //{}[]<>|~`@#$%^&*",
    "<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n",
    "don’t “quote” – dash … ellipsis",
    "\x00\x01\x7f control \ufffd",
)


@pytest.fixture(scope="module")
def model() -> Iterator[Any]:
    """llama.cpp with the shipped model."""
    yield open_model(PATH)


@pytest.fixture(scope="module")
def hugging_face(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shipped model as a Hugging Face folder."""
    for package in ("gguf", "safetensors"):
        pytest.importorskip(package)
    from tools.bundled_model.export import to_hugging_face

    folder = tmp_path_factory.mktemp("hf")
    to_hugging_face(PATH, folder)
    return folder


def test_it_is_small_enough_to_ship() -> None:
    assert PATH.stat().st_size <= 6_000_000


@pytest.fixture(scope="module")
def answers(model: Any) -> list[tuple[Question, Answer]]:
    """What it says to each of the fifty questions."""
    assert len(QUESTIONS) == 50
    return [(question, ask(model, question)) for question in QUESTIONS]


def test_it_answers_nine_of_ten_questions_right(answers: list[tuple[Question, Answer]]) -> None:
    wrong = [
        f"{question.turns[-1]} -> {answer.text}"
        for question, answer in answers
        if not right(question, answer)
    ]
    assert len(wrong) <= 5, "\n".join(wrong)


def test_no_answer_is_gibberish(answers: list[tuple[Question, Answer]]) -> None:
    known = known_words()
    nonsense = [
        f"{question.turns[-1]} -> {answer.text} [{why}]"
        for question, answer in answers
        if (why := gibberish(answer, known, " ".join(question.turns)))
    ]
    assert not nonsense, "\n".join(nonsense)


def wording(question: Question) -> re.Pattern[str]:
    """What finds the question's last turn in a text, whatever its subjects are."""
    text = plain(question.turns[-1])
    for word in sorted(map(plain, question.words), key=len, reverse=True):
        text = re.sub(rf"(?<!\w){re.escape(word)}(?!\w)", "\0", text)
    return re.compile(r"(?<!\w)" + re.escape(text).replace("\0", r"\w+") + r"(?!\w)")


def plain(text: str) -> str:
    """Lower case, without marks at the end or commas."""
    return text.lower().replace(",", "").rstrip(" ?.!")


def test_the_questions_are_not_in_the_training_text() -> None:
    wordings = {question.turns[-1]: wording(question) for question in QUESTIONS}
    for index in range(5000):
        _, turns = conversation(Random(f"leak:{index}"))
        for turn in turns:
            seen = plain(turn.user)
            assert not [text for text, found in wordings.items() if found.search(seen)], seen


def test_sums_and_spellings_that_are_held_out_are_not_in_the_training_text() -> None:
    for index in range(5000):
        rng = Random(f"held out:{index}")
        said = " ".join(turn.answer for skill in SKILLS for turn in skill(rng))
        for first, second in re.findall(r"(\d+) [+-] (\d+) =", said):
            assert not held_out(int(first), int(second)), said
        for word in re.findall(r"The word (\S+) is spelled", said):
            assert word.lower() not in HELD_OUT, said


def llama_cpp_tokens(model: Any, text: str) -> list[int]:
    """The ids of `text` after llama.cpp, special tokens read as such."""
    body = json.dumps({"content": text, "add_special": True, "parse_special": True}).encode()
    headers = {"Content-Type": "application/json"}
    request = Request(f"{model.listening_address}/tokenize", data=body, headers=headers)
    with urlopen(request, timeout=30) as answer:
        tokens: list[int] = json.load(answer)["tokens"]
    return tokens


def test_both_tokenizers_cut_odd_strings_alike(model: Any, hugging_face: Path) -> None:
    tokenizers = pytest.importorskip("tokenizers")
    ours = tokenizers.Tokenizer.from_file(str(hugging_face / "tokenizer.json"))
    for text in ODD_STRINGS:
        assert llama_cpp_tokens(model, text) == ours.encode(text).ids, text


def test_the_hugging_face_folder_says_what_engines_look_for(hugging_face: Path) -> None:
    config = json.loads((hugging_face / "config.json").read_text())
    assert config["architectures"] == ["LlamaForCausalLM"]
    assert config["rope_theta"] == 10_000.0
    assert config["tie_word_embeddings"] is True
    assert config["head_dim"] == 64
    settings = json.loads((hugging_face / "tokenizer_config.json").read_text())
    assert settings["eos_token"] == "<|im_end|>"
    assert "add_generation_prompt" in settings["chat_template"]
