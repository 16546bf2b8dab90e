"""Ports that are taken, found out before anything starts."""

import socket

import pytest

from mesh.cli.ports import check_free, check_port, free_port
from mesh.protocol.errors import MeshError
from mesh.settings import UpSettings


def test_a_free_port_is_fine() -> None:
    check_port("gateway", "127.0.0.1", free_port(), "host", "port")


def test_a_taken_port_names_the_setting_to_change() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(MeshError) as refused:
            check_port("broker", "127.0.0.1", port, "nats_host", "nats_port")
    for word in ("broker", str(port), "--nats-port", "MESH_NATS_PORT"):
        assert word in refused.value.detail


def test_an_address_that_is_not_ours_names_the_setting_to_change() -> None:
    with pytest.raises(MeshError, match="--host or MESH_HOST"):
        check_port("gateway", "192.0.2.1", free_port(), "host", "port")


def test_one_port_for_both_servers_names_both_settings() -> None:
    port = free_port()
    with pytest.raises(MeshError) as refused:
        check_free(UpSettings(port=port, nats_port=port))
    for word in (str(port), "--port", "MESH_PORT", "--nats-port", "MESH_NATS_PORT"):
        assert word in refused.value.detail
