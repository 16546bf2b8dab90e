"""One connection to the broker: requests, publishing, listening, serving. Knows no JetStream.

nats-py is driven with care, each habit for a reason found the hard way: `flush` and `rtt` are
never called (one time-out leaves a cancelled future behind that later kills the read loop, and
the connection is deaf while it says it is connected); requests go through our own reply inbox;
callbacks only enqueue or resolve, because nats-py runs them one after the other.
"""

import asyncio
import itertools
import logging
import math
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Self

from msgspec import DecodeError, Struct
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.errors import Error as NatsError

from mesh.bus.dialling import INBOXES, Client, Dialling
from mesh.bus.seclusion import Seclusion
from mesh.bus.trace import HEADER, TRACE, asked_for, working_for
from mesh.bus.trust import tls_context
from mesh.protocol.codec import encode
from mesh.protocol.errors import ErrorCode, MeshError
from mesh.protocol.questions import Refused

log = logging.getLogger(__name__)

Handler = Callable[[str, bytes], Awaitable[Struct | None]]
Callback = Callable[[Msg], None]


class BusError(Exception):
    """What can go wrong between a process and its broker.

    BusError
    ├── Disconnected   no connection at the moment
    ├── Silence        nobody answered in time; whether it was done is unknown
    ├── NoResponders   the broker says that nobody listens there
    └── Oversized      the message is larger than the broker takes
    """


class Disconnected(BusError):
    """There is no connection to the broker at the moment; it is being made again."""


UNSAYABLE = "The answer is larger than a message can be (max_payload of the broker); ask for less."


class Silence(BusError):
    """No answer came in time. Whether the request was carried out is unknown."""


class NoResponders(BusError):
    """Nobody listens on this subject."""


class Oversized(BusError):
    """The message is larger than the broker takes; sending it again would not help."""


class Bus:
    """A connection. Make one with `connect`; it reconnects for ever by itself.

    `user` is the broker user; `inbox` the prefix of every reply address; `seclusion` is told what
    JetStream answers, and leaves a node of a cluster through which nothing is answered.
    """

    def __init__(self, client: Client, user: str) -> None:
        self.client = client
        self.user = user
        self.inbox = f"{INBOXES}{user}.{client.new_inbox().rpartition('.')[2]}"
        self.closed = asyncio.Event()
        self.closing = False
        self.seclusion = Seclusion(self._leave)
        self.returned = -math.inf
        """When the connection was made again after it broke, by `time.monotonic`; -inf: never."""
        self._waiting: dict[str, asyncio.Future[Msg]] = {}
        self._numbers = itertools.count(1)
        self._on_doubt: list[Callable[[], None]] = []
        self._on_break: list[Callable[[], None]] = []
        self._serving: set[asyncio.Task[None]] = set()

    @classmethod
    async def connect(
        cls, servers: list[str], user: str, password: str, name: str = "", ca: str = ""
    ) -> Self:
        """Connect, waiting as long as it takes for a broker to be there. ca: as in `tls_context`.

        Raises MeshError when the broker refuses the user, is older than MINIMUM_SERVER, or is not
        the one to trust.
        """
        bus = cls(Client(), user)
        dialling = Dialling(bus, servers)
        await dialling.run(password, name or user, tls_context(servers, ca))
        await bus._subscribe(f"{bus.inbox}.*", bus._resolve)
        return bus

    @property
    def connected(self) -> bool:
        return self.client.is_connected

    @property
    def max_payload(self) -> int:
        """Bytes of the largest message the broker takes."""
        return self.client.max_payload

    @property
    def server_version(self) -> str:
        """The broker's version, such as `2.12.1`."""
        found = self.client.connected_server_version
        return f"{found.major}.{found.minor}.{found.patch}"

    def on_doubt(self, callback: Callable[[], None]) -> None:
        """Call back whenever messages may have been missed: reconnects and slow consumption."""
        self._on_doubt.append(callback)

    def on_break(self, callback: Callable[[], None]) -> None:
        """Call back when the connection breaks. What `on_doubt` tells of comes later: what is heard
        in between, over the new connection, may lie behind what was missed."""
        self._on_break.append(callback)

    def forget(self, callback: Callable[[], None]) -> None:
        """Call back no more."""
        for listening in (self._on_doubt, self._on_break):
            if callback in listening:
                listening.remove(callback)

    async def publish(self, subject: str, message: Struct | bytes) -> None:
        """Send and forget; raises Disconnected rather than sending it at some later time."""
        await self.send(subject, message if isinstance(message, bytes) else encode(message))

    async def request(
        self,
        subject: str,
        payload: Struct | bytes,
        timeout: float = 2.0,
        headers: dict[str, str] | None = None,
    ) -> Msg:
        """Ask and return the one answer. Raises Disconnected, Silence or NoResponders."""
        number = str(next(self._numbers))
        future: asyncio.Future[Msg] = asyncio.get_running_loop().create_future()
        self._waiting[number] = future
        data = payload if isinstance(payload, bytes) else encode(payload)
        try:
            await self.send(subject, data, f"{self.inbox}.{number}", headers)
            async with asyncio.timeout(timeout):
                answer = await future
        except TimeoutError:
            raise Silence(f"nobody answered on {subject} within {timeout:g} s") from None
        finally:
            del self._waiting[number]
        if status(answer) == "503":
            raise NoResponders(f"nobody listens on {subject}")
        return answer

    async def ask(self, subject: str, question: Struct, timeout: float = 2.0) -> Msg:
        """As `request`, of another service, which learns for which HTTP request it is asked."""
        return await self.request(subject, question, timeout, asked_for())

    async def listen(self, subject: str, callback: Callback, queue: str = "") -> Subscription:
        """Hand every message on `subject` to a quick, synchronous callback."""
        return await self._subscribe(subject, callback, queue)

    async def listen_once(self, subject: str, callback: Callback) -> None:
        """Hand the next message on `subject` to the callback; the broker sends only that one.

        Raises Disconnected once the connection is closed for good.
        """
        try:
            subscription = await self._subscribe(subject, callback)
            await subscription.unsubscribe(limit=1)
        except NatsError as error:
            raise Disconnected(f"the connection to the broker is closed: {error}") from error

    async def serve(self, subject: str, handler: Handler, queue: str = "") -> Subscription:
        """Answer requests, each in a task of its own; an error becomes a `Refused`.

        Answers go to inboxes alone. The asker names where to, and the broker lets us answer there
        whatever our rights: another address could make us write in our name what we never would.
        """

        def start(msg: Msg) -> None:
            task = asyncio.create_task(self._answer(msg, handler))
            self._serving.add(task)
            task.add_done_callback(self._serving.discard)

        return await self._subscribe(subject, start, queue)

    async def close(self) -> None:
        """Leave the broker at once; what was not acknowledged may be lost."""
        self.closing = True
        for task in self._serving:
            task.cancel()
        await self.client.close()

    async def send(
        self, subject: str, data: bytes, reply: str = "", headers: dict[str, str] | None = None
    ) -> None:
        """Send raw bytes; raises Disconnected rather than sending them at some later time."""
        if not self.client.is_connected:
            raise Disconnected("the broker cannot be reached at the moment")
        size = len(data) + _in_front(headers)
        if size > self.max_payload:
            raise Oversized(f"{size} bytes on {subject}: more than the broker takes")
        try:
            await self.client.publish(subject, data, reply=reply, headers=headers)
        except NatsError as error:
            raise Disconnected(f"the broker cannot be reached: {error}") from error

    async def _subscribe(self, subject: str, callback: Callback, queue: str = "") -> Subscription:
        async def enqueue(msg: Msg) -> None:
            callback(msg)

        try:
            with working_for(""):  # what comes there is for whoever sent it
                return await self.client.subscribe(
                    subject, queue=queue, cb=enqueue, pending_bytes_limit=256 << 20
                )
        except NatsError as error:
            raise Disconnected(f"the connection to the broker is closed: {error}") from error

    async def _answer(self, msg: Msg, handler: Handler) -> None:
        TRACE.set((msg.headers or {}).get(HEADER, ""))
        try:
            answer = await handler(msg.subject, msg.data)
        except MeshError as error:
            answer = refused(error)
        except DecodeError as error:
            answer = Refused(code=ErrorCode.BAD_REQUEST, detail=f"Not understood: {error}")
        except BusError as error:
            log.warning("Answering %s: %s", msg.subject, error)
            return  # the broker is away or slow: whoever asked will ask again
        except Exception:
            log.exception("Answering %s failed", msg.subject)
            answer = Refused(code=ErrorCode.INTERNAL)
        if answer is not None and msg.reply.startswith(INBOXES):
            try:
                with suppress(Oversized):
                    return await self.publish(msg.reply, answer)
                await self.publish(msg.reply, refused(MeshError(ErrorCode.TOO_LARGE, UNSAYABLE)))
            except BusError as error:
                log.warning("The answer on %s could not be given: %s", msg.subject, error)

    def _resolve(self, msg: Msg) -> None:
        future = self._waiting.get(msg.subject.rpartition(".")[2])
        if future is not None and not future.done():
            future.set_result(msg)

    def _leave(self) -> bool:
        """Go to another node, if any is known; whether it is."""
        if not self.client.may_leave or self.closing:
            return False
        leaving = asyncio.create_task(self.client.leave())
        self._serving.add(leaving)
        leaving.add_done_callback(self._serving.discard)
        return True

    def disconnected(self) -> None:
        """The connection broke: nobody answers any more what was asked over it."""
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(Disconnected("the connection to the broker broke"))
        for callback in () if self.closing else self._on_break:
            callback()

    def reconnected(self) -> None:
        """The connection was made again: whatever was said meanwhile was not heard."""
        self.returned = time.monotonic()
        self.seclusion.elsewhere()
        self.doubt()

    def doubt(self) -> None:
        """Messages may have been missed: tell whoever asked to be told."""
        for callback in self._on_doubt:
            callback()


def refused(error: MeshError) -> Refused:
    """An error as an answer."""
    return Refused(
        code=error.code, detail=error.detail, retry_after=error.retry_after, param=error.param
    )


def _in_front(headers: dict[str, str] | None) -> int:
    """Bytes of a message's headers. The broker counts them, and breaks off whoever sends it more
    than it takes."""
    if not headers:
        return 0
    return len("NATS/1.0\r\n\r\n") + sum(len(f"{k}: {v}\r\n") for k, v in headers.items())


def status(msg: Msg) -> str:
    """The inline status of a broker's own message ("503", "404", "100"), or "".

    A stored message is none of the broker's own, whatever its writer has put into its headers.
    """
    headers = msg.headers or {}
    return "" if "Nats-Sequence" in headers else headers.get("Status", "")
