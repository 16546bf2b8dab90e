"""Reads what a process writes into a pipe, as far as a test wants it."""

from typing import IO


def read_until(stream: IO[bytes] | None, end: bytes) -> bytes:
    """What a pipe gives up to these bytes."""
    assert stream is not None
    got = b""
    while not got.endswith(end):
        byte = stream.read(1)
        assert byte, f"the stream ended after {got!r}"
        got += byte
    return got
