"""Answers held to a grammar: valid whatever the model says, exact wherever they are taken over."""

import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from random import Random

import pytest
import torch
from msgspec.structs import replace

from mesh.gateway.grammar import json_schema, tool_calls
from mesh.gateway.grammar.tool_calls import Function
from mesh.protocol.errors import ErrorCode, MeshError
from mesh.protocol.grammar import Chars, Grammar
from mesh.protocol.request import Sampling
from mesh.settings import WorkerSettings
from mesh.worker.engines.base import Engine, EngineError, Job
from mesh.worker.engines.exllamav2 import start
from mesh.worker.engines.exllamav2.held import Vocabulary
from mesh.worker.grammar import fits
from tests.schemas import check, schema
from tests.worker.chain_model import END
from tests.worker.engine_contract import collect, job, text_of
from tests.worker.exl2 import folders
from tests.worker.exl2.standin_model import LOGIT_HOOKS, StandinModel
from tests.worker.exl2.test_exllamav2_text import byte_fallback, byte_level

WILD = Sampling(temperature=2.0, top_k=0, top_p=1.0, min_p=0.0)


@pytest.fixture(params=["", "ngram"], ids=["no drafts", "ngram"])
async def engine(request: pytest.FixtureRequest, chain: Path) -> AsyncIterator[Engine]:
    engine = await start.load(chain, WorkerSettings(slots=4, context=2048, draft=request.param))
    yield engine
    await engine.close()


@pytest.fixture(autouse=True)
def _hooks() -> Iterator[None]:
    yield
    LOGIT_HOOKS.clear()


def asked(engine: Engine, grammar: Grammar, seed: int, count: int = 60) -> Job:
    return replace(job(engine, "Say A", count, WILD, seed), grammar=grammar)


def hasten(model: StandinModel, sequence: list[int], logits: torch.Tensor) -> None:
    """Make what ends a value likelier, so that answers end."""
    for character in '"}],':
        logits[ord(character) + 2] += 2.0
    logits[END] += 4.0


async def test_what_ends_is_valid_under_its_schema(engine: Engine) -> None:
    LOGIT_HOOKS.append(hasten)
    ended = 0
    for seed in range(8):
        wanted = schema(Random(seed))
        steps = await collect(engine, asked(engine, json_schema.grammar(wanted), seed))
        if steps[-1].finish == "stop":
            ended += 1
            check(json.loads(text_of(steps)), wanted)
    assert ended >= 4


async def test_it_goes_on_within_its_format_from_every_token(engine: Engine) -> None:
    LOGIT_HOOKS.append(hasten)
    wanted = {"type": "array", "items": {"type": "string", "maxLength": 4}, "minItems": 2}
    whole = asked(engine, json_schema.grammar(wanted), 1, 24)
    ids = [token for step in await collect(engine, whole) for token in step.ids or ()]
    for k in range(len(ids)):
        rest = replace(whole, prefix_ids=tuple(ids[:k]), max_tokens=24 - k)
        again = [token for step in await collect(engine, rest) for token in step.ids or ()]
        assert again == ids[k:], f"taken over at token {k}"


async def test_what_nobody_would_say_is_said_where_nothing_else_fits(engine: Engine) -> None:
    def unlikely(model: StandinModel, sequence: list[int], logits: torch.Tensor) -> None:
        logits[: folders.VOCABULARY] = torch.linspace(0, 30, folders.VOCABULARY)

    LOGIT_HOOKS.append(unlikely)
    wanted = json_schema.grammar({"const": {"name": "é🙂 <|end|>"}})
    steps = await collect(engine, asked(engine, wanted, 1))
    assert (text_of(steps), steps[-1].finish) == ('{"name":"é🙂 <|end|>"}', "stop")


async def test_it_calls_what_it_has_to_call(engine: Engine) -> None:
    LOGIT_HOOKS.append(hasten)
    parameters = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    calls = tool_calls.grammar([Function("f", parameters, "")], None, parallel=False)
    steps = await collect(engine, asked(engine, calls, 2, 120))
    assert steps[-1].finish == "stop" and fits(calls, text_of(steps))


async def test_a_prefix_that_does_not_fit_is_said_to_be_none(engine: Engine) -> None:
    wanted = asked(engine, json_schema.grammar({"type": "object"}), 1)
    with pytest.raises(EngineError, match="does not fit"):
        await collect(engine, replace(wanted, prefix_text="Hello", prefix_ids=None))


async def test_a_format_without_a_token_left_fails_alone(engine: Engine) -> None:
    with pytest.raises(EngineError, match="No token of this model"):
        await collect(engine, asked(engine, Grammar(((("a", 1),), ((Chars("", False),),))), 1))
    assert text_of(await collect(engine, job(engine, "Say A", 3))) == "abc"


@pytest.mark.parametrize("more", [{"min_tokens": 5}, {"banned_strings": ("x",)}])
async def test_what_might_leave_no_token_is_refused(engine: Engine, more: dict[str, int]) -> None:
    wanted = replace(asked(engine, Grammar(((),)), 1), sampling=Sampling(**more))  # type: ignore[arg-type]
    with pytest.raises(MeshError) as refused:
        await collect(engine, wanted)
    assert refused.value.code == ErrorCode.UNSUPPORTED


def test_each_token_is_its_bytes_behind_others() -> None:
    words = Vocabulary(byte_level(b"a", b"\xf0\x9f", b"\x99\x82", b" \xc3", "é".encode()), (), 6)
    assert list(map(words.bytes, range(6))) == [
        b"a",
        b"\xf0\x9f",
        b"\x99\x82",
        b" \xc3",
        "é".encode(),
        b"",
    ]
    words = Vocabulary(byte_fallback("a", "\u2581Hello", "<s>"), {258 + 1}, 260)
    assert [words.bytes(at) for at in (0xC3, 256, 257, 259)] == [b"\xc3", b"a", b" Hello", b""]


@pytest.mark.parametrize(
    ("chars", "low", "high", "meets"),
    [
        (Chars("az"), 0x60, 0x61, True),
        (Chars("az"), 0x7B, 0xFF, False),
        (Chars("azAZ", negated=True), 0x41, 0x5A, False),
        (Chars("azAZ", negated=True), 0x41, 0x5B, True),
        (Chars("amnz", negated=True), 0x61, 0x7A, False),
        (Chars("", negated=True), 0x80, 0x7FF, True),
    ],
)
def test_sets_know_whether_they_meet_a_range(
    chars: Chars, low: int, high: int, meets: bool
) -> None:
    assert chars.meets(low, high) is meets
    assert any(chars.has(chr(point)) for point in range(low, high + 1)) is meets
