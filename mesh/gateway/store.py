"""Asks the store, by request-reply. The gateway never opens the database itself."""

from typing import TypeVar, cast

from msgspec import DecodeError

from mesh.bus.connection import Bus, NoResponders, Silence
from mesh.protocol import subjects
from mesh.protocol.chats import Asks
from mesh.protocol.codec import decode_reply
from mesh.protocol.errors import ErrorCode, MeshError
from mesh.protocol.queries import QUERIES, Query
from mesh.protocol.questions import Refused
from mesh.protocol.wire import Wire

R = TypeVar("R", bound=Wire)

PATIENCE = 5.0
"""Seconds to wait for an answer; the store itself waits up to two for its log."""

RETRY_AFTER = 2.0


class Store:
    """The store as the gateway sees it: a query goes out, its own type of reply comes back."""

    def __init__(self, bus: Bus, patience: float = PATIENCE) -> None:
        self.bus = bus
        self._patience = patience

    async def ask(self, query: Asks[R]) -> R:
        """The reply to a query.

        Raises MeshError: store_unavailable, or what the store refused with; Disconnected.
        """
        tag = str(query.__struct_config__.tag)
        try:
            answer = await self.bus.ask(subjects.store(tag), query, self._patience)
            reply = decode_reply(answer.data)
        except (NoResponders, Silence) as error:
            raise MeshError(ErrorCode.STORE_UNAVAILABLE, retry_after=RETRY_AFTER) from error
        except DecodeError as error:
            detail = "The store answered in a way this gateway does not know; upgrade the older."
            raise MeshError(ErrorCode.INTERNAL, detail) from error
        if isinstance(reply, Refused):
            late = RETRY_AFTER if reply.code is ErrorCode.STORE_UNAVAILABLE else None
            retry_after = reply.retry_after or late
            raise MeshError(reply.code, reply.detail, retry_after=retry_after, param=reply.param)
        if type(reply) is not QUERIES[cast("type[Query]", type(query))]:
            raise MeshError(ErrorCode.INTERNAL, f"The store answered {tag} with something else.")
        return cast(R, reply)
