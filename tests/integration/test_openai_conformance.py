"""Every answer of the OpenAI routes, held strictly to the types of OpenAI's own client."""

import json
from typing import Any

import httpx
import pytest
from openai.types import Completion, CreateEmbeddingResponse, Model
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import BaseModel, TypeAdapter

from tests.whole_mesh import ECHO, SLOW, Mesh

TOOL: dict[str, Any] = {
    "type": "function",
    "function": {"name": "f", "parameters": {"type": "object", "properties": {}}},
}
CHATS: list[dict[str, Any]] = [
    {},
    {"n": 2},
    {"logprobs": True, "top_logprobs": 3},
    {"max_tokens": 1},
    {"tools": [TOOL], "tool_choice": "required"},
    {"response_format": {"type": "json_object"}},
]
TEXTS: list[dict[str, Any]] = [{}, {"n": 2, "echo": True}, {"logprobs": 2}]
RESPONSES: list[dict[str, Any]] = [
    {},
    {"background": True},
    {"max_output_tokens": 1},
    {
        "tools": [{"type": "function", "strict": True, **TOOL["function"]}],
        "tool_choice": "required",
    },
]


def post(mesh: Mesh, path: str, body: dict[str, Any]) -> str:
    answer = httpx.post(f"{mesh.url}{path}", json={"model": ECHO} | body, timeout=60)
    assert answer.status_code == 200, answer.text
    return answer.text


def data_of(stream: str) -> list[str]:
    lines = [line for line in stream.splitlines() if line.startswith("data: ")]
    return [line.removeprefix("data: ") for line in lines if line != "data: [DONE]"]


def check(kind: type[BaseModel], text: str) -> None:
    kind.model_validate_json(text, strict=True)


@pytest.mark.parametrize("parameters", CHATS)
def test_chat_completions(mesh: Mesh, parameters: dict[str, Any]) -> None:
    body = {"messages": [{"role": "user", "content": "one two"}]} | parameters
    check(ChatCompletion, post(mesh, "/v1/chat/completions", body))
    usage = {"stream": True, "stream_options": {"include_usage": True}}
    chunks = data_of(post(mesh, "/v1/chat/completions", body | usage))
    assert chunks
    for chunk in chunks:
        check(ChatCompletionChunk, chunk)


@pytest.mark.parametrize("parameters", TEXTS)
def test_completions(mesh: Mesh, parameters: dict[str, Any]) -> None:
    check(Completion, post(mesh, "/v1/completions", {"prompt": "one two"} | parameters))


@pytest.mark.parametrize("parameters", RESPONSES)
def test_responses(mesh: Mesh, parameters: dict[str, Any]) -> None:
    body = {"input": "one two"} | parameters
    check(Response, post(mesh, "/v1/responses", body))
    events = data_of(post(mesh, "/v1/responses", body | {"stream": True}))
    adapter: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)
    for event in events:
        adapter.validate_json(event, strict=True)
    assert len(events) > 4


def test_models(mesh: Mesh) -> None:
    check(Model, httpx.get(f"{mesh.url}/v1/models/{ECHO}", timeout=60).text)


def test_embeddings(mesh: Mesh) -> None:
    check(CreateEmbeddingResponse, post(mesh, "/v1/embeddings", {"input": ["one", "two"]}))


def test_a_response_that_is_kept(mesh: Mesh) -> None:
    made = json.loads(post(mesh, "/v1/responses", {"input": "one two"}))["id"]
    check(Response, httpx.get(f"{mesh.url}/v1/responses/{made}", timeout=60).text)


def test_a_response_that_is_cancelled(mesh: Mesh) -> None:
    body = {"model": SLOW, "input": "/repeat word", "background": True}
    made = json.loads(post(mesh, "/v1/responses", body))["id"]
    answer = httpx.post(f"{mesh.url}/v1/responses/{made}/cancel", timeout=60)
    assert answer.status_code == 200
    check(Response, answer.text)
