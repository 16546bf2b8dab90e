"""Every parameter of sampling does what it says, and goes on exactly."""

from collections.abc import AsyncIterator, Iterator
from math import exp, log
from pathlib import Path
from typing import Any

import pytest
import torch
from msgspec.structs import replace

from mesh.protocol.errors import ErrorCode, MeshError
from mesh.protocol.request import Sampling
from mesh.settings import WorkerSettings
from mesh.worker.engines.base import Engine
from mesh.worker.engines.exllamav2 import start
from mesh.worker.engines.exllamav2.sampler import leave_out
from tests.worker.chain_model import ALPHABET, DIGITS, END
from tests.worker.engine_contract import collect, job, text_of, token_count
from tests.worker.exl2.standin_model import LOGIT_HOOKS, StandinModel

WILD: dict[str, Any] = {"temperature": 6.0, "top_k": 0, "top_p": 1.0, "min_p": 0.0}


@pytest.fixture
async def engine(chain: Path) -> AsyncIterator[Engine]:
    engine = await start.load(chain, WorkerSettings(slots=4, context=2048))
    yield engine
    await engine.close()


@pytest.fixture(autouse=True)
def _hooks() -> Iterator[None]:
    yield
    LOGIT_HOOKS.clear()


def token(character: str) -> int:
    return ord(character) + 2


async def say(engine: Engine, prompt: str, count: int, seed: int = 1, **sampling: Any) -> str:
    given = Sampling(**({"temperature": 0} | sampling))
    return text_of(await collect(engine, job(engine, prompt, count, given, seed)))


async def exact(engine: Engine, prompt: str, count: int, sampling: Sampling) -> str:
    """The answer, after it was found to go on from each of its tokens."""
    asked = job(engine, prompt, count, sampling, seed=4)
    whole = [i for step in await collect(engine, asked) for i in step.ids or ()]
    for k in range(len(whole)):
        rest = replace(asked, prefix_ids=tuple(whole[:k]), max_tokens=count - k)
        ids = [i for step in await collect(engine, rest) for i in step.ids or ()]
        assert whole[k:] == ids, f"taken over at token {k}"
    return bytes(i - 2 for i in whole if i >= 2).decode(errors="replace")


@pytest.mark.parametrize(
    "one", [{"top_k": 1}, {"top_p": 0.01}, {"top_p": 0.0}, {"min_p": 0.99}, {"temperature": 0.0}]
)
async def test_nothing_but_the_likeliest_can_be_asked_for(
    engine: Engine, one: dict[str, Any]
) -> None:
    assert await say(engine, "A", 27, **(WILD | one)) == ALPHABET


@pytest.mark.parametrize("top_k", [1 << 31, 10**30])
async def test_more_tokens_than_there_are_may_be_asked_for(engine: Engine, top_k: int) -> None:
    assert await say(engine, "A", 27, top_k=top_k) == ALPHABET


async def test_the_smallest_penalty_is_a_number_all_the_same(engine: Engine) -> None:
    praise: dict[str, Any] = {"repetition_penalty": 1e-300, "temperature": 1.0}
    assert (await say(engine, "A", 27, **praise)).startswith("a")


async def test_warmth_and_typicality_change_what_is_said(engine: Engine) -> None:
    texts = {
        await say(engine, "A", 30, **(WILD | more))
        for more in ({}, {"temperature": 9.0}, {"typical_p": 0.3}, {"top_k": 20}, {"seed": 1})
    }
    assert len(texts) == 4, "the seed is the worker's affair"


async def test_penalties_look_at_the_answer_and_not_at_the_prompt(engine: Engine) -> None:
    penalties: dict[str, Any] = {
        "repetition_penalty": 5.0,
        "presence_penalty": 2.0,
        "frequency_penalty": 2.0,
    }
    assert await say(engine, ALPHABET * 9 + "A", 26, **penalties) == ALPHABET[:26]
    assert ALPHABET not in (await say(engine, "A", 80, **penalties))[27:]


async def test_a_short_answer_can_be_made_longer(engine: Engine) -> None:
    steps = await collect(engine, job(engine, "1?", 40, Sampling(temperature=0)))
    assert text_of(steps) == DIGITS
    LOGIT_HOOKS.append(lambda model, sequence, logits: logits[END].fill_(100.0))
    longer = Sampling(temperature=0, min_tokens=15)
    assert token_count(await collect(engine, job(engine, "1?", 40, longer))) == 15
    await exact(engine, "1?", 40, longer)


async def test_single_tokens_are_favoured_and_kept_away(engine: Engine) -> None:
    assert await say(engine, "A", 5, logit_bias={token("z"): 100.0}) == "zzzzz"
    kept_away = {token(letter): -100.0 for letter in "bc"}
    assert not set("bc") & set(await say(engine, "A", 60, logit_bias=kept_away))


@pytest.mark.parametrize("wrong", [-1, 258, 10**9])
async def test_a_bias_on_no_token_is_refused(engine: Engine, wrong: int) -> None:
    with pytest.raises(MeshError, match=str(wrong)) as refused:
        await say(engine, "A", 5, logit_bias={wrong: 1.0})
    assert (refused.value.code, refused.value.param) == (ErrorCode.BAD_REQUEST, "logit_bias")


async def test_long_repetitions_are_broken_off(engine: Engine) -> None:
    dry = Sampling(temperature=0, dry_multiplier=2.0, dry_base=2.0, dry_allowed_length=4)
    text = await exact(engine, "A", 60, dry)
    assert text.startswith(ALPHABET[:5]) and ALPHABET[:12] not in text[12:]


async def test_xtc_leaves_out_likely_tokens_as_often_as_asked(engine: Engine) -> None:
    def two_likely(model: StandinModel, sequence: list[int], logits: torch.Tensor) -> None:
        logits[token("x")], logits[token("y")] = 20.0, 19.5

    LOGIT_HOOKS.append(two_likely)
    xtc: dict[str, Any] = {"xtc_threshold": 0.1, "temperature": 0.0}
    assert await say(engine, "B", 20, xtc_probability=1.0, **xtc) == "y" * 20
    assert await say(engine, "B", 20, xtc_probability=0.0, **xtc) == "x" * 20
    every = xtc | {"xtc_threshold": 0.0}  # no token is unlikely: only the last of all is left
    assert not {"x", "y"} & set(await say(engine, "B", 20, xtc_probability=1.0, **every))
    half = await exact(engine, "B", 100, Sampling(xtc_probability=0.5, **xtc))
    assert 30 < half.count("y") < 70


async def test_whether_xtc_leaves_out_says_nothing_of_the_token_chosen(engine: Engine) -> None:
    """Were both one random number, x would never come: it is the first half of what there is."""

    def known(model: StandinModel, sequence: list[int], logits: torch.Tensor) -> None:
        logits.fill_(float("-inf"))
        for character, probability in zip("xyvw", (0.5, 0.3, 0.1, 0.1), strict=True):
            logits[token(character)] = log(probability)

    LOGIT_HOOKS.append(known)
    plain: dict[str, Any] = {"temperature": 1.0, "top_k": 0, "top_p": 1.0, "min_p": 0.0}
    text = await say(engine, "B", 200, xtc_probability=0.5, xtc_threshold=0.25, **plain)
    found = {character: text.count(character) for character in "xyvw"}
    assert 30 < found["x"] < 70 and 70 < found["y"] < 110, found
    assert found["v"] > 15 and found["w"] > 15, found


async def test_xtc_leaves_the_end_of_an_answer_alone(engine: Engine) -> None:
    def ending(model: StandinModel, sequence: list[int], logits: torch.Tensor) -> None:
        logits[END], logits[token("x")] = 20.0, 19.5

    LOGIT_HOOKS.append(ending)
    assert await say(engine, "B", 20, xtc_probability=1.0, xtc_threshold=0.1) == ""


def test_xtc_keeps_the_least_likely_of_the_likely_and_those_to_be_kept() -> None:
    logits = torch.tensor([[[3.0, 2.9, 2.8, 2.7, 0.0]]])
    leave_out(logits, 0.1, kept=[0])
    assert logits.isinf().flatten().tolist() == [False, True, True, False, False]
    alone = torch.tensor([[[3.0, 0.0, 0.0]]])
    leave_out(alone, 0.4, kept=[])
    assert not alone.isinf().any()


@pytest.mark.parametrize("banned", [("fgh",), ("FGH", "b"), ("a", "xyz a", "nothing"), ("e", "f")])
@pytest.mark.parametrize("sampling", [{"temperature": 0.0}, WILD], ids=["greedy", "seeded"])
async def test_banned_strings_never_come_and_ids_say_what_the_text_does(
    engine: Engine, banned: tuple[str, ...], sampling: dict[str, Any]
) -> None:
    whole_characters = {token: -100.0 for token in range(130, 258)}
    wanted = Sampling(
        banned_strings=banned,
        logit_bias=whole_characters,
        dry_multiplier=0.5,
        ignore_eos=True,
        **sampling,
    )
    text = await exact(engine, "x" * 210 + "A", 60, wanted)
    assert not any(string.lower() in text.lower() for string in banned)
    steps = await collect(engine, job(engine, "x" * 210 + "A", 60, wanted, seed=4))
    assert (text_of(steps), token_count(steps)) == (text, 60)


@pytest.mark.parametrize("count", range(5, 9))
async def test_a_banned_string_does_not_come_with_the_last_token_either(
    engine: Engine, count: int
) -> None:
    sampling = Sampling(temperature=0, banned_strings=("e", "abcdf"))
    steps = await collect(engine, job(engine, "A", count, sampling))
    assert "e" not in text_of(steps) and "abcdf" not in text_of(steps)
    assert (token_count(steps), steps[-1].finish) == (count, "length")


async def test_banned_strings_may_be_asked_for_up_to_the_end_of_the_context(chain: Path) -> None:
    engine = await start.load(chain, WorkerSettings(slots=1, context=512, cache_tokens=512))
    sampling = Sampling(temperature=0, banned_strings=("fgh",), ignore_eos=True)
    asked = job(engine, "A", 10_000, sampling)
    steps = await collect(engine, asked)
    assert token_count(steps) == 511 - len(asked.prompt_ids)
    assert steps[-1].finish == "length"
    await engine.close()


async def test_half_a_banned_string_at_the_end_is_said(engine: Engine) -> None:
    assert await say(engine, "A", 6, banned_strings=("fgh",)) == "abcdef"
    assert await say(engine, "1?", 20, banned_strings=("90",)) == DIGITS


async def test_banned_strings_and_drafts_do_not_go_together(chain: Path) -> None:
    engine = await start.load(chain, WorkerSettings(slots=1, draft="ngram"))
    with pytest.raises(MeshError) as refused:
        await say(engine, "A", 5, banned_strings=("b",))
    assert (refused.value.code, refused.value.param) == (ErrorCode.UNSUPPORTED, "banned_strings")
    await engine.close()


async def test_odds_are_the_model_s_own_and_come_with_every_token(engine: Engine) -> None:
    def known(model: StandinModel, sequence: list[int], logits: torch.Tensor) -> None:
        logits.fill_(float("-inf"))
        logits[token("x")], logits[token("y")], logits[token("z")] = log(0.5), log(0.3), log(0.2)

    LOGIT_HOOKS.append(known)
    penalised = Sampling(temperature=0, presence_penalty=2.0, logprobs=2)
    steps = await collect(engine, job(engine, "A", 3, penalised))
    assert text_of(steps) == "xyz"
    odds = [step.odds for step in steps if step.ids]
    assert [round(exp(each.logprob), 3) for each in odds if each] == [0.5, 0.3, 0.2]
    tops = {tuple((text, round(exp(p), 3)) for text, p in each.top) for each in odds if each}
    assert tops == {(("x", 0.5), ("y", 0.3))}


@pytest.mark.parametrize("count", [0, 5])
async def test_odds_of_a_character_are_those_of_its_tokens_together(
    engine: Engine, count: int
) -> None:
    steps = await collect(engine, job(engine, "!", 12, Sampling(temperature=0, logprobs=count)))
    told = [step.odds for step in steps if step.ids]
    assert [step.text for step in steps if step.ids] == ["é", "🙂", "é", "🙂"]
    assert all(each is not None and len(each.top) == count for each in told)
    one, two = (each.logprob for each in told[:2] if each)
    assert two < one < 0, "four tokens, and two"
    plain = await collect(engine, job(engine, "!", 12))
    assert all(step.odds is None for step in plain)


@pytest.mark.parametrize("draft", ["", "ngram"])
async def test_odds_go_on_where_another_worker_ended(chain: Path, draft: str) -> None:
    engine = await start.load(chain, WorkerSettings(slots=4, draft=draft, context=1024))
    asked = job(engine, "A", 30, Sampling(logprobs=1, ignore_eos=True, **WILD))
    whole = [step for step in await collect(engine, asked) if step.ids]
    for k in range(0, len(whole), 5):
        before = tuple(token for step in whole[:k] for token in step.ids or ())
        text = text_of(whole[:k])
        rest = replace(asked, prefix_ids=before, prefix_text=text, max_tokens=30 - len(before))
        again = [step.odds for step in await collect(engine, rest) if step.ids]
        assert again == [step.odds for step in whole[k:]]
    await engine.close()
