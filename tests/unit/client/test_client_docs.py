"""docs/client.md: its examples run, and its tables say what the code does."""

import re
from pathlib import Path

import pytest

import mesh_client
from mesh_client import errors
from mesh_client.asking import Status
from mesh_client.calls import AnswerOptions
from mesh_client.repl.commands import COMMANDS, KEYS
from tests.unit.client.scripted_gateway import ScriptedGateway

PAGE = (Path(__file__).parents[3] / "docs" / "client.md").read_text()
EXAMPLES = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


@pytest.mark.parametrize("example", EXAMPLES, ids=range(len(EXAMPLES)))
def test_an_example_runs(
    example: str, gateway: ScriptedGateway, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MESH_URL", gateway.url)
    monkeypatch.setenv("MESH_USER", "ada")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    exec(compile(example, "docs/client.md", "exec"), {"__name__": "__main__"})


def test_every_public_name_is_mentioned() -> None:
    words = set(re.findall(r"\w+", PAGE))
    spoken_of_otherwise = {"Answer", "AnswerOptions", "AsyncAnswer", "AsyncChat", "Chat"}
    spoken_of_otherwise |= {"ChatInfo", "Event", "FileStore", "Message", "Model", "Worker"}
    assert set(mesh_client.__all__) - words - spoken_of_otherwise == set()


def test_every_option_of_an_answer_is_mentioned() -> None:
    assert [name for name in AnswerOptions.__annotations__ if f"`{name}`" not in PAGE] == []


def test_the_tree_of_errors_is_the_one_of_the_code() -> None:
    drawn = re.search(r"    MeshClientError\n(?:     .*\n)+", errors.__doc__ or "")
    assert drawn is not None
    page = re.search(r"```text\n(.*?)```", PAGE, re.DOTALL)
    assert page is not None
    assert [line.split() for line in page.group(1).splitlines()] == [
        line.replace("`", "").split() for line in drawn.group().splitlines()
    ]


def test_exit_statuses_commands_and_keys_are_those_of_the_code() -> None:
    assert [int(status) for status in re.findall(r"^\| (\d+) \|", PAGE, re.M)] == list(Status)
    assert " ".join(f"/{name}" for name in COMMANDS) in PAGE
    assert [key for key, _ in KEYS if f"| {key} |" not in PAGE] == []
