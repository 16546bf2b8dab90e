"""`mesh chats`: one's chats as a list, one of them to read, and to be rid of one."""

import asyncio
import sys
from collections.abc import AsyncGenerator, Coroutine
from contextlib import asynccontextmanager, suppress
from datetime import datetime

import click
from msgspec import Struct
from rich.console import RenderableType
from rich.text import Text

from mesh.cli.screen import cell, table
from mesh.cli.watch import listed, show
from mesh_client import completing
from mesh_client.asking import status_of
from mesh_client.async_client import AsyncChat, AsyncClient
from mesh_client.errors import MeshClientError
from mesh_client.files import as_json as chat_as_json
from mesh_client.files import as_markdown
from mesh_client.objects import ChatInfo
from mesh_client.terminal import in_one_line, printable

LIMIT = 50
"""Chats that are listed unless more are asked for."""


class Listed(Struct, frozen=True, kw_only=True):
    """A chat as `--json` tells it. modified_at: when something was last said in it."""

    id: str
    title: str | None
    created_at: datetime | None
    modified_at: datetime | None
    hidden: bool


class Chats(Struct, frozen=True, kw_only=True):
    """The newest chats of whoever is signed in."""

    chats: list[Listed]


@click.group("chats", invoke_without_command=True)
@click.option("--all", "hidden", is_flag=True, help="Hidden ones, too.")
@click.option("--limit", type=click.IntRange(1), default=LIMIT, show_default=True, metavar="N",
              help="List so many at most.")  # fmt: skip
@click.option("--url", default="", metavar="URL", help="Address of the gateway [MESH_URL].")
@click.option("--user", default="", metavar="NAME", help="Whom to sign in as [MESH_USER].")
@listed
@click.pass_context
def command(
    ctx: click.Context,
    /,
    hidden: bool,
    limit: int,
    url: str,
    user: str,
    watch: bool,
    as_json: bool,
) -> None:
    """List your chats, newest first; `mesh chats show` prints one.

    `mesh chat --resume ID` goes on with one.
    """
    ctx.obj = (url, user)
    if ctx.invoked_subcommand is None:
        _run(_list(url, user, hidden, limit, watch, as_json))


@command.command("show")
@click.argument("chat", shell_complete=completing.chats)
@click.option("--json", "as_json", is_flag=True, help="The whole tree, as one JSON object.")
@click.pass_obj
def show_one(where: tuple[str, str], chat: str, as_json: bool) -> None:
    """Print a chat as Markdown, or with --json all of its branches.

    CHAT is its id, or how that begins.
    """

    async def read() -> None:
        async with _opened(*where, chat) as found:
            make = chat_as_json if as_json else as_markdown
            said = make(found.info, found.thread)
            # A file gets what was said to the letter, a terminal what it may be shown.
            click.echo(printable(said) if sys.stdout.isatty() else said, nl=False)

    _run(read())


@command.command("delete")
@click.argument("chat", shell_complete=completing.chats)
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_obj
def delete_one(where: tuple[str, str], chat: str, yes: bool) -> None:
    """Delete a chat and its messages for good.

    CHAT is its id, or how that begins.
    """

    async def delete() -> None:
        async with _opened(*where, chat) as found:
            title = in_one_line(found.info.title or "untitled")
            if yes or click.confirm(f"Delete “{title}” for good?", err=True):
                await found.delete()

    _run(delete())


async def _list(url: str, user: str, hidden: bool, limit: int, watch: bool, as_json: bool) -> None:
    async with AsyncClient.from_env(url=url, username=user) as client:

        async def look() -> Chats:
            return Chats(chats=[_listed(chat) async for chat in _newest(client, limit, hidden)])

        await show(look, render, watch=watch, as_json=as_json, trouble=MeshClientError)


def render(chats: Chats) -> RenderableType:
    """The list as a table."""
    if not chats.chats:
        return Text("No chat yet: begin one with `mesh chat`.", style="dim")
    shown = table("Chats", "ID", "LAST SAID", "TITLE", shrinks=("TITLE",))
    for chat in chats.chats:
        shown.add_row(
            Text(chat.id[:8], style="cyan"),
            Text(_when(chat.modified_at), style="dim"),
            cell(chat.title or "untitled", "dim" if chat.hidden else ""),
        )
    return shown


def _when(at: datetime | None) -> str:
    return at.astimezone().strftime("%Y-%m-%d %H:%M") if at else ""


def _listed(chat: ChatInfo) -> Listed:
    return Listed(
        id=chat.id,
        title=chat.title,
        created_at=chat.created_at,
        modified_at=chat.modified_at,
        hidden=chat.hidden,
    )


async def _newest(client: AsyncClient, limit: int, hidden: bool) -> AsyncGenerator[ChatInfo, None]:
    count = 0
    async for chat in client.chats(include_hidden=hidden):
        yield chat
        count += 1
        if count == limit:
            return


@asynccontextmanager
async def _opened(url: str, user: str, begun: str) -> AsyncGenerator[AsyncChat, None]:
    """The chat whose id begins so; raises UsageError where that is none, or several."""
    async with AsyncClient.from_env(url=url, username=user) as client:
        found = [
            chat.id async for chat in client.chats(include_hidden=True) if chat.id.startswith(begun)
        ]
        if len(found) > 1:
            raise click.UsageError(f"{len(found)} chats begin with {begun}; give more of the id.")
        if not found:
            raise click.UsageError(f"No chat begins with {begun}; `mesh chats` lists them.")
        yield await client.chat(found[0])


def _run(work: Coroutine[None, None, None]) -> None:
    """Do it; what the gateway refuses is one sentence and the exit status of `mesh ask`."""
    try:
        with suppress(KeyboardInterrupt):
            asyncio.run(work)
    except MeshClientError as error:
        click.secho(f"mesh: {error.sentence}", err=True)
        sys.exit(status_of(error))
