"""Who is refused while still sending a body hears why, and is not cut off."""

import asyncio
from collections.abc import Iterator

import pytest

from tests.whole_mesh import Mesh

MIB = b"x" * (1 << 20)
CHUNK = b"100000\r\n" + MIB + b"\r\n"

CHUNKED, MEASURED = "Transfer-Encoding: chunked", f"Content-Length: {4 << 20}"


def body(framing: str) -> Iterator[bytes]:
    """A long one in chunks, or the longest that is accepted: more than fits into a socket."""
    if framing == MEASURED:
        yield from [MIB] * 4
        return
    yield from [CHUNK] * 24
    yield b"0\r\n\r\n"


async def status(mesh: Mesh, path: str, host: str, framing: str) -> bytes:
    """The status line, for whoever sends to the end before listening."""
    reader, writer = await asyncio.open_connection("127.0.0.1", mesh.port)
    head = f"POST {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer x\r\n{framing}\r\n\r\n"
    writer.write(head.encode())
    try:
        async with asyncio.timeout(60):
            for piece in body(framing):
                writer.write(piece)
                await writer.drain()
            return await reader.readline()
    finally:
        writer.close()


@pytest.mark.parametrize("framing", [CHUNKED, MEASURED], ids=["chunked", "measured"])
@pytest.mark.parametrize(
    ("path", "host", "expected"),
    [
        ("/chats", "127.0.0.1", b"401"),
        ("/generate", "127.0.0.1", b"401"),
        ("/v1/chat/completions", "127.0.0.1", b"401"),
        ("/nowhere", "127.0.0.1", b"404"),
        ("/v1/models", "127.0.0.1", b"405"),
        ("/chats", "evil.example", b"403"),
    ],
)
async def test_who_is_refused_before_the_body_was_read_hears_the_status(
    mesh: Mesh, path: str, host: str, expected: bytes, framing: str
) -> None:
    assert (await status(mesh, path, host, framing)).startswith(b"HTTP/1.1 " + expected)


async def test_who_asks_before_sending_is_not_told_to_go_on(mesh: Mesh) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", mesh.port)
    head = "POST /chats HTTP/1.1\r\nHost: 127.0.0.1\r\nExpect: 100-continue\r\n"
    writer.write(f"{head}Authorization: Bearer x\r\n{MEASURED}\r\n\r\n".encode())
    async with asyncio.timeout(60):
        line = await reader.readline()
    writer.close()
    assert line.startswith(b"HTTP/1.1 401 ")
