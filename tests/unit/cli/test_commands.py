"""The command line itself: quick, complete, and clear when something is missing."""

import importlib
import subprocess
import sys

import click
import msgspec
import pytest

from mesh.cli.main import COMMANDS, Commands, mesh
from mesh.cli.options import describe, is_secret
from mesh.protocol.errors import MeshError
from mesh.settings import GatewaySettings, StoreSettings, UpSettings, WorkerSettings

KINDS = (GatewaySettings, StoreSettings, UpSettings, WorkerSettings)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_there_and_has_a_help(name: str) -> None:
    command = mesh.get_command(click.Context(mesh), name)
    assert command is not None and command.name == name and command.help


def test_looking_at_the_help_imports_no_service() -> None:
    code = """
import sys
from mesh.cli.main import mesh
mesh.main(["--help"], standalone_mode=False)
heavy = {"litestar", "granian", "sqlalchemy", "nats", "xllamacpp", "torch", "prompt_toolkit"}
sys.exit(f"imported {heavy & set(sys.modules)}" if heavy & set(sys.modules) else 0)
"""
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)


def test_a_missing_package_is_named_with_the_extra_that_brings_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def absent(name: str) -> None:
        raise ModuleNotFoundError("No module named 'litestar'", name="litestar")

    monkeypatch.setattr(importlib, "import_module", absent)
    with pytest.raises(MeshError, match=r"litestar.*pip install 'inference-mesh\[gateway\]'"):
        mesh.get_command(click.Context(mesh), "gateway")


def test_a_package_that_is_missed_only_when_a_command_runs_is_named_as_well(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    @click.command("worker")
    def needing() -> None:
        raise ModuleNotFoundError("No module named 'jinja2'", name="jinja2")

    monkeypatch.setattr(Commands, "get_command", lambda *_: needing)
    with pytest.raises(MeshError, match=r"jinja2.*pip install 'inference-mesh\[worker\]'"):
        mesh.main(["worker"], standalone_mode=False)


def test_a_span_of_usage_is_given_in_one_way() -> None:
    with pytest.raises(click.UsageError, match="not both"):
        mesh.main(["usage", "--days", "7", "--since", "2026-11-01"], standalone_mode=False)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_setting_is_described_and_no_secret_is_an_option(
    kind: type[msgspec.Struct],
) -> None:
    for field in msgspec.structs.fields(kind):
        assert describe(field), field.name
    secrets = {field.name for field in msgspec.structs.fields(kind) if is_secret(field.name)}
    for name in ("up", "gateway", "store", "worker"):
        command = mesh.get_command(click.Context(mesh), name)
        assert command is not None
        assert not secrets & {parameter.name for parameter in command.params}
