"""Reads an answer on the client's loop, from its begin to its end, whatever happens on the way."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

from mesh_client.async_client import AsyncAnswer
from mesh_client.errors import MeshClientError
from mesh_client.notebook.answer import Answer

Begin = Callable[[], Awaitable[AsyncAnswer]]

ACKNOWLEDGED = 10.0
"""Seconds that the acknowledgement of a stop may come after the end of what it stopped."""


async def read(answer: Answer, begin: Begin) -> None:
    """Begin an answer and hear it to its end; errors become part of the answer.

    Nothing is waited for once it is closed: who awaits this knows of its end before any view does,
    and takes nothing from the line that a view says last. Nor between the acknowledgement of a stop
    and closing: who has stopped it finds it ended.
    """
    try:
        await _hear(answer, begin)
        answer.close()
    except MeshClientError as error:
        answer.refuse(error)


async def _hear(answer: Answer, begin: Begin) -> None:
    """Its events, and what a stop of it has to say. Raises MeshClientError."""
    remote = await begin()
    answer.accepted(remote)
    learning = asyncio.create_task(_learn_token(answer, remote))
    try:
        async for event in remote:
            answer.hear(event)
    finally:
        learning.cancel()
        await asyncio.gather(learning, return_exceptions=True)
    await _acknowledged(answer)


async def _learn_token(answer: Answer, remote: AsyncAnswer) -> None:
    """What a Stop button in a browser needs; without it, it asks the kernel instead."""
    with suppress(MeshClientError):  # it has ended already, or the gateway is an older one
        answer.tell_token((await remote.cancel_token()).cancel_token)


async def _acknowledged(answer: Answer) -> None:
    """Wait for what a stop has to say, where one was asked for."""
    with suppress(TimeoutError):
        async with asyncio.timeout(ACKNOWLEDGED):
            while answer.stop_wanted and answer.stopped is None:
                await answer.changed(answer.version)
