"""An answer taken over at any token goes on as the unbroken one would have."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from mesh.protocol.request import Sampling
from mesh.settings import WorkerSettings
from mesh.worker.engines.base import Engine, Job, Step
from mesh.worker.engines.exllamav2 import start
from mesh.worker.engines.exllamav2.memory import PAGE
from mesh.worker.gate import Gate, Piece
from tests.worker.chain_model import WIDE
from tests.worker.engine_contract import collect, job, text_of
from tests.worker.exl2 import folders

TOKENS = 40
WILD = Sampling(temperature=6.0, top_k=0, top_p=1.0, min_p=0.0, ignore_eos=True)
GREEDY = Sampling(temperature=0, ignore_eos=True)


def penalised(sampling: Sampling) -> Sampling:
    return replace(sampling, repetition_penalty=1.5, presence_penalty=1.0, frequency_penalty=2.0)


SAMPLINGS = {
    "greedy": GREEDY,
    "greedy with penalties": penalised(GREEDY),
    "seeded": WILD,
    "seeded with penalties": penalised(WILD),
    "seeded with all else": replace(
        penalised(WILD),
        min_tokens=5,
        logit_bias={9: 3.0, 12: -100.0},
        dry_multiplier=1.0,
        xtc_probability=0.5,
        xtc_threshold=0.01,
    ),
    "seeded, typical": Sampling(temperature=3.0, typical_p=0.9, ignore_eos=True),
}


@pytest.fixture(params=["no drafts", "ngram", "draft model"])
async def engine(
    request: pytest.FixtureRequest, chain: Path, tmp_path: Path
) -> AsyncIterator[Engine]:
    """With slots for a batch; the draft model is of the same tokens, and right about most."""
    drafts = {"no drafts": "", "ngram": "ngram", "draft model": str(tmp_path)}[request.param]
    if request.param == "draft model":
        folders.write(tmp_path)
    engine = await start.load(chain, WorkerSettings(slots=8, draft=drafts, context=1024))
    yield engine
    await engine.close()


def ids_of(steps: list[Step]) -> list[int]:
    return [token for step in steps for token in step.ids or ()]


def asked_for(engine: Engine, sampling: Sampling, seed: int) -> Job:
    """An answer whose sixth token is the last of a page."""
    asked = job(engine, "x" * (PAGE - 20) + "A", TOKENS, sampling, seed)
    filler = PAGE - 6 - len(asked.prompt_ids)
    assert filler >= 0
    ids = asked.prompt_ids[:1] + asked.prompt_ids[5:6] * filler + asked.prompt_ids[1:]
    return replace(asked, prompt_ids=ids)


def taken_over(asked: Job, ids: list[int], text: str = "") -> Job:
    return replace(
        asked, prefix_ids=tuple(ids), prefix_text=text, max_tokens=asked.max_tokens - len(ids)
    )


async def together(engine: Engine, jobs: list[Job]) -> list[list[Step]]:
    return list(await asyncio.gather(*(collect(engine, asked) for asked in jobs)))


@pytest.mark.parametrize("batch", [1, 8])
@pytest.mark.parametrize("name", list(SAMPLINGS))
async def test_it_goes_on_from_every_token(engine: Engine, name: str, batch: int) -> None:
    jobs = [asked_for(engine, SAMPLINGS[name], seed) for seed in range(batch)]
    wholes = [ids_of(steps) for steps in await together(engine, jobs)]
    assert all(len(ids) == TOKENS for ids in wholes)
    borders = [0, 1, 5, 6, 7, 20, TOKENS - 1] if batch > 1 else range(TOKENS)
    for k in borders:
        broken = [taken_over(asked, ids[:k]) for asked, ids in zip(jobs, wholes, strict=True)]
        rests = [ids_of(steps) for steps in await together(engine, broken)]
        assert [ids[k:] for ids in wholes] == rests, f"taken over at token {k}"


@pytest.mark.parametrize("name", ["greedy with penalties", "seeded", "seeded with penalties"])
async def test_neither_the_company_nor_the_drafts_change_an_answer(
    engine: Engine, chain: Path, name: str
) -> None:
    jobs = [asked_for(engine, SAMPLINGS[name], seed) for seed in range(8)]
    in_company = [ids_of(steps) for steps in await together(engine, jobs)]
    plain = await start.load(chain, WorkerSettings(slots=1, context=1024))
    alone = [ids_of(await collect(plain, asked)) for asked in jobs]
    await plain.close()
    assert in_company == alone
    assert name.startswith("greedy") or len({tuple(ids) for ids in alone}) == 8


async def test_it_goes_on_in_the_middle_of_a_character(engine: Engine) -> None:
    asked = job(engine, "!", 24)
    whole = await collect(engine, asked)
    assert text_of(whole) == WIDE * 4
    ids = ids_of(whole)
    for k in range(len(ids)):
        said = bytes(token - 2 for token in ids[:k]).decode(errors="ignore")
        rest = await collect(engine, taken_over(asked, ids[:k], said))
        assert said + text_of(rest) == text_of(whole), f"taken over at token {k}"


@pytest.mark.parametrize("name", ["seeded", "seeded with penalties"])
async def test_the_text_is_the_same_after_any_piece_also_of_broken_bytes(
    engine: Engine, name: str
) -> None:
    asked = asked_for(engine, SAMPLINGS[name], 3)
    whole = await collect(engine, asked)
    assert "\ufffd" in text_of(whole)
    for k in range(len(whole)):
        said = text_of(whole[:k])
        rest = await collect(engine, taken_over(asked, ids_of(whole[:k]), said))
        assert said + text_of(rest) == text_of(whole), f"taken over after step {k}"


def gated(steps: list[Step], stop: str) -> tuple[list[Piece], bool]:
    gate = Gate((stop,))
    pieces: list[Piece] = []
    for step in steps:
        pieces += gate.feed(step.text, step.ids)
        if gate.stopped:
            return pieces, True
    return pieces + gate.finish(), gate.stopped


@pytest.mark.parametrize("stop", ["mno", "xyz ab", "nothing of the kind"])
async def test_a_stop_string_across_the_take_over_is_found_all_the_same(
    engine: Engine, stop: str
) -> None:
    asked = job(engine, "A", 40)
    whole, stopped = gated(await collect(engine, asked), stop)
    for k in range(len(whole) + 1):
        ids = [token for piece in whole[:k] for token in piece.ids or ()]
        said = "".join(piece.text for piece in whole[:k])
        if len(ids) < asked.max_tokens:
            rest, again = gated(await collect(engine, taken_over(asked, ids, said)), stop)
            assert (whole[:k] + rest, again) == (whole, stopped), f"taken over after piece {k}"


async def test_a_seed_and_a_place_decide_the_token(engine: Engine) -> None:
    answers = [await collect(engine, asked_for(engine, WILD, seed)) for seed in (1, 1, 2, 2**64)]
    one, again, other, large = map(ids_of, answers)
    assert one == again
    assert len({tuple(ids) for ids in (one, other, large)}) == 3
