"""`mesh export`: chats as JSON lines, straight from the database file."""

import asyncio
import os
import sys
import time
from contextlib import aclosing, nullcontext
from datetime import datetime
from pathlib import Path
from secrets import token_hex
from typing import IO, Any

import click

from mesh.cli.options import options
from mesh.cli.whole_file import whole_file
from mesh.protocol.exports import Anonymous, Filters
from mesh.settings import StoreSettings, read

DATE = click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"])


@click.command("export")
@options(StoreSettings, "data_dir", "database")
@click.option("--user", help="Only this user's chats: an account's name, or a user id.")
@click.option("--chat", help="Only this chat, by its id.")
@click.option("--from", "since", type=DATE, help="Only chats begun at this local time or later.")
@click.option("--to", "until", type=DATE, help="Only chats begun before this local time.")
@click.option("--scored", is_flag=True, help="Only chats with a message that was voted on.")
@click.option("--reported", is_flag=True, help="Only chats with a message that was reported.")
@click.option("--anonymize", is_flag=True, help="Other ids and no names, instead of the real ones.")
@click.option("--seed", help="With --anonymize: the same ids as last time, for the same seed.")
@click.option(
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write to this file, compressed if its name ends in .gz, instead of to stdout.",
)
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
    scored: bool,
    reported: bool,
    anonymize: bool,
    seed: str | None,
    output: Path | None,
    own: bool,
    **flags: Any,
) -> None:
    """Write chats as JSON lines, one chat with its tree of messages per line, oldest first.

    Chats whose owner switched "allow data use" off are left out, and messages that say nothing.
    """
    if own and user is None:
        raise click.UsageError("--own needs --user: say whose chats are yours.")
    if seed is not None and not anonymize:
        raise click.UsageError("--seed needs --anonymize.")
    filters = Filters(
        user=user,
        chat=chat,
        since=since.timestamp() if since else None,
        until=until.timestamp() if until else None,
        scored=scored,
        reported=reported,
        opted_out=own,
    )
    anonymous = Anonymous(seed or token_hex(16)) if anonymize else None
    try:
        with whole_file(output) if output else nullcontext(sys.stdout.buffer) as file:
            asyncio.run(_write(read(StoreSettings, flags), filters, anonymous, file))
            file.flush()
    except BrokenPipeError:  # the reader has read enough, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


async def _write(
    settings: StoreSettings, filters: Filters, anonymous: Anonymous | None, file: IO[bytes]
) -> None:
    from mesh.store.export import export

    async with aclosing(export(settings.database_path, filters, time.time(), anonymous)) as lines:
        async for line in lines:
            file.write(line)
