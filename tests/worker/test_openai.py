"""The openai engine against a real HTTP server: the contract, and every way an upstream fails."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from msgspec.structs import replace

from mesh.protocol.errors import ErrorCode, MeshError
from mesh.protocol.request import Message, Sampling
from mesh.settings import WorkerSettings
from mesh.worker.engines.base import EngineError
from mesh.worker.engines.openai import OpenAIEngine
from tests.conftest import free_port
from tests.worker.engine_contract import EngineContract, collect, job, text_of
from tests.worker.listener import Listener, listen
from tests.worker.upstream import KEY, Upstream, running

AFTER = "Retry-After: 1\r\n"


def load(upstream: Upstream, slots: int = 2) -> OpenAIEngine:
    return OpenAIEngine(
        WorkerSettings(
            engine="openai",
            model="big-model",
            slots=slots,
            upstream=upstream.url,
            upstream_key=KEY,
        )
    )


@pytest.fixture
async def upstream() -> AsyncIterator[Upstream]:
    async with running() as upstream:
        yield upstream


@pytest.fixture
async def engine(upstream: Upstream) -> AsyncIterator[OpenAIEngine]:
    engine = load(upstream)
    yield engine
    await engine.close()


class TestContract(EngineContract):
    LONG = "/repeat over and over"
    SHORT = "said once"

    @pytest.fixture(autouse=True)
    def _upstream(self, upstream: Upstream) -> None:
        self.upstream = upstream

    async def load(self, slots: int) -> OpenAIEngine:
        return load(self.upstream, slots)


async def test_an_upstream_that_wants_the_length_by_its_newer_name_is_asked_so_from_then_on(
    engine: OpenAIEngine, upstream: Upstream
) -> None:
    upstream.unknown = {"max_tokens"}
    sentence = "'max_tokens' is not supported with this model. Use 'max_completion_tokens'."
    upstream.error = {"error": {"message": sentence}}
    for _ in range(2):
        assert text_of(await collect(engine, job(engine, "one two", 7))) == "one two"
    lengths = [each.keys() & {"max_tokens", "max_completion_tokens"} for each in upstream.requests]
    assert lengths == [{"max_tokens"}, {"max_completion_tokens"}, {"max_completion_tokens"}]
    upstream.unknown = {"max_completion_tokens"}
    with pytest.raises(MeshError, match="max_completion_tokens"):
        await collect(engine, job(engine, "one two", 7))


async def test_the_conversation_and_what_was_set_go_upstream_and_no_more(
    engine: OpenAIEngine, upstream: Upstream
) -> None:
    sampling = Sampling(temperature=0.5, top_p=0.9, seed=3, stop=("x",))
    messages = (Message(role="system", content="Be kind."), Message(role="user", content="Hi"))
    await collect(engine, replace(job(engine, "", 9, sampling), messages=messages))
    assert upstream.requests == [
        {
            "model": "big-model",
            "messages": [
                {"role": "system", "content": "Be kind."},
                {"role": "user", "content": "Hi"},
            ],
            "max_tokens": 9,
            "stream": True,
            "stream_options": {"include_usage": True},
            "temperature": 0.5,
            "top_p": 0.9,
            "seed": 3,
            "authorization": f"Bearer {KEY}",
        }
    ]


async def test_usage_is_the_upstream_s(engine: OpenAIEngine) -> None:
    assert (await collect(engine, job(engine, "two words", 9)))[-1].prompt_tokens == 7


async def test_the_tokens_of_an_answer_are_those_that_the_upstream_counts(
    engine: OpenAIEngine, upstream: Upstream
) -> None:
    upstream.deltas = [{"reasoning": "hm"}, {"content": "five words in one chunk"}]
    thoughts = {"reasoning_tokens": 4}
    upstream.usage = {"completion_tokens": 9, "completion_tokens_details": thoughts}
    *_, last = await collect(engine, job(engine, "Hi", 99))
    assert (last.completion_tokens, last.reasoning_tokens) == (9, 4)
    upstream.running = True  # some say it all along, and who breaks off has heard it
    first, *_ = await collect(engine, job(engine, "Hi", 99))
    assert (first.completion_tokens, first.reasoning_tokens) == (9, 4)


@pytest.mark.parametrize(
    "usage",
    [
        None,
        {},
        {"completion_tokens": None, "completion_tokens_details": None},
        {"completion_tokens": -5, "completion_tokens_details": {"reasoning_tokens": -1}},
        *(
            {
                "prompt_tokens": strange,
                "prompt_tokens_details": {"cached_tokens": strange},
                "completion_tokens": strange,
                "completion_tokens_details": {"reasoning_tokens": strange},
            }
            for strange in (-1, 10**20, 10**400, 2.5, "7", True, [1])
        ),
    ],
)
async def test_an_upstream_that_counts_nothing_has_told_nothing(
    engine: OpenAIEngine, upstream: Upstream, usage: dict[str, Any] | None
) -> None:
    upstream.deltas, upstream.usage = [{"content": "word"}], usage
    *_, last = await collect(engine, job(engine, "Hi", 99))
    assert (last.completion_tokens, last.reasoning_tokens) == (None, None)
    assert (last.prompt_tokens, last.cached_tokens) == (None, None)


async def test_it_cannot_go_on_from_a_prefix(engine: OpenAIEngine) -> None:
    assert not engine.info.continues
    with pytest.raises(EngineError, match="prefix"):
        await collect(engine, replace(job(engine, "two words", 9), prefix_text="two "))


@pytest.mark.parametrize("status", [401, 403, 404, 500, 503])
async def test_a_refusing_upstream_is_an_error_that_tells_no_key(
    engine: OpenAIEngine, upstream: Upstream, status: int
) -> None:
    upstream.status = status
    with pytest.raises(EngineError, match=f"status {status}") as refused:
        await collect(engine, job(engine, "Hi", 9))
    assert KEY not in str(refused.value)
    upstream.status = 200
    assert text_of(await collect(engine, job(engine, "Hi", 9))) == "Hi"


@pytest.mark.parametrize(("status", "headers"), [(429, ""), (429, AFTER), (503, AFTER)])
async def test_an_upstream_that_has_too_much_to_do_is_waited_for(
    engine: OpenAIEngine, upstream: Upstream, status: int, headers: str
) -> None:
    upstream.status, upstream.headers, upstream.busy = status, headers, 1
    assert text_of(await collect(engine, job(engine, "Hi", 9))) == "Hi"
    assert len(upstream.requests) == 2


@pytest.mark.parametrize(
    ("headers", "code"), [("Retry-After: 61\r\n", "rate_limit"), (AFTER, "insufficient_quota")]
)
async def test_not_for_longer_than_is_of_use(
    engine: OpenAIEngine, upstream: Upstream, headers: str, code: str
) -> None:
    upstream.status, upstream.headers = 429, headers
    upstream.error = {"error": {"message": "not now", "code": code}}
    with pytest.raises(EngineError, match="status 429"):
        await collect(engine, job(engine, "Hi", 9))
    assert len(upstream.requests) == 1


async def test_not_past_the_time_that_a_first_token_has(upstream: Upstream) -> None:
    settings = WorkerSettings(
        engine="openai", model="m", upstream=upstream.url, first_token_limit=3.0
    )
    impatient = OpenAIEngine(settings)
    upstream.status = 429
    with pytest.raises(EngineError, match="status 429"):
        await collect(impatient, job(impatient, "Hi", 9))
    assert len(upstream.requests) == 2, "after a second, then no more"
    await impatient.close()


async def test_who_waits_for_an_upstream_can_be_cancelled(
    engine: OpenAIEngine, upstream: Upstream
) -> None:
    upstream.status, upstream.headers = 429, "Retry-After: 50\r\n"
    waiting = asyncio.create_task(collect(engine, job(engine, "Hi", 9)))
    async with asyncio.timeout(10):
        while not upstream.requests:
            await asyncio.sleep(0.01)
        waiting.cancel()
        await asyncio.wait({waiting})
        upstream.status = 200
        assert text_of(await collect(engine, job(engine, "Hi", 9))) == "Hi"


async def test_a_wrong_request_is_the_asker_s_error(
    engine: OpenAIEngine, upstream: Upstream
) -> None:
    upstream.status, upstream.error = 400, {"error": {"message": "too many tokens"}}
    with pytest.raises(MeshError, match="too many tokens") as refused:
        await collect(engine, job(engine, "Hi", 9))
    assert refused.value.code == ErrorCode.BAD_REQUEST


async def test_a_refusal_that_says_nothing_is_told_as_such(
    engine: OpenAIEngine, upstream: Upstream
) -> None:
    upstream.status, upstream.error = 400, "<html>"
    with pytest.raises(MeshError, match="did not say why"):
        await collect(engine, job(engine, "Hi", 9))


@pytest.mark.parametrize("chunks", [0, 1, 3, 5, 6])
async def test_a_cut_stream_is_an_error_and_no_end(
    engine: OpenAIEngine, upstream: Upstream, chunks: int
) -> None:
    upstream.cut_after = chunks
    told = []
    with pytest.raises(EngineError):
        async for step in listen(engine, job(engine, "one two three", 9)):
            told.append(step)
    assert all(step.finish is None for step in told)
    assert text_of(told) == "".join(["one ", "two ", "three"][: max(0, chunks - 1)])


@pytest.mark.parametrize(
    "garbage",
    [
        '{"choices": "what"}',
        '{"choices": [{"delta": {"reasoning": ' + "[" * 50_000 + "]" * 50_000 + "}}]}",
    ],
    ids=["another shape", "nested beyond reading"],
)
async def test_garbage_is_an_error(engine: OpenAIEngine, upstream: Upstream, garbage: str) -> None:
    upstream.garbage_after, upstream.garbage = 2, garbage
    with pytest.raises(EngineError, match="not a completion's chunk"):
        await collect(engine, job(engine, "one two three", 9))


async def test_a_withheld_answer_is_an_error(engine: OpenAIEngine, upstream: Upstream) -> None:
    upstream.finish = "content_filter"
    with pytest.raises(EngineError, match="withheld"):
        await collect(engine, job(engine, "one two three", 9))


async def test_an_upstream_that_is_not_there_is_an_error() -> None:
    settings = WorkerSettings(model="m", upstream=f"http://127.0.0.1:{free_port()}/v1")
    engine = OpenAIEngine(settings)
    with pytest.raises(EngineError, match="could not be reached"):
        await collect(engine, job(engine, "Hi", 9))
    await engine.close()


async def test_no_more_streams_are_open_than_there_are_slots(
    engine: OpenAIEngine, upstream: Upstream
) -> None:
    upstream.pause = 0.001
    await asyncio.gather(*(collect(engine, job(engine, "/repeat a", 9)) for _ in range(6)))
    assert upstream.most == engine.info.slots


async def test_leaving_hangs_up_on_the_upstream(engine: OpenAIEngine, upstream: Upstream) -> None:
    upstream.pause = 0.01
    steps = listen(engine, job(engine, "/repeat a", 100_000))
    await anext(steps)
    assert upstream.open == 1
    await steps.aclose()
    async with asyncio.timeout(30):
        await upstream.until_idle()


async def test_an_upstream_waits_for_a_reader_that_had_rather_wait(
    engine: OpenAIEngine, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    listener = Listener()
    with monkeypatch.context() as waiting:
        waiting.setattr(Listener, "full", True)
        answering = asyncio.create_task(engine.generate(job(engine, "one two three", 9), listener))
        async with asyncio.timeout(30):
            first = await listener.unread.get()
        await asyncio.sleep(0.2)
        assert listener.unread.empty() and not answering.done()
    async with asyncio.timeout(30):
        await answering
    rest = [listener.unread.get_nowait() for _ in range(listener.unread.qsize())]
    assert text_of([first, *rest]) == "one two three" and rest[-1].finish == "stop"


@pytest.mark.parametrize(
    "settings", [WorkerSettings(model="m"), WorkerSettings(upstream="http://127.0.0.1/v1")]
)
def test_it_needs_an_upstream_and_a_model(settings: WorkerSettings) -> None:
    with pytest.raises(MeshError, match="--upstream"):
        OpenAIEngine(settings)
