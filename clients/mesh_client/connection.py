"""The two skins around the pure parts: one sends and follows over httpx, the other awaits it.

They are kept side by side so that a difference between them is seen. Decisions belong in
`exchange`, `following` and `retry`; here is only the I/O.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import aclosing, asynccontextmanager, contextmanager

import httpx

from mesh_client import calls, exchange
from mesh_client.config import timeouts, uses_proxy
from mesh_client.errors import Rejected, Unreachable
from mesh_client.events import Event
from mesh_client.following import Follower, GenerateReader, StreamBroken
from mesh_client.retry import Backoff, Retry
from mesh_client.run_events import RunEvent, RunReader

ENDED_EARLY = "the stream ended before the answer did"


class Connection:
    """Speaks with one gateway, blocking."""

    def __init__(self, url: str, auth: httpx.Auth, retry: Retry) -> None:
        self._url = url
        self._retry = retry
        self._reached = False
        self._http = httpx.Client(
            base_url=url, auth=auth, timeout=timeouts(5.0, 30.0), trust_env=uses_proxy(url)
        )

    def send(self, call: calls.Call[calls.T], *, signed: bool = True) -> calls.T:
        """Make a call and read its reply. Raises Rejected, Unreachable or BadReply."""
        patience = self._retry.call_patience if self._reached else 0.0
        backoff = Backoff(self._retry, patience, time.monotonic())
        while True:
            try:
                response = self._request(exchange.request(self._http, call), signed)
                return call.read(response.content)
            except httpx.TransportError as error:
                now = time.monotonic()
                time.sleep(exchange.delay_after(call, error, backoff, now, self._url))

    def follow(self, follower: Follower) -> Iterator[Event]:
        """Read an answer to its end, over as many connections as it takes."""
        backoff = Backoff(self._retry, self._retry.stream_patience, time.monotonic())
        while not follower.ended:
            try:
                for event in self._read(follower):
                    exchange.note(event, backoff, time.monotonic())
                    yield event
                lost: Exception = StreamBroken(ENDED_EARLY)
            except exchange.LOST as error:
                lost = error
            except Rejected as error:
                if not exchange.passes(error):
                    raise
                lost = error
            if not follower.ended:
                again = exchange.reconnecting(lost, backoff, time.monotonic(), self._url)
                yield again
                time.sleep(again.delay)

    def generate(self, call: calls.StreamCall) -> Iterator[Event]:
        """Read a stream that has one connection; leaving it early hangs up."""
        reader = GenerateReader()
        try:
            with self._stream(call) as response:
                exchange.is_stream(response)
                for chunk in response.iter_bytes():
                    yield from reader.feed(chunk)
                    if reader.ended:
                        return
            yield reader.cut(ENDED_EARLY)
        except httpx.ConnectError as error:
            raise Unreachable(self._url, exchange.reason(error)) from error
        except httpx.TransportError as error:
            yield reader.cut(exchange.reason(error))

    def follow_run(self, reader: RunReader) -> Iterator[RunEvent]:
        """Read a run to its end, over as many connections as it takes."""
        backoff = Backoff(self._retry, self._retry.stream_patience, time.monotonic())
        while not reader.ended:
            lost: Exception = StreamBroken(ENDED_EARLY)
            try:
                with self._stream(reader.call()) as response:
                    exchange.is_stream(response)
                    for chunk in response.iter_bytes():
                        backoff.heard(time.monotonic())
                        yield from reader.feed(chunk)
            except exchange.LOST as error:
                lost = error
            except Rejected as error:
                if not exchange.passes(error):
                    raise
                lost = error
            if not reader.ended:
                time.sleep(exchange.reconnecting(lost, backoff, time.monotonic(), self._url).delay)

    def close(self) -> None:
        """Close the connections that are kept open."""
        self._http.close()

    def _read(self, follower: Follower) -> Iterator[Event]:
        """The events of one connection."""
        with self._stream(follower.call()) as response:
            if exchange.is_stream(response):
                for chunk in response.iter_bytes():
                    yield from follower.feed(chunk)
                    if follower.ended:
                        return
                return
        message = calls.get_message(follower.chat_id, follower.message_id)
        yield from follower.settle(self.send(message))

    def _request(self, request: httpx.Request, signed: bool) -> httpx.Response:
        auth = httpx.USE_CLIENT_DEFAULT if signed else None
        response = self._http.send(request, auth=auth)
        self._reached = True
        if response.is_error:
            raise exchange.refused(response)
        return response

    @contextmanager
    def _stream(self, call: calls.StreamCall) -> Iterator[httpx.Response]:
        response = self._http.send(exchange.stream_request(self._http, call), stream=True)
        try:
            self._reached = True
            if response.is_error:
                response.read()
                raise exchange.refused(response)
            yield response
        finally:
            response.close()


class AsyncConnection:
    """Speaks with one gateway on the running event loop."""

    def __init__(self, url: str, auth: httpx.Auth, retry: Retry) -> None:
        self._url = url
        self._retry = retry
        self._reached = False
        self._http = httpx.AsyncClient(
            base_url=url, auth=auth, timeout=timeouts(5.0, 30.0), trust_env=uses_proxy(url)
        )

    async def send(self, call: calls.Call[calls.T], *, signed: bool = True) -> calls.T:
        """Make a call and read its reply. Raises Rejected, Unreachable or BadReply."""
        patience = self._retry.call_patience if self._reached else 0.0
        backoff = Backoff(self._retry, patience, time.monotonic())
        while True:
            try:
                response = await self._request(exchange.request(self._http, call), signed)
                return call.read(response.content)
            except httpx.TransportError as error:
                now = time.monotonic()
                await asyncio.sleep(exchange.delay_after(call, error, backoff, now, self._url))

    async def follow(self, follower: Follower) -> AsyncGenerator[Event, None]:
        """Read an answer to its end, over as many connections as it takes."""
        backoff = Backoff(self._retry, self._retry.stream_patience, time.monotonic())
        while not follower.ended:
            try:
                async with aclosing(self._read(follower)) as events:
                    async for event in events:
                        exchange.note(event, backoff, time.monotonic())
                        yield event
                lost: Exception = StreamBroken(ENDED_EARLY)
            except exchange.LOST as error:
                lost = error
            except Rejected as error:
                if not exchange.passes(error):
                    raise
                lost = error
            if not follower.ended:
                again = exchange.reconnecting(lost, backoff, time.monotonic(), self._url)
                yield again
                await asyncio.sleep(again.delay)

    async def generate(self, call: calls.StreamCall) -> AsyncGenerator[Event, None]:
        """Read a stream that has one connection; leaving it early hangs up."""
        reader = GenerateReader()
        try:
            async with self._stream(call) as response:
                exchange.is_stream(response)
                async for chunk in response.aiter_bytes():
                    for event in reader.feed(chunk):
                        yield event
                    if reader.ended:
                        return
            yield reader.cut(ENDED_EARLY)
        except httpx.ConnectError as error:
            raise Unreachable(self._url, exchange.reason(error)) from error
        except httpx.TransportError as error:
            yield reader.cut(exchange.reason(error))

    async def follow_run(self, reader: RunReader) -> AsyncGenerator[RunEvent, None]:
        """Read a run to its end, over as many connections as it takes."""
        backoff = Backoff(self._retry, self._retry.stream_patience, time.monotonic())
        while not reader.ended:
            lost: Exception = StreamBroken(ENDED_EARLY)
            try:
                async with self._stream(reader.call()) as response:
                    exchange.is_stream(response)
                    async for chunk in response.aiter_bytes():
                        backoff.heard(time.monotonic())
                        for event in reader.feed(chunk):
                            yield event
            except exchange.LOST as error:
                lost = error
            except Rejected as error:
                if not exchange.passes(error):
                    raise
                lost = error
            if not reader.ended:
                again = exchange.reconnecting(lost, backoff, time.monotonic(), self._url)
                await asyncio.sleep(again.delay)

    async def close(self) -> None:
        """Close the connections that are kept open."""
        await self._http.aclose()

    async def _read(self, follower: Follower) -> AsyncGenerator[Event, None]:
        """The events of one connection."""
        async with self._stream(follower.call()) as response:
            if exchange.is_stream(response):
                async for chunk in response.aiter_bytes():
                    for event in follower.feed(chunk):
                        yield event
                    if follower.ended:
                        return
                return
        message = calls.get_message(follower.chat_id, follower.message_id)
        for event in follower.settle(await self.send(message)):
            yield event

    async def _request(self, request: httpx.Request, signed: bool) -> httpx.Response:
        auth = httpx.USE_CLIENT_DEFAULT if signed else None
        response = await self._http.send(request, auth=auth)
        self._reached = True
        if response.is_error:
            raise exchange.refused(response)
        return response

    @asynccontextmanager
    async def _stream(self, call: calls.StreamCall) -> AsyncIterator[httpx.Response]:
        request = exchange.stream_request(self._http, call)
        response = await self._http.send(request, stream=True)
        try:
            self._reached = True
            if response.is_error:
                await response.aread()
                raise exchange.refused(response)
            yield response
        finally:
            await response.aclose()
