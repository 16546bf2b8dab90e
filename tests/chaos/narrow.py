"""Sockets that hold so little that who reads slowly is soon felt by who writes.

Linux gives a connection on one machine megabytes, at both of its ends: a whole answer disappears in
there, and no writer ever has to wait for its reader.
"""

import asyncio
import socket

HELD = 2 << 10
"""Bytes that a socket may hold, as it is asked for them; Linux takes twice as many.

With half of this, less than a segment's window, slow readers of a busy campaign were seen to get a
kilobyte and a half a second, which is no slow reader any more but one that nobody could serve.
"""

SEGMENT = 1448
"""Bytes of a segment at most: Linux gives a sender room for so many of them as are under way, and
those of a machine that speaks to itself would be of 64 KiB."""


async def connect(host: str, port: int) -> socket.socket:
    """A connection that takes little of what is sent to it, on both sides. Raises OSError."""
    found = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        found.setblocking(False)
        found.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, HELD)  # before windows are agreed on
        found.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, SEGMENT)
        await asyncio.get_running_loop().sock_connect(found, (host, port))
    except BaseException:
        found.close()
        raise
    return found


def listening() -> socket.socket:
    """A socket to listen at on this machine, of whose connections each sends as little at once."""
    found = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    found.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, HELD)
    found.bind(("127.0.0.1", 0))
    return found
