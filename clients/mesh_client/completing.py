"""What a shell completes from a running mesh: models, chats, workers.

Nobody waits at a Tab for a gateway that is away: what does not answer at once is left out.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import click
from click.shell_completion import CompletionItem

from mesh_client.errors import MeshClientError

if TYPE_CHECKING:
    from mesh_client.async_client import AsyncClient

PATIENCE = 1.0
"""Seconds that a completion may take."""

CHATS = 30
"""The newest chats that are offered."""

Offer = Callable[["AsyncClient"], Awaitable[list[CompletionItem]]]


def models(ctx: click.Context, param: click.Parameter, begun: str) -> list[CompletionItem]:
    """The models that are there."""

    async def offer(client: "AsyncClient") -> list[CompletionItem]:
        return [
            CompletionItem(model.id, help=None if model.available else "no worker now")
            for model in await client.models()
        ]

    return _offered(ctx, begun, offer)


def chats(ctx: click.Context, param: click.Parameter, begun: str) -> list[CompletionItem]:
    """The newest chats."""

    async def offer(client: "AsyncClient") -> list[CompletionItem]:
        found: list[CompletionItem] = []
        async for chat in client.chats():
            found.append(CompletionItem(chat.id, help=" ".join((chat.title or "").split())))
            if len(found) == CHATS:
                break
        return found

    return _offered(ctx, begun, offer)


def workers(ctx: click.Context, param: click.Parameter, begun: str) -> list[CompletionItem]:
    """The workers that are there."""

    async def offer(client: "AsyncClient") -> list[CompletionItem]:
        return [
            CompletionItem(worker.name, help=", ".join(worker.models))
            for worker in await client.workers()
        ]

    return _offered(ctx, begun, offer)


def _offered(ctx: click.Context, begun: str, offer: Offer) -> list[CompletionItem]:
    url, user = ctx.params.get("url") or "", ctx.params.get("user") or ""
    try:
        found = asyncio.run(_asked(url, user, offer))
    except (MeshClientError, TimeoutError):
        return []
    return [item for item in found if str(item.value).startswith(begun)]


async def _asked(url: str, user: str, offer: Offer) -> list[CompletionItem]:
    from mesh_client.async_client import AsyncClient
    from mesh_client.retry import Retry

    async with asyncio.timeout(PATIENCE):
        async with AsyncClient.from_env(
            url=url, username=user, retry=Retry(call_patience=0)
        ) as client:
            return await offer(client)
