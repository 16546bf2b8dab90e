"""Questions to the store by the operator at the terminal, over the broker."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from mesh.bus.connection import BusError
from mesh.cli.fleet import connected
from mesh.cli.local import settings_of
from mesh.protocol.errors import ErrorCode, MeshError
from mesh.settings import OperatorSettings

if TYPE_CHECKING:
    from mesh.gateway.store import Store

T = TypeVar("T")


@asynccontextmanager
async def store(settings: OperatorSettings) -> AsyncIterator["Store"]:
    """The store, as the operator asks it. Raises MeshError where the broker cannot be reached."""
    from mesh.gateway.store import Store

    async with connected(settings) as js:
        yield Store(js.bus)


def asked(flags: dict[str, Any], work: Callable[["Store"], Awaitable[T]]) -> T:
    """Do something with the store of these flags' mesh. Raises MeshError."""

    async def run() -> T:
        async with store(settings_of("operator", OperatorSettings, flags)) as found:
            try:
                return await work(found)
            except BusError as error:
                raise MeshError(ErrorCode.BROKER_UNAVAILABLE, str(error)) from error

    return asyncio.run(run())
