"""Ports that are taken, found out before anything starts."""

import socket

import pytest

from mesh.cli.ports import check_port, free_port
from mesh.protocol.errors import MeshError


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
