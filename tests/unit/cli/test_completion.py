"""What a shell is offered when somebody presses Tab after `mesh`."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.shell_completion import ShellComplete
from click.testing import CliRunner

from mesh.cli.main import COMMANDS, mesh
from tests.unit.client.scripted_gateway import ScriptedGateway


@pytest.fixture
def gateway(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ScriptedGateway]:
    with ScriptedGateway().running() as gateway:
        monkeypatch.setenv("MESH_URL", gateway.url)
        monkeypatch.setenv("MESH_USER", "ada")
        monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
        yield gateway


def offered(words: list[str], begun: str) -> list[str]:
    complete = ShellComplete(mesh, {}, "mesh", "_MESH_COMPLETE")
    return [item.value for item in complete.get_completions(words, begun)]


def test_commands_are_offered_by_their_beginning() -> None:
    assert offered([], "") == list(COMMANDS)
    assert offered([], "ch") == ["chat", "chats"]
    assert "--version" in offered([], "--")


def test_options_are_offered() -> None:
    assert "--json" in offered(["ps"], "--j")


@pytest.mark.parametrize(
    ("words", "begun", "found"),
    [
        (["chat", "-m"], "", ["echo"]),
        (["ask", "--model"], "x", []),
        (["chat", "--resume"], "chat-", ["chat-1", "chat-0"]),
        (["chats", "show"], "chat-1", ["chat-1"]),
        (["drain"], "", ["w1"]),
        (["switch"], "w", ["w1"]),
        (["unload"], "x", []),
    ],
)
def test_models_chats_and_workers_are_those_of_the_mesh(
    gateway: ScriptedGateway, words: list[str], begun: str, found: list[str]
) -> None:
    assert offered(words, begun) == found


def test_without_a_gateway_nothing_is_offered_and_nobody_waits(gateway: ScriptedGateway) -> None:
    gateway.stop()
    assert offered(["chat", "-m"], "") == []
    gateway.start()


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_gets_its_line(shell: str) -> None:
    result = CliRunner().invoke(mesh, ["completion", shell], prog_name="mesh")
    assert result.exit_code == 0 and "_MESH_COMPLETE" in result.output
    by_name = CliRunner(env={"SHELL": f"/bin/{shell}"}).invoke(mesh, ["completion"])
    assert by_name.output == result.output


def test_an_unknown_shell_is_asked_for() -> None:
    result = CliRunner(env={"SHELL": "/bin/tcsh"}).invoke(mesh, ["completion"])
    assert result.exit_code == 2 and "Name your shell" in result.output


def test_completing_a_command_imports_none() -> None:
    code = "import sys; from mesh.cli.main import main; main()"
    environment = os.environ | {
        "_MESH_COMPLETE": "bash_complete", "COMP_WORDS": "mesh p", "COMP_CWORD": "1",
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", code],
        env=environment, capture_output=True, text=True,
    )  # fmt: skip
    assert done.stdout == "plain,ps\n"
    assert not {"litestar", "rich", "httpx"} & set(done.stderr.replace("|", " ").split())


def commands(group: click.Group = mesh, before: str = "") -> Iterator[tuple[str, set[str]]]:
    """Every command by its words, and its options."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from commands(command, f"{before}{name} ")
        yield before + name, {name for parameter in command.params for name in parameter.opts}


def test_every_list_can_be_watched_and_read_by_programs() -> None:
    options = dict(commands())
    lists = {"ps", "chats", "models", "doctor", "usage", "config show"}
    lists |= {words for words in options if words.endswith(" list")}
    assert {"dlq list", "key list", "user list"} <= lists <= options.keys()
    assert [words for words in lists if not {"--json", "--watch"} <= options[words]] == []
