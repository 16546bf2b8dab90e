"""The limit: a bare ASGI app on the gateway's HTTP server that writes the same events itself.

No routes, no middleware, no broker, no worker: what remains is the server's and the client's
share. `python -m benchmarks.bare PORT RATE`; RATE in tokens per second and stream, 0: no limit.
"""

import asyncio
import sys
from typing import Any

import msgspec
import uvloop
from granian.constants import HTTPModes, Interfaces
from granian.log import LogLevels
from granian.server.embed import Server
from msgspec import Struct

from mesh.cli.load.question import WORDS
from mesh.cli.serving import spare_the_collector
from mesh.gateway.openai.asked import Asked
from mesh.gateway.openai.completion import Book, Chunks
from mesh.protocol.events import Done
from mesh.protocol.request import Request, Sampling
from mesh.protocol.run import Run

HEADERS = [(b"content-type", b"text/event-stream")]
REQUEST = Request(
    rid="0" * 32, reply="", tenant="", model="echo", messages=(), created=0.0, deadline=0.0
)
ASKED = Asked(
    model="echo",
    prompts=((),),
    sampling=Sampling(),
    max_tokens=None,
    stream=True,
    include_usage=False,
)
END = Run(end=Done(uid="", finish="length"))


class Body(Struct):
    max_tokens: int


class Bare:
    """The ASGI application: as many events as `max_tokens` says, each in a write of its own."""

    def __init__(self, rate: float) -> None:
        self._pause = 1 / rate if rate else 0.0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        tokens = msgspec.json.decode((await receive())["body"], type=Body).max_tokens
        await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
        said = Run()
        events = Chunks(Book(ASKED, REQUEST), 0)
        clock = asyncio.get_running_loop().time
        due = clock()
        for index in range(tokens):
            said.texts.append(f"{WORDS[index % len(WORDS)]} ")
            event = events.tokens(said, index, index + 1)
            await send({"type": "http.response.body", "body": event, "more_body": True})
            due += self._pause
            await asyncio.sleep(max(0.0, due - clock()))
        await send({"type": "http.response.body", "body": events.end(END), "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def serve(port: int, rate: float) -> None:
    server = Server(
        Bare(rate),
        port=port,
        interface=Interfaces.ASGINL,
        http=HTTPModes.http1,
        websockets=False,
        backlog=2048,
        log_level=LogLevels.warning,
    )
    await server.serve()


if __name__ == "__main__":
    spare_the_collector()
    uvloop.run(serve(int(sys.argv[1]), float(sys.argv[2])))
