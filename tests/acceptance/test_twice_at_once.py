"""The same twice at once under one key, at two gateways of which one is slower: done once."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx

from tests.acceptance.conftest import Processes
from tests.chatting import answer, ask, events, get_message, new_chat, ok
from tests.held import Held

LONG = "/repeat one two three "
KEY = {"Idempotency-Key": "mine"}


@asynccontextmanager
async def client(url: str) -> AsyncIterator[httpx.AsyncClient]:
    """A client of one gateway; whoever it is, it is the same person at all of them."""
    async with httpx.AsyncClient(base_url=url, timeout=30.0) as http:
        login = ok(await http.get("/auth/callback/debug", params={"code": "ada"}))
        http.headers["Authorization"] = f"Bearer {login['access_token']['access_token']}"
        yield http


@asynccontextmanager
async def two_gateways(
    processes: Processes,
) -> AsyncIterator[tuple[Held, httpx.AsyncClient, httpx.AsyncClient]]:
    """The wire of the second gateway, and a client of each."""
    processes.gateway()
    processes.store()
    processes.worker("w1", "--echo-rate", "40")
    processes.await_workers(1)
    processes.await_store()
    held = Held(processes.broker.port)
    await held.start()
    processes.env = processes.env | {"MESH_NATS": f"nats://127.0.0.1:{held.port}"}
    try:
        _, url = await asyncio.to_thread(processes.second_gateway)
        async with client(processes.url) as here, client(url) as there:
            yield held, here, there
    finally:
        held.let_go()
        await held.close()


async def reached(held: Held) -> None:
    async with asyncio.timeout(60):
        await held.reached.wait()


async def test_a_question_does_not_cancel_its_own_answer(processes: Processes) -> None:
    async with two_gateways(processes) as (held, here, there):
        chat = await new_chat(here)
        parent = (await answer(here, chat, "hello"))["id"]
        question: Any = {
            "parent": parent,
            "key": "mine",
            "sampling_parameters": {"max_new_tokens": 200},
        }
        held.hold(b"plan_answer")
        late = asyncio.create_task(ask(there, chat, LONG, **question))
        await reached(held)
        begun = (await ask(here, chat, LONG, **question))["assistant_message"]["id"]
        await get_message(here, chat, begun)  # the store has it, and names it as unfinished
        held.let_go()
        assert (await late)["assistant_message"]["id"] == begun
        await events(here, chat, begun)
        assert (await get_message(here, chat, begun))["state"] == "complete"


async def test_nor_one_to_a_question_that_was_asked_since(processes: Processes) -> None:
    async with two_gateways(processes) as (held, here, there):
        chat = await new_chat(here)
        parent = (await answer(here, chat, "hello"))["id"]
        few = {"max_new_tokens": 3}
        question: Any = {"parent": parent, "key": "mine", "sampling_parameters": few}
        held.hold(b"plan_answer")
        late = asyncio.create_task(ask(there, chat, LONG, **question))
        await reached(held)
        first = (await answer(here, chat, LONG, **question))["id"]
        more: Any = {"parent": first, "sampling_parameters": {"max_new_tokens": 200}}
        since = (await ask(here, chat, LONG, **more))["assistant_message"]["id"]
        await get_message(here, chat, since)  # the store has it, and names it as unfinished
        held.let_go()
        assert (await late)["assistant_message"]["id"] == first
        await events(here, chat, since)
        assert (await get_message(here, chat, since))["state"] == "complete"


async def test_nor_does_one_in_a_chat_by_its_number(processes: Processes) -> None:
    async with two_gateways(processes) as (held, here, there):
        body: Any = {"chat_id": 7, "prompt": "hello"}
        ended = await here.post("/generate", json=body)
        assert '"done":true' in ended.text
        body |= {"prompt": LONG, "params": {"max_tokens": 200}}
        held.hold(b"plan_answer")
        late = asyncio.create_task(there.post("/generate", json=body, headers=KEY))
        await reached(held)
        first = asyncio.create_task(here.post("/generate", json=body, headers=KEY))
        async with asyncio.timeout(60):
            while LONG.strip() not in (await here.post("/fetch", json={"chat_id": 7})).text:
                await asyncio.sleep(0.02)  # until the store has it
        held.let_go()
        for response in (await first, await late):
            assert '"done":true,"total_tokens":200' in response.text


async def run_on(http: httpx.AsyncClient, assistant: str, thread: str, **headers: str) -> Any:
    body = {"assistant_id": assistant, "additional_messages": [{"content": "said once"}]}
    return ok(await http.post(f"/v1/threads/{thread}/runs", json=body, headers=headers))


async def test_what_a_run_adds_to_its_thread_is_said_once_and_shown_once(
    processes: Processes,
) -> None:
    async with two_gateways(processes) as (held, here, there):
        assistant = ok(await here.post("/v1/assistants", json={"model": "echo"}))["id"]
        thread, other = [ok(await here.post("/v1/threads", json={}))["id"] for _ in range(2)]
        held.hold(b'"run_begun"')
        late = asyncio.create_task(run_on(there, assistant, thread, **KEY))
        await reached(held)  # what it adds is in the thread, and no run is begun
        first = await run_on(here, assistant, thread, **KEY)
        alone = await run_on(here, assistant, other)
        runs = [
            ok(await here.get(f"/v1/runs/{run['id']}", params={"wait": 20}))
            for run in (first, alone)
        ]
        held.let_go()
        assert (await late)["id"] == first["id"]
        assert runs[0]["usage"] == runs[1]["usage"]
        said = ok(await here.get(f"/v1/threads/{thread}/messages"))["data"]
        assert [(each["role"], each["content"]) for each in said] == [
            ("user", "said once"),
            ("assistant", "said once"),
        ]
