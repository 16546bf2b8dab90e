"""Keeps true, while nothing is asked, what the toolbar says and what completion offers."""

import asyncio
from collections.abc import Callable
from contextlib import suppress

from mesh_client.async_client import AsyncClient
from mesh_client.errors import MeshClientError
from mesh_client.repl import tree
from mesh_client.repl.session import Session, newest
from mesh_client.repl.toolbar import Status

LOOK = 3.0
"""Seconds between two looks at whether the gateway is there."""


def look_at_chat(session: Session, status: Status) -> None:
    """Have the toolbar say how things stand in this chat."""
    status.model = session.shown_model
    status.files = len(session.files)
    status.context, status.branch = None, (1, 1)
    if session.chat is None:
        return
    last = session.chat.thread.last_answer()
    if last is not None and last.usage is not None:
        used = last.usage.prompt_tokens + last.usage.completion_tokens
        status.context = (used, session.context_length)
    status.branch = tree.place(session.chat.thread)
    session.known.answers = tree.numbered(session.chat.thread)


async def watch(
    watcher: AsyncClient, session: Session, status: Status, changed: Callable[[], None]
) -> None:
    """Look at the gateway again and again, without end; while an answer runs, that one tells."""
    listed: str | None = None
    while True:
        chat = session.chat.id if session.chat else ""
        if chat != listed:
            with suppress(MeshClientError):
                session.known.recent, listed = await newest(watcher), chat
        await asyncio.sleep(LOOK)
        if status.activity:
            continue
        try:
            session.known.models = await watcher.models()
            status.model = session.shown_model
            status.online = True
        except MeshClientError:
            status.online = False
        changed()
