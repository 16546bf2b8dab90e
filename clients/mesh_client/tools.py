"""Serves tools: a process that connects to the broker and does what models call.

    service = ToolService.from_env()

    @service.tool
    def clock() -> str:
        return datetime.now().isoformat()

    service.run()

The one part of this client that speaks to the broker and not to a gateway. Any number of processes
may serve the same tool; they share its calls. A call may come twice if its first answer was lost.
"""

import asyncio
import inspect
import logging
import os
import ssl
from base64 import urlsafe_b64decode
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import msgspec
import nats
from nats.aio.client import Client
from nats.aio.msg import Msg

from mesh.protocol import subjects
from mesh.protocol.codec import decode, encode
from mesh.protocol.tools import CallTool, ToolAnswer

F = TypeVar("F", bound=Callable[..., Any])
log = logging.getLogger(__name__)

GROUP = "services"
"""The queue group in which those who serve the same tool share its calls."""

INBOXES = "_INBOX_"
"""How the addresses begin to which answers go; the broker would let us answer anywhere."""

WRITTEN_OUT = "cert:"
"""How a certificate begins that `mesh join` has written out: DER in base64url."""


class ToolService:
    """Tools by name. server, user, password, ca: as the line of `mesh join NAME --tools` says."""

    def __init__(self, server: str, user: str, password: str, ca: str = "") -> None:
        self._server, self._user, self._password, self._ca = server, user, password, ca
        self._tools: dict[str, Callable[..., Any]] = {}
        self._calls: set[asyncio.Task[None]] = set()

    @classmethod
    def from_env(cls, env: Mapping[str, str] | None = None) -> "ToolService":
        """By MESH_NATS, MESH_TOOL_USER, MESH_TOOL_PASSWORD and MESH_NATS_CA.

        Raises KeyError for what is missing.
        """
        env = os.environ if env is None else env
        server = env.get("MESH_NATS") or "nats://127.0.0.1:4222"
        password = env["MESH_TOOL_PASSWORD"]
        return cls(server, env["MESH_TOOL_USER"], password, env.get("MESH_NATS_CA", ""))

    def tool(self, function: F) -> F:
        """Serve a function under its name; a decorator. It may be a coroutine function.

        It gets the call's arguments by name; what it returns is shown to the model, as JSON if it
        is no string. What it raises is shown as well: the model may know better.
        """
        self._tools[function.__name__] = function
        return function

    def run(self) -> None:
        """Serve until interrupted."""
        asyncio.run(self.serve())

    async def serve(self, ready: Callable[[], None] = lambda: None) -> None:
        """Serve until cancelled, however often the broker goes away; `ready` is called once."""
        client = await nats.connect(
            self._server,
            user=self._user,
            password=self._password,
            name=self._user,
            max_reconnect_attempts=-1,
            ping_interval=2,
            tls=_tls(self._server, self._ca),
        )
        try:
            for name in self._tools:
                await client.subscribe(subjects.tool(name), queue=GROUP, cb=self._heard(client))
            await client.flush()
            ready()
            await asyncio.Event().wait()
        finally:
            await client.close()

    def _heard(self, client: Client) -> Callable[[Msg], Any]:
        async def heard(msg: Msg) -> None:
            call = asyncio.create_task(self._answer(client, msg))
            self._calls.add(call)
            call.add_done_callback(self._calls.discard)

        return heard

    async def _answer(self, client: Client, msg: Msg) -> None:
        if msg.reply.startswith(INBOXES):
            answer = encode(await self._done(msg.data))
            if len(answer) > client.max_payload:
                answer = encode(ToolAnswer(output=TOO_LARGE, failed=True))
            await client.publish(msg.reply, answer)

    async def _done(self, data: bytes) -> ToolAnswer:
        try:
            asked = decode(data, CallTool)
            arguments: dict[str, Any] = msgspec.json.decode(asked.arguments, type=dict[str, Any])
            function = self._tools[asked.name]
            if inspect.iscoroutinefunction(function):
                found = await function(**arguments)
            else:
                found = await asyncio.to_thread(function, **arguments)
            output = found if isinstance(found, str) else msgspec.json.encode(found).decode()
        except Exception as error:
            log.exception("A call failed")
            return ToolAnswer(output=f"ERROR: {error}", failed=True)
        return ToolAnswer(output=output)


TOO_LARGE = "ERROR: the outcome is larger than a message can be; let the function return less."


def _tls(server: str, ca: str) -> ssl.SSLContext | None:
    """How to trust the broker: by the one certificate that was named, or as the system does."""
    if not ca:
        return ssl.create_default_context() if server.startswith("tls://") else None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if ca.startswith(WRITTEN_OUT):
        text = ca.removeprefix(WRITTEN_OUT)
        context.load_verify_locations(cadata=urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    else:
        context.load_verify_locations(cafile=ca)
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.check_hostname = context.cert_store_stats()["x509_ca"] > 0
    return context
