"""`mesh config show`: which settings hold, and why."""

from io import StringIO
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner
from rich.console import Console

from mesh.cli.config import Config, Setting, command, render
from mesh.cli.main import mesh
from mesh.settings import GatewaySettings


@pytest.fixture
def runner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CliRunner:
    """A machine with settings in every place, each of which another one beats."""
    (tmp_path / "config" / "mesh").mkdir(parents=True)
    (tmp_path / "config" / "mesh" / "mesh.toml").write_text("port = 1\nnats_port = 2\nslots = 3\n")
    (tmp_path / "mesh.toml").write_text("port = 4\nnats_port = 5\n")
    monkeypatch.chdir(tmp_path)
    return CliRunner(env={
        "XDG_CONFIG_HOME": str(tmp_path / "config"),
        "MESH_PORT": "6",
        "MESH_TOKEN_SECRET": "a-secret-that-is-long-enough-for-anyone",
    })  # fmt: skip


def shown(runner: CliRunner) -> Config:
    result = runner.invoke(command, ["show", "--json"])
    assert result.exit_code == 0, result.output
    return msgspec.json.decode(result.output, type=Config)


def test_each_value_says_where_it_comes_from(runner: CliRunner, tmp_path: Path) -> None:
    found = {setting.name: setting for setting in shown(runner).settings}
    where = {name: (found[name].value, found[name].origin) for name in ("port", "nats_port")}
    assert where == {"port": ("6", "MESH_PORT"), "nats_port": (5, "mesh.toml")}
    own = str(tmp_path / "config" / "mesh" / "mesh.toml")
    assert (found["slots"].value, found["slots"].origin) == (3, own)
    assert found["keep_alive"].origin == "default" and found["keep_alive"].meaning
    assert set(GatewaySettings.__struct_fields__) <= set(found)


def test_a_secret_is_never_told(runner: CliRunner) -> None:
    for words in (["show", "--json"], ["show", "--origin"]):
        output = runner.invoke(command, words).output
        assert "a-secret" not in output and "token_secret" in output
    found = {setting.name: setting.value for setting in shown(runner).settings}
    assert (found["token_secret"], found["gateway_password"]) == ("set", "")


def test_an_address_is_told_without_its_name_and_password(
    runner: CliRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("NATS", "OTLP", "UPSTREAM", "PUBLIC_URL"):
        monkeypatch.setenv(f"MESH_{name}", "http://someone:hidden@192.0.2.7:4318")
    for words in (["show", "--json"], ["show"]):
        assert "hidden" not in runner.invoke(command, words).output
    found = {setting.name: setting.value for setting in shown(runner).settings}
    for name in ("nats", "otlp", "upstream", "public_url"):
        assert found[name] == "http://***@192.0.2.7:4318"


def test_the_table_has_the_origins_where_they_are_asked_for(runner: CliRunner) -> None:
    without = runner.invoke(command, ["show", "--changed"]).output
    with_origin = runner.invoke(command, ["show", "--changed", "--origin"]).output
    assert "ORIGIN" in with_origin and "ORIGIN" not in without
    assert "keep_alive" not in without and "nats_port" in without


def test_a_value_is_told_whole_in_a_narrow_terminal(tmp_path: Path) -> None:
    folder = f"/{'a-folder/' * 8}"
    setting = Setting(name="data_dir", value=folder, origin="mesh.toml", meaning="")
    drawn = render(Config(settings=[setting], files=[], wrong=[]), origin=True)
    out = StringIO()
    Console(file=out, width=80).print(drawn)
    head, *rows = out.getvalue().split("\n\n")[0].splitlines()[1:]
    start, end = head.index("VALUE"), head.index("ORIGIN")
    assert "".join(row[start:end].strip() for row in rows) == folder


def test_a_name_in_a_file_that_is_no_setting_is_said_beside_those_that_are(
    runner: CliRunner, tmp_path: Path
) -> None:
    (tmp_path / "mesh.toml").write_text("prot = 8080\nnats_port = 5\n")
    result = runner.invoke(mesh, ["config", "show"])
    assert result.exit_code == 1
    assert "Write port instead of 'prot' in mesh.toml" in result.output
    assert "nats_port" in result.output


def test_a_value_that_a_service_would_refuse_is_said(runner: CliRunner) -> None:
    result = runner.invoke(mesh, ["config", "show"], env={"MESH_PORT": "many"})
    assert result.exit_code == 1 and "MESH_PORT" in result.output and "many" in result.output
