"""How a connection to the broker comes about and comes back: nats-py's client and its callbacks.

What is said over it is `connection.py`'s affair. Dialling goes on for ever, except where it cannot
succeed: a password that is refused, a certificate that is not the one to trust, an old broker.
"""

import asyncio
import logging
import ssl
from typing import Any, Protocol

from nats.aio.client import Client as NatsClient
from nats.aio.client import Srv
from nats.errors import Error as NatsError
from nats.errors import SlowConsumerError

from mesh.bus.transport import Transport
from mesh.bus.trust import distrusted
from mesh.protocol.errors import ErrorCode, MeshError

log = logging.getLogger(__name__)

MINIMUM_SERVER = (2, 12)
"""Older servers ignore the fence's wildcard (before 2.11) or lack batched reads, silently."""

REFUSALS = 10
"""Times in a row that the broker may refuse our password before we give up: it was taken away."""

TURNED_AWAY = 5
"""The same before we are ever let in. Not at the first: while it reads its users again, as whenever
a worker joins, it refuses all who are just coming."""

NOTICE = 2.0
"""Seconds of waiting for a broker after which we say so."""

INBOXES = "_INBOX_"
"""How the address of every answer begins; the asker's user name follows."""


class Client(NatsClient):
    """nats-py's client, with our transport and our reading of headers, three times as fast.

    Headers are lines `Name: value` in ASCII here; they are parsed for every message. A writer may
    put anything there, also where the broker's status stands, at which nats-py's reading of the
    connection may fail. What the broker adds to a stored message comes last, and counts.
    """

    def __init__(self) -> None:
        super().__init__()
        self._transport = Transport()
        self._left: Srv | None = None
        self._shunned = ""
        self._refusals = 0

    @property
    def may_leave(self) -> bool:
        """Whether there is a connection, and another address than its own is known."""
        return self.is_connected and len(self._server_pool) > 1

    async def leave(self) -> None:
        """Break the connection, and make it at another address than this one's, if that goes."""
        self._left = self._current_server
        self._shunned = self._server_info.get("server_id", "")
        self._refusals = len(self._server_pool) - 1
        await self.force_reconnect()

    async def _select_next_server(self) -> None:
        """nats-py's next in its pool, which it has shuffled; what was left comes last."""
        left, self._left = self._left, None
        if left in self._server_pool:
            self._server_pool.remove(left)
            self._server_pool.append(left)
        await super()._select_next_server()

    async def _process_info(self, info: dict[str, Any], initial_connection: bool = False) -> None:
        """Raises nats-py's error, upon which it dials the next address, where this one leads to the
        node that was left: nodes tell addresses of theirs besides those that we were given."""
        await super()._process_info(info, initial_connection)
        if not initial_connection:
            return
        shunned, self._refusals = self._refusals > 0, self._refusals - 1
        if shunned and info.get("server_id") == self._shunned:
            assert self._transport is not None
            self._transport.close()  # type: ignore[no-untyped-call]
            raise NatsError("the node that was left")
        self._refusals = 0

    async def _process_headers(self, headers: bytes | None) -> dict[str, str] | None:
        if not headers:
            return None
        first, _, lines = bytes(headers).partition(b"\r\n")
        status = first.removeprefix(b"NATS/1.0")[:4].strip().decode("ascii", "replace")
        found = {"Status": status} if status else {}
        return found | self._parse_header_lines(lines)

    @staticmethod
    def _parse_header_lines(raw: bytes) -> dict[str, str]:
        headers = {}
        for line in raw.decode("utf-8", "replace").split("\r\n"):
            name, colon, value = line.partition(":")
            if colon:
                headers[name] = value.strip()
        return headers


class Connection(Protocol):
    """Who is told how it stands with the broker. closed: set once it is over for good."""

    client: Client
    user: str
    closing: bool
    closed: asyncio.Event

    def disconnected(self) -> None:
        """The connection broke."""

    def reconnected(self) -> None:
        """It was made again."""

    def doubt(self) -> None:
        """Messages may have been missed."""


class Dialling:
    """The dialling of one connection, from the first try to its close."""

    def __init__(self, connection: Connection, servers: list[str]) -> None:
        self._connection = connection
        self._servers = servers
        self._refused: list[str] = []
        self._distrust: list[ssl.SSLError] = []

    async def run(self, password: str, name: str, tls: ssl.SSLContext | None) -> None:
        """Return once connected. Raises MeshError where that cannot be."""
        dialling = asyncio.create_task(self._connect(password, name, tls))
        telling = asyncio.get_running_loop().call_later(NOTICE, self._tell)
        dialling.add_done_callback(lambda _: telling.cancel())
        try:
            while not dialling.done():
                await asyncio.wait([dialling], timeout=0.2)
                self._check()
        finally:
            dialling.cancel()
        dialling.result()
        _check_version(self._connection.client)

    async def _connect(self, password: str, name: str, tls: ssl.SSLContext | None) -> None:
        user = self._connection.user
        await self._connection.client.connect(
            self._servers,
            user=user,
            password=password,
            name=name,
            error_cb=self._on_error,
            disconnected_cb=self._on_disconnect,
            reconnected_cb=self._on_reconnect,
            closed_cb=self._on_close,
            inbox_prefix=f"{INBOXES}{user}",
            max_reconnect_attempts=-1,
            reconnect_time_wait=0.2,  # type: ignore[arg-type]  # any number is slept for
            ping_interval=2,
            max_outstanding_pings=2,
            pending_size=1 << 20,
            tls=tls,
            tls_handshake_first=tls is not None,  # who stands in between cannot talk us out of it
        )

    def _tell(self) -> None:
        log.info("No broker answers at %s yet; waiting for one", ", ".join(self._servers))

    def _check(self) -> None:
        """Raise MeshError where trying again would not help."""
        if self._distrust and not _may_pass(self._distrust):
            raise distrusted(self._servers, self._distrust[-1])
        if len(self._refused) >= TURNED_AWAY:
            raise MeshError(
                ErrorCode.FORBIDDEN,
                f"The broker at {', '.join(self._servers)} refused the user "
                f"{self._connection.user!r}: its password is not the broker's. Was the data "
                "folder replaced, or the worker removed?",
            )

    # --- what nats-py calls, now and at each later try --------------------------------------------

    async def _on_error(self, error: Exception) -> None:
        text = str(error).lower()
        if isinstance(error, ssl.SSLError):
            self._distrust.append(error)
            if not _may_pass(self._distrust):
                log.warning("%s", distrusted(self._servers, error).detail)
        timed_out = "timeout" in text  # a busy broker gives up waiting; nothing was refused
        if ("authorization" in text or "authentication" in text) and not timed_out:
            self._refused.append(text)
            if len(self._refused) >= REFUSALS:
                self._connection.closed.set()
        if isinstance(error, SlowConsumerError):
            self._connection.doubt()
        level = logging.ERROR if "permissions violation" in text else logging.DEBUG
        log.log(level, "Broker: %s", error or type(error).__name__)

    async def _on_disconnect(self) -> None:
        if not self._connection.closing:
            log.warning("The connection to the broker broke; connecting again")
        self._connection.disconnected()

    async def _on_reconnect(self) -> None:
        log.info("Connected to the broker again")
        self._refused.clear()
        self._distrust.clear()
        self._connection.reconnected()

    async def _on_close(self) -> None:
        self._connection.closed.set()


def _may_pass(distrust: list[ssl.SSLError]) -> bool:
    """Whether TLS may yet be agreed on: a busy broker that is kept waiting speaks without it first.

    It is told nothing then. A wrong certificate does not become a right one.
    """
    wrong = any(isinstance(error, ssl.SSLCertVerificationError) for error in distrust)
    return not wrong and len(distrust) < REFUSALS


def _check_version(client: Client) -> None:
    found = client.connected_server_version
    if (found.major, found.minor) < MINIMUM_SERVER:
        wanted = ".".join(str(part) for part in MINIMUM_SERVER)
        raise MeshError(
            ErrorCode.UNSUPPORTED,
            f"The broker is nats-server {found.major}.{found.minor}.{found.patch}, but the mesh "
            f"needs {wanted} or newer: older ones ignore the log's fence without a word.",
        )
