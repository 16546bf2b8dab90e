"""What has a format or calls a tool goes on exactly when its worker is killed in the middle."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest

from tests.fleet import Fleet, fleet

WORDS = " ".join(f"word{at}" for at in range(60))
ARGUMENTS = json.dumps({"city": WORDS})
TOOL: Any = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}


@pytest.fixture
def mesh(tmp_path: Path) -> Iterator[Fleet]:
    with fleet(tmp_path) as found:
        found.gateway()
        yield found


def start(mesh: Fleet, name: str) -> None:
    mesh.worker(name, "--model-name", "echo", "--echo-rate", "40")


def ask(client: openai.OpenAI, text: str, **parameters: Any) -> Any:
    messages: Any = [{"role": "user", "content": text}]
    return client.chat.completions.create(
        model="echo", messages=messages, stream=True, **parameters
    )


def test_a_call_goes_on_with_another_worker(mesh: Fleet, client: openai.OpenAI) -> None:
    start(mesh, "first")
    arguments, finish = "", None
    for chunk in ask(client, f"/call get_weather {ARGUMENTS}", tools=[TOOL]):
        for choice in chunk.choices:
            finish = choice.finish_reason
            for delta in choice.delta.tool_calls or []:
                before, arguments = arguments, arguments + (delta.function.arguments or "")
                if len(before) < 60 <= len(arguments):
                    start(mesh, "second")
                    mesh.kill("first")
    assert (arguments, finish) == (ARGUMENTS, "tool_calls")


def test_an_answer_of_a_format_goes_on_with_its_likely_tokens(
    mesh: Fleet, client: openai.OpenAI
) -> None:
    start(mesh, "first")
    said, tokens = "", []
    format = {"type": "json_object"}
    for chunk in ask(client, ARGUMENTS, response_format=format, logprobs=True):
        for choice in chunk.choices:
            before, said = said, said + (choice.delta.content or "")
            if choice.logprobs:
                tokens += [each.token for each in choice.logprobs.content]
            if len(before) < 60 <= len(said):
                start(mesh, "second")
                mesh.kill("first")
    assert said == ARGUMENTS == "".join(tokens)


def test_a_response_in_the_background_outlives_its_worker(
    mesh: Fleet, client: openai.OpenAI
) -> None:
    start(mesh, "first")
    made = client.responses.create(model="echo", input=WORDS, background=True)
    heard = []
    for event in client.responses.retrieve(made.id, stream=True):
        heard.append(event)
        if event.sequence_number == 15:
            start(mesh, "second")
            mesh.kill("first")
    assert [event.sequence_number for event in heard] == list(range(len(heard)))
    assert client.responses.retrieve(made.id).output_text == WORDS
