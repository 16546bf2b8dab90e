"""`mesh export`: chats as JSON lines on stdout, straight from the database file."""

import asyncio
import os
import sys
import time
from contextlib import aclosing
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from mesh.cli.options import options
from mesh.settings import StoreSettings, read

if TYPE_CHECKING:
    from mesh.store.export import Filters

DATE = click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"])


@click.command("export")
@options(StoreSettings, "data_dir", "database")
@click.option("--user", help="Only this user's chats: an account's name, or a user id.")
@click.option("--chat", help="Only this chat, by its id.")
@click.option("--from", "since", type=DATE, help="Only chats begun at this local time or later.")
@click.option("--to", "until", type=DATE, help="Only chats begun before this local time.")
@click.option(
    "--own",
    is_flag=True,
    help="Export all of your own chats (with --user), also those whose data others may not use.",
)
def command(
    user: str | None,
    chat: str | None,
    since: datetime | None,
    until: datetime | None,
    own: bool,
    **flags: Any,
) -> None:
    """Write chats as JSON lines, one chat with its tree of messages per line, oldest first.

    Chats whose owner switched "allow data use" off are left out.
    """
    from mesh.store.export import Filters

    if own and user is None:
        raise click.UsageError("--own needs --user: say whose chats are yours.")
    filters = Filters(
        user=user,
        chat=chat,
        since=since.timestamp() if since else None,
        until=until.timestamp() if until else None,
        opted_out=own,
    )
    try:
        asyncio.run(_write(read(StoreSettings, flags), filters))
    except BrokenPipeError:  # the reader has read enough, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


async def _write(settings: StoreSettings, filters: "Filters") -> None:
    from mesh.store.export import export

    async with aclosing(export(settings.database_path, filters, time.time())) as lines:
        async for line in lines:
            sys.stdout.buffer.write(line)
    sys.stdout.buffer.flush()
