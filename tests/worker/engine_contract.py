"""What every engine must do: subclass EngineContract, say how to load the engine, and run it.

An engine that joins later (another library, another GPU) joins this suite with one subclass.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing

import pytest
from msgspec.structs import replace

from mesh.protocol.request import Message, Request, Sampling
from mesh.worker.engines.base import Engine, EngineError, Job, Step
from mesh.worker.prompt import PromptBuilder
from tests.worker.listener import Listener, listen

GREEDY = Sampling(temperature=0)


def job(
    engine: Engine, text: str, max_tokens: int, sampling: Sampling = GREEDY, seed: int = 1
) -> Job:
    """The job that a worker would make of one user message."""
    request = Request(
        rid="r1",
        reply="gw1",
        tenant="t1",
        model=engine.info.model,
        messages=(Message(role="user", content=text),),
        max_tokens=max_tokens,
        created=0,
        deadline=0,
    )
    built = PromptBuilder(engine).build(request)
    return Job(
        rid=request.rid,
        messages=built.messages,
        prompt=built.text,
        prompt_ids=built.ids,
        sampling=sampling,
        max_tokens=built.max_tokens,
        seed=seed,
    )


def after(job: Job, steps: Sequence[Step], by_ids: bool = True) -> Job:
    """The job of a worker that takes over after these steps."""
    ids = tuple(i for step in steps for i in step.ids or ())
    return replace(
        job,
        prefix_text=text_of(steps),
        prefix_ids=ids if by_ids else None,
        max_tokens=job.max_tokens - token_count(steps),
    )


async def collect(engine: Engine, job: Job) -> list[Step]:
    async with aclosing(listen(engine, job)) as steps:
        return [step async for step in steps]


def text_of(steps: Sequence[Step]) -> str:
    return "".join(step.text for step in steps)


def token_count(steps: Sequence[Step]) -> int:
    """Tokens by their ids; by pieces of text where the engine gives no ids."""
    return sum(bool(step.text) if step.ids is None else len(step.ids) for step in steps)


class EngineContract:
    """LONG is a message whose answer does not end before the context does; SHORT's ends itself."""

    LONG: str
    SHORT: str

    async def load(self, slots: int) -> Engine:
        raise NotImplementedError

    @pytest.fixture
    async def engine(self) -> AsyncIterator[Engine]:
        engine = await self.load(slots=2)
        yield engine
        await engine.close()

    def endless(self, engine: Engine) -> Job:
        return job(engine, self.LONG, 1_000_000)

    async def test_it_says_what_it_is(self, engine: Engine) -> None:
        info = engine.info
        assert info.model and info.engine and info.fingerprint and info.hardware
        assert info.slots == 2
        assert info.context_length > 0 or info.chat_template is None

    async def test_loaded_twice_it_has_the_same_fingerprint(self, engine: Engine) -> None:
        other = await self.load(slots=2)
        await other.close()
        assert other.info == engine.info

    async def test_only_the_last_step_has_a_finish(self, engine: Engine) -> None:
        for message in (self.LONG, self.SHORT):
            steps = await collect(engine, job(engine, message, 20))
            assert [step.finish is None for step in steps] == [True] * (len(steps) - 1) + [False]

    async def test_an_answer_that_is_done_ends_with_stop(self, engine: Engine) -> None:
        steps = await collect(engine, job(engine, self.SHORT, 100))
        assert steps[-1].finish == "stop"
        assert text_of(steps)
        assert engine.info.eos_token == "" or engine.info.eos_token not in text_of(steps)

    @pytest.mark.parametrize("count", [1, 2, 33])
    async def test_max_tokens_is_kept_to_the_token(self, engine: Engine, count: int) -> None:
        steps = await collect(engine, job(engine, self.LONG, count))
        assert token_count(steps) == count
        assert steps[-1].finish == "length"

    async def test_the_prompt_s_tokens_are_counted_once(self, engine: Engine) -> None:
        asked = job(engine, self.LONG, 3)
        told = [s for s in await collect(engine, asked) if s.prompt_tokens is not None]
        assert len(told) == 1
        if asked.prompt_ids:
            assert told[0].prompt_tokens == len(asked.prompt_ids)

    async def test_two_greedy_runs_are_equal(self, engine: Engine) -> None:
        asked = job(engine, self.LONG, 30)
        assert text_of(await collect(engine, asked)) == text_of(await collect(engine, asked))

    async def test_more_jobs_than_slots_wait_their_turn(self, engine: Engine) -> None:
        jobs = [job(engine, self.LONG, 20 + number) for number in range(7)]
        answers = await asyncio.gather(*(collect(engine, asked) for asked in jobs))
        assert [token_count(steps) for steps in answers] == [asked.max_tokens for asked in jobs]

    async def test_closing_a_reader_frees_its_slot_and_the_others_go_on(
        self, engine: Engine
    ) -> None:
        one, other = (listen(engine, self.endless(engine)) for _ in range(2))
        await anext(one)
        await anext(other)
        waiting = asyncio.create_task(collect(engine, job(engine, self.LONG, 5)))
        await asyncio.sleep(0)
        await one.aclose()
        async with asyncio.timeout(20):
            assert token_count(await waiting) == 5
        assert (await anext(other)).finish is None
        await other.aclose()

    async def test_a_cancelled_reader_frees_its_slot(self, engine: Engine) -> None:
        readers = [asyncio.create_task(collect(engine, self.endless(engine))) for _ in range(5)]
        await asyncio.sleep(0)
        for reader in readers:
            reader.cancel()
        await asyncio.gather(*readers, return_exceptions=True)
        async with asyncio.timeout(5):
            assert token_count(await collect(engine, job(engine, self.LONG, 5))) == 5

    async def test_a_reader_closed_before_its_first_step_costs_nothing(
        self, engine: Engine
    ) -> None:
        for _ in range(4):
            working = asyncio.create_task(engine.generate(self.endless(engine), Listener()))
            await asyncio.sleep(0)
            working.cancel()
        assert token_count(await collect(engine, job(engine, self.LONG, 5))) == 5

    async def test_closing_the_engine_ends_running_and_waiting_jobs_with_an_error(self) -> None:
        engine = await self.load(slots=1)
        running = listen(engine, self.endless(engine))
        await anext(running)
        waiting = asyncio.create_task(collect(engine, self.endless(engine)))
        await asyncio.sleep(0)
        await engine.close()
        with pytest.raises(EngineError):
            async with asyncio.timeout(30), aclosing(running) as steps:
                async for step in steps:
                    assert step.finish is None
        with pytest.raises(EngineError):
            await asyncio.wait_for(waiting, 30)

    async def test_a_closed_engine_takes_no_job(self) -> None:
        engine = await self.load(slots=1)
        asked = job(engine, self.LONG, 5)
        await engine.close()
        with pytest.raises(EngineError):
            await collect(engine, asked)


class TokenEngineContract(EngineContract):
    """The rest, for engines that have a tokenizer and go on exactly from a prefix."""

    async def test_it_encodes_special_tokens_as_one_and_adds_nothing(self, engine: Engine) -> None:
        ids = engine.encode("Hello you")
        assert ids and ids == engine.encode("Hello you")
        assert engine.encode("") == []
        if engine.info.eos_token:
            assert len(engine.encode(engine.info.eos_token)) == 1

    async def test_every_step_with_text_has_ids(self, engine: Engine) -> None:
        steps = await collect(engine, job(engine, self.LONG, 20))
        assert all(step.ids for step in steps if step.text)

    @pytest.mark.parametrize("by_ids", [True, False], ids=["by ids", "by text"])
    @pytest.mark.parametrize("delivered", [0, 1, 9, 19])
    async def test_it_goes_on_where_another_worker_ended(
        self, engine: Engine, delivered: int, by_ids: bool
    ) -> None:
        asked = job(engine, self.LONG, 20)
        whole = await collect(engine, asked)
        rest = await collect(engine, after(asked, whole[:delivered], by_ids))
        assert text_of(whole[:delivered]) + text_of(rest) == text_of(whole)
        assert rest[-1].finish == "length"

    async def test_it_goes_past_its_own_end_where_that_is_to_be_ignored(
        self, engine: Engine
    ) -> None:
        endless = Sampling(temperature=0, ignore_eos=True)
        steps = await collect(engine, job(engine, self.SHORT, 100, endless))
        assert token_count(steps) == 100
        assert steps[-1].finish == "length"

    async def test_it_goes_on_from_a_whole_answer_by_ending_it(self, engine: Engine) -> None:
        asked = job(engine, self.SHORT, 100)
        whole = [step for step in await collect(engine, asked) if step.text]
        rest = await collect(engine, after(asked, whole))
        assert text_of(rest) == ""
        assert rest[-1].finish == "stop"
