"""Addresses that are none: one sentence that says where it stood and what to do, never a trace."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mesh_client.client import Client
from mesh_client.config import clean_url, surroundings
from mesh_client.errors import BadAddress

NONE = [
    "localhost:8000",
    "ftp://host",
    "http://",
    "http://[::1",
    "http://[::1]x",
    "http://host:abc",
    "http://host:99999",
    "http://host:0",
    "http://host:-1",
    "http://a\x01b",
    "http://two..dots",
    f"http://{'long' * 20}.example",
    "http://\udcff",
]


@pytest.mark.parametrize("url", NONE, ids=ascii)
def test_what_is_no_address_is_refused_before_anybody_connects(url: str) -> None:
    with pytest.raises(BadAddress, match="is no address of a gateway; one looks like"):
        clean_url(url)
    with pytest.raises(BadAddress):
        Client(url)


@pytest.mark.parametrize("url", ["http://host", "https://host:1/below", "http://[::1]:65535"])
def test_what_is_one_stays_as_it_is(url: str) -> None:
    assert clean_url(f"{url}/") == clean_url(url) == url


@pytest.mark.parametrize("port", ["abc", "0", "65536", "99999", "-1", "8000/x", "9" * 5000, "٣"])
def test_a_port_that_is_none_is_named(port: str) -> None:
    with pytest.raises(BadAddress, match="^MESH_PORT=.* set it to .* from 1 to 65535") as refused:
        surroundings(env={"MESH_PORT": port})
    assert refused.value.code == "bad_address"


def test_an_address_of_the_environment_is_named() -> None:
    with pytest.raises(BadAddress, match="^MESH_URL='http://host:abc' is no address; set it"):
        surroundings(env={"MESH_URL": "http://host:abc", "MESH_PORT": "8000"})


def test_the_environment_is_not_asked_where_somebody_says_it() -> None:
    env = {"MESH_URL": "http://[::1", "MESH_PORT": "abc"}
    assert surroundings("http://host/", env).url == "http://host"


@pytest.mark.parametrize(
    ("words", "variable", "value"),
    [
        (("ask", "hi"), "MESH_PORT", "abc"),
        (("ask", "hi"), "MESH_URL", "http://[::1"),
        (("ask", "hi"), "MESH_URL", "http://127.0.0.1:99999"),
        (("login", "ada"), "MESH_PORT", "abc"),
        (("logout",), "MESH_URL", "http://127.0.0.1:99999"),
        (("chats",), "MESH_URL", "http://127.0.0.1:99999"),
    ],
)
def test_a_command_says_so_in_a_line(
    words: tuple[str, ...], variable: str, value: str, tmp_path: Path
) -> None:
    own = {"HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path), variable: value}
    done = subprocess.run(
        [sys.executable, "-m", "mesh", *words],
        env={"PATH": os.environ["PATH"], "PYTHONUTF8": "1"} | own,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (done.returncode, done.stdout) == (2, "")
    [line] = done.stderr.splitlines()
    assert line.startswith(f"mesh: {variable}={value!r} is no ")
