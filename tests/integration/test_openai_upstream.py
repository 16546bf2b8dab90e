"""A mesh as the upstream of another: the openai engine of the one asks the gateway of the other."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import openai
import pytest

from mesh.settings import WorkerSettings
from mesh.worker import app as worker
from mesh_client import Client, MemoryStore
from mesh_client.inference import get_inference
from tests.calling import CALL, CLOCK, WEATHER, Person, settled, told_outcome
from tests.integration.test_client_assistants import content, get_weather
from tests.integration.test_process import told_with_tools
from tests.whole_mesh import ECHO, Mesh

CLOUD = "cloud-model"
READY = 60.0


@pytest.fixture
async def front(mesh: Mesh, new_mesh: Callable[..., Mesh]) -> AsyncIterator[Mesh]:
    """A mesh whose only worker asks the mesh that all tests share."""
    made = new_mesh()
    made.start("store", "gateway")
    settings = WorkerSettings(
        engine="openai",
        model=ECHO,
        model_name=CLOUD,
        upstream=f"{mesh.url}/v1",
        upstream_key="guest",
        data_dir=str(made.broker.data_dir),
        nats=made.broker.url,
        grace=0.0,
    )
    stop = asyncio.Event()
    password = made.broker.credentials("cloud").password
    working = asyncio.create_task(worker.run(settings, "cloud", password, stop))
    try:
        async with made.anonymous() as http, asyncio.timeout(READY):
            while not (await http.get("/v1/health")).json()["workers"]:
                assert not working.done(), working
                await asyncio.sleep(0.05)
        yield made
    finally:
        stop.set()
        await asyncio.wait_for(working, READY)


@pytest.fixture
async def client(front: Mesh) -> AsyncIterator[openai.AsyncOpenAI]:
    url = f"{front.url}/v1"
    async with openai.AsyncOpenAI(base_url=url, api_key="guest", max_retries=0) as client:
        yield client


async def ask(client: openai.AsyncOpenAI, text: str, **more: Any) -> Any:
    messages: Any = [{"role": "user", "content": text}]
    return await client.chat.completions.create(model=CLOUD, messages=messages, **more)


async def test_its_card_has_the_abilities(client: openai.AsyncOpenAI) -> None:
    card: Any = await client.models.retrieve(CLOUD)
    assert {"grammar", "logprobs", "reason"} <= set(card.abilities)


async def test_whoever_reads_on_behind_a_call_is_told_that_it_was_one(front: Mesh) -> None:
    """All of the call is one piece, so there is none behind it."""
    body = {
        "model": CLOUD,
        "messages": [{"role": "user", "content": CALL}],
        "tools": [WEATHER],
        "stream": True,
    }

    async def told(http: httpx.AsyncClient, **headers: str) -> list[str]:
        headers = {"Authorization": "Bearer guest", "Idempotency-Key": "a call"} | headers
        answer = await http.post("/v1/chat/completions", json=body, headers=headers)
        return answer.raise_for_status().text.split("\n\n")

    async with front.anonymous() as http:
        whole = await told(http)
        (last,) = [event for event in whole if event.startswith("id: ")][-1:]
        number = last.partition("\n")[0].removeprefix("id: ")
        rest = await told(http, **{"Last-Event-ID": number})
    assert '"finish_reason":"tool_calls"' in rest[0]
    assert rest == whole[whole.index(last) + 1 :]


async def test_a_tool_is_called_and_its_outcome_answered(client: openai.AsyncOpenAI) -> None:
    choice = (await ask(client, CALL, tools=[WEATHER])).choices[0]
    assert (choice.finish_reason, choice.message.content) == ("tool_calls", None)
    (call,) = choice.message.tool_calls
    assert (call.function.name, call.function.arguments) == ("get_weather", '{"city": "Oslo"}')
    answer = await client.chat.completions.create(
        model=CLOUD,
        tools=[WEATHER],
        messages=told_outcome(choice.message, "It rains."),
    )
    assert answer.choices[0].message.content == "It rains."


async def test_calls_stream_their_names_first(client: openai.AsyncOpenAI) -> None:
    both = f"{CALL}\n/call clock {{}}"
    stream = await ask(client, both, tools=[WEATHER, CLOCK], stream=True)
    deltas = [call async for chunk in stream for call in chunk.choices[0].delta.tool_calls or []]
    names = [(delta.index, delta.function.name) for delta in deltas if delta.function.name]
    assert names == [(0, "get_weather"), (1, "clock")]
    arguments = ["".join(d.function.arguments for d in deltas if d.index == at) for at in (0, 1)]
    assert [json.loads(text) for text in arguments] == [{"city": "Oslo"}, {}]


async def test_a_call_can_be_demanded_and_forbidden(client: openai.AsyncOpenAI) -> None:
    named = {"type": "function", "function": {"name": "clock"}}
    choice = (await ask(client, "hello", tools=[WEATHER, CLOCK], tool_choice=named)).choices[0]
    assert [call.function.name for call in choice.message.tool_calls] == ["clock"]
    free = (await ask(client, CALL, tools=[WEATHER], tool_choice="none")).choices[0]
    assert free.message.content == CALL


async def test_an_answer_is_of_its_schema(client: openai.AsyncOpenAI) -> None:
    said = '{"name": "Ada", "age": 36}'
    made = await client.chat.completions.parse(
        model=CLOUD, messages=[{"role": "user", "content": said}], response_format=Person
    )
    assert made.choices[0].message.parsed == Person(name="Ada", age=36)
    format = {"type": "json_object"}
    found = (await ask(client, "x", response_format=format)).choices[0].message.content
    assert json.loads(found) == {}


async def test_thoughts_are_carried_beside_the_answer(client: openai.AsyncOpenAI) -> None:
    message = (await ask(client, "<think>\nOne and one.\n</think>\n\nTwo.")).choices[0].message
    assert (message.reasoning_content.strip(), message.content) == ("One and one.", "Two.")


async def test_the_likely_tokens_are_told(client: openai.AsyncOpenAI) -> None:
    choice = (await ask(client, "one two", logprobs=True, top_logprobs=2)).choices[0]
    tokens = choice.logprobs.content
    assert "".join(each.token for each in tokens) == "one two"
    assert all(each.logprob < 0 and len(each.top_logprobs) == 2 for each in tokens)


async def test_what_the_upstream_cannot_do_is_refused_early(client: openai.AsyncOpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        await client.completions.create(model=CLOUD, prompt="once")
    assert refused.value.code == "unsupported"


async def test_a_run_calls_tools_and_goes_on_with_what_comes_of_it(front: Mesh) -> None:
    async with await front.client("ada") as http:
        run = await begun(http)
        assert run["status"] == "requires_action"
        (call,) = run["required_action"]["submit_tool_outputs"]["tool_calls"]
        outputs = [{"tool_call_id": call["id"], "output": "It rains."}]
        url = f"/v1/runs/{run['id']}/submit_tool_outputs"
        assert (await http.post(url, json={"tool_outputs": outputs})).status_code == 200
        over = await settled(http, run["id"])
    assert (over["status"], over["content"]) == ("completed", "It rains.")


async def begun(http: httpx.AsyncClient) -> dict[str, Any]:
    body = {
        "model": CLOUD,
        "messages": [{"role": "user", "content": CALL}],
        "tools": [WEATHER],
    }
    response = await http.post("/v1/runs", json=body)
    assert response.status_code == 200, response.text
    return await settled(http, response.json()["id"])


async def test_the_cloud_answers_messages(front: Mesh) -> None:
    async with front.anonymous() as http:
        body = {"messages": [{"content": "one two"}], "inferenceType": "cloud"}
        told = (await http.post("/api/messages/process", json=body)).text
    assert '{"chunk":"one "}' in told and told.rstrip().endswith("data: [DONE]")


async def test_inference_of_the_cloud_calls_the_functions_that_are_given(front: Mesh) -> None:
    def ask() -> str:
        with Client(front.url, username="ada", store=MemoryStore()) as client:
            cloud = get_inference(client, "cloud", get_weather)
            assert cloud.model == CLOUD
            return content(list(cloud.ask(CALL)))

    assert await asyncio.to_thread(ask) == "It rains in Oslo for 1 days."


async def test_a_message_that_the_cloud_answers_may_call_functions(front: Mesh) -> None:
    async with await front.client("ada") as http:
        _, *chunks, done = await told_with_tools(http, inferenceType="cloud")
    assert "".join(json.loads(chunk)["chunk"] for chunk in chunks) == "It rains."
    assert done == "[DONE]"
