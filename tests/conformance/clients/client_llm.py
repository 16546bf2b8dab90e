"""The command `llm`: answers, streams, conversations, schemas and tools of a model of one's own."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Protocol

import pytest

CLIENT = "llm"

MODELS = """\
- model_id: mesh
  model_name: scripted
  api_base: {url}
  api_key_name: mesh
  supports_schema: true
  supports_tools: true
"""


class Command(Protocol):
    def __call__(self, *words: str) -> str: ...


@pytest.fixture
def llm(tmp_path: Path, url: str) -> Command:
    """Runs the command with a folder of its own; returns what it printed."""
    (tmp_path / "extra-openai-models.yaml").write_text(MODELS.format(url=url))
    (tmp_path / "keys.json").write_text('{"mesh": "guest"}')

    def run(*words: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "llm", *words],
            env=os.environ | {"LLM_USER_PATH": str(tmp_path)},
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    return run


@pytest.mark.shows("chat: whole answers", "chat: streams")
def test_answers(llm: Command) -> None:
    assert llm("-m", "mesh", "one two three") == "one two three"
    assert llm("-c", "four", "--no-stream") == "four"


@pytest.mark.shows("chat: JSON Schema")
def test_a_schema(llm: Command) -> None:
    said = llm("-m", "mesh", "Ada is 36 years old", "--schema", "name, age int")
    assert json.loads(said) == {"name": "Ada", "age": 36}


@pytest.mark.shows("chat: tools")
def test_a_tool(llm: Command) -> None:
    function = (
        'def get_weather(city: str) -> str:\n    "The weather."\n    return f"Rain in {city}."'
    )
    said = llm("-m", "mesh", "What is the weather in Oslo?", "--functions", function)
    assert said.endswith("Rain in Oslo.")
