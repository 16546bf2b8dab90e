"""Settings that cannot be right are refused in a sentence that names where to change them."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from mesh.protocol.errors import MeshError
from mesh.settings import (
    GatewaySettings,
    OperatorSettings,
    Settings,
    StoreSettings,
    UpSettings,
    WorkerSettings,
    env_name,
    read,
)

KINDS = (GatewaySettings, StoreSettings, WorkerSettings, OperatorSettings, UpSettings)
NUMBERS = [
    (kind, field.name)
    for kind in KINDS
    for field in msgspec.structs.fields(kind)
    if isinstance(field.default, float)
]


def read_env(kind: type[Any], tmp_path: Path, **env: str) -> Any:
    return read(kind, env=env, files=(tmp_path / "none.toml",))


@pytest.mark.parametrize("value", ["inf", "-inf", "nan", "1e999", "1e300"])
@pytest.mark.parametrize(
    "kind, name", NUMBERS, ids=[f"{kind.__name__}.{name}" for kind, name in NUMBERS]
)
def test_no_number_is_infinite_or_none(
    kind: type[Any], name: str, value: str, tmp_path: Path
) -> None:
    with pytest.raises(MeshError, match=f"^Set {env_name(name)} to a number "):
        read_env(kind, tmp_path, **{env_name(name): value})


def test_a_file_holds_no_infinity_either(tmp_path: Path) -> None:
    file = tmp_path / "mesh.toml"
    file.write_text("request_timeout = inf\n")
    with pytest.raises(MeshError, match=r"^Set request_timeout in .*mesh\.toml to a number above"):
        read(GatewaySettings, env={}, files=(file,))


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("prot = 8080", "Write port instead of 'prot' in "),
        ("MESH_PORT = 8080", "Write port instead of 'MESH_PORT' in "),
        ("nats-port = 8080", "Write nats_port instead of 'nats-port' in "),
        ("request_timout = 5", "Write request_timeout instead of 'request_timout' in "),
        ("colour_of_the_sky = 'blue'", "Take 'colour_of_the_sky' out of "),
        ("[gateway]\nport = 8080", "Write what stands under 'gateway' in "),
        ("gateway.port = 8080", "Write what stands under 'gateway' in "),
    ],
)
@pytest.mark.parametrize("kind", KINDS)
def test_what_is_no_setting_of_anybody_is_refused(
    kind: type[Any], line: str, said: str, tmp_path: Path
) -> None:
    file = tmp_path / "mesh.toml"
    file.write_text(f"log_level = 'info'\n{line}\n")
    with pytest.raises(MeshError) as refused:
        read(kind, env={}, files=(tmp_path / "none.toml", file))
    assert refused.value.detail.startswith(f"{said}{file}")
    assert "8080" not in refused.value.detail.replace("such as port = 8080", ""), "maybe a secret"


@pytest.mark.parametrize("kind", [*KINDS, Settings])
def test_one_file_serves_all_services(kind: type[Any], tmp_path: Path) -> None:
    everything = {
        field.name: field.default for kind in KINDS for field in msgspec.structs.fields(kind)
    }
    file = tmp_path / "mesh.toml"
    lines = [f"{name} = {value!r}" for name, value in everything.items()]
    file.write_text("\n".join(lines))
    assert read(kind, env={}, files=(file,)) == kind()


def test_a_variable_that_is_no_setting_is_left_alone(tmp_path: Path) -> None:
    assert read_env(GatewaySettings, tmp_path, MESH_PROT="8080") == GatewaySettings()


def test_a_word_where_a_number_belongs_is_answered_in_plain_words(tmp_path: Path) -> None:
    with pytest.raises(MeshError) as refused:
        read_env(GatewaySettings, tmp_path, MESH_PORT="abc")
    assert refused.value.detail == "Set MESH_PORT to a whole number from 0 to 65535."
    with pytest.raises(MeshError, match="^Set --port to a whole number from 0 to 65535.$"):
        read(GatewaySettings, {"port": "70000"}, env={}, files=(tmp_path / "none.toml",))


def test_an_empty_variable_counts_as_unset(tmp_path: Path) -> None:
    found = read_env(GatewaySettings, tmp_path, MESH_PORT="", MESH_HOST="", MESH_LOG_LEVEL="")
    assert found == GatewaySettings()


def test_empty_text_is_a_value_where_the_default_is_empty(tmp_path: Path) -> None:
    file = tmp_path / "mesh.toml"
    file.write_text('model = "tiny"\nport = 9\n')
    found = read(UpSettings, env={"MESH_MODEL": "", "MESH_PORT": ""}, files=(file,))
    assert (found.model, found.port) == ("", 9)


@pytest.mark.parametrize("nats", [":::", "nats://h:99999", "h:port", "nats://[::1", "a:1,nats://"])
def test_what_is_no_address_of_a_broker_is_said_in_a_sentence(nats: str) -> None:
    with pytest.raises(MeshError, match="^Set MESH_NATS to"):
        _ = OperatorSettings(nats=nats).servers


def test_brokers_are_named_with_or_without_a_scheme() -> None:
    named = "nats://a:4222, b, tls://[::1]:4223"
    assert OperatorSettings(nats=named).servers == ["nats://a:4222", "b", "tls://[::1]:4223"]


def test_what_clients_rely_on_unless_told_otherwise() -> None:
    usual = GatewaySettings()
    assert usual.access_ttl == 60 * 60
    assert usual.refresh_ttl == 7 * 24 * 60 * 60
    assert usual.ask_history == 3_000
    assert usual.client_quota == 500_000
    assert usual.keep_alive == 15
    assert not usual.limit_messages
