"""A small OpenAI-compatible server on loopback, for what a worker does with an upstream.

It answers by the echo engine's rule, one word a chunk, and can be told to misbehave.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from itertools import islice
from typing import Any

from mesh.protocol.request import Message
from mesh.worker.engines.echo import say

KEY = "the-key"


class Upstream:
    """status: of every reply, and headers of it; busy: how many of the next it answers with that,
    all if None; cut_after, garbage_after: chunks before it hangs up, or raves.

    unknown: parameters that it refuses.

    deltas: what it says instead, chunk by chunk, if anything; logprobs: with each of them.

    usage: what it says of tokens behind `deltas`; running: with every one of them, too.

    requests: the bodies received; open: streams being answered, most: at once so far; pause:
    seconds between chunks.
    """

    def __init__(self) -> None:
        self.status = 200
        self.headers = ""
        self.busy: int | None = None
        self.unknown: set[str] = set()
        self.error: Any = {"error": {"message": f"no, {KEY} is wrong"}}
        self.cut_after: int | None = None
        self.garbage_after: int | None = None
        self.garbage = '{"choices": "what"}'
        self.finish: str | None = None
        self.pause = 0.0
        self.deltas: list[dict[str, Any]] = []
        self.logprobs: Any = None
        self.usage: dict[str, Any] | None = None
        self.running = False
        self.requests: list[dict[str, Any]] = []
        self.open = 0
        self.most = 0
        self.changed = asyncio.Condition()
        self.url = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one connection's requests until it ends."""
        try:
            while head := await _head(reader):
                body = json.loads(await reader.readexactly(int(head["content-length"])))
                self.requests.append(body | {"authorization": head.get("authorization")})
                if not await self._answer(body, reader, writer):
                    return
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def _answer(
        self, body: dict[str, Any], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        """Whether the connection can go on."""
        status = self.status if self.unknown.isdisjoint(body) else 400
        if self.busy is not None:
            status, self.busy = (status, self.busy - 1) if self.busy else (200, 0)
        if status != 200:
            data = json.dumps(self.error).encode()
            head = _status(status) + self.headers.encode()
            writer.write(head + b"Content-Length: %d\r\n\r\n" % len(data) + data)
            return True
        writer.write(_status(200) + b"Transfer-Encoding: chunked\r\n\r\n")
        await self._count(1)
        try:
            return await self._stream(body, reader, writer)
        finally:
            await self._count(-1)

    async def _stream(
        self, body: dict[str, Any], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        for number, data in enumerate(self._events(body)):
            if number == self.cut_after:
                return False
            if number == self.garbage_after:
                data = self.garbage
            event = f": comment\r\n\r\ndata: {data}\n\n".encode()
            writer.write(b"%x\r\n" % len(event) + event + b"\r\n")
            await writer.drain()
            await asyncio.sleep(self.pause)
            if reader.at_eof():
                return False
        writer.write(b"0\r\n\r\n")
        return True

    def _events(self, body: dict[str, Any]) -> Iterator[str]:
        if self.deltas:
            for delta in self.deltas:
                chunk = _chunk(delta, None, self.logprobs)
                told = json.dumps({"usage": self.usage}) if self.running else ""
                yield f"{chunk[:-1]}, {told[1:]}" if told else chunk
            yield _chunk({}, self.finish or "stop")
            if self.usage is not None:
                yield json.dumps({"choices": [], "usage": self.usage})
            yield "[DONE]"
            return
        last = Message(role="user", content=body["messages"][-1]["content"])
        most = body["max_completion_tokens" if "max_tokens" in self.unknown else "max_tokens"]
        words = list(islice(say((last,)), most + 1))
        said = words[:most]
        yield _chunk({"role": "assistant", "content": ""})
        for word in said:
            yield _chunk({"content": word})
        yield _chunk({}, self.finish or ("length" if len(words) > len(said) else "stop"))
        usage = {"prompt_tokens": 7, "completion_tokens": len(said), "total_tokens": 0}
        yield json.dumps({"choices": [], "usage": usage})
        yield "[DONE]"

    async def _count(self, by: int) -> None:
        async with self.changed:
            self.open += by
            self.most = max(self.most, self.open)
            self.changed.notify_all()

    async def until_idle(self) -> None:
        """Wait until no stream is being answered."""
        async with self.changed:
            await self.changed.wait_for(lambda: self.open == 0)


@asynccontextmanager
async def running() -> AsyncIterator[Upstream]:
    upstream = Upstream()
    server = await asyncio.start_server(upstream.serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    upstream.url = f"http://127.0.0.1:{port}/v1"
    async with server:
        yield upstream
        server.close()
        await upstream.until_idle()


async def _head(reader: asyncio.StreamReader) -> dict[str, str]:
    """The request's headers in lower case; empty when the connection has ended."""
    try:
        lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")[1:-2]
    except asyncio.IncompleteReadError:
        return {}
    pairs = (line.partition(": ") for line in lines)
    return {name.lower(): value for name, _, value in pairs}


def _status(code: int) -> bytes:
    return f"HTTP/1.1 {code} -\r\nContent-Type: text/event-stream\r\n".encode()


def _chunk(delta: dict[str, Any], finish: str | None = None, logprobs: Any = None) -> str:
    choice = {"index": 0, "delta": delta, "logprobs": logprobs, "finish_reason": finish}
    return json.dumps({"object": "chat.completion.chunk", "choices": [choice]})
