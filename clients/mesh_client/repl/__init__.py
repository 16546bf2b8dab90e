"""`mesh chat`: the REPL's command. The REPL itself is in `app`, loaded when it is called."""

import asyncio
import sys
from contextlib import suppress

import click

from mesh_client import completing
from mesh_client.asking import status_of
from mesh_client.errors import MeshClientError, NotSignedIn, Refused
from mesh_client.passwords import asked_password


@click.command("chat")
@click.option(
    "-m",
    "--model",
    default="",
    metavar="NAME",
    shell_complete=completing.models,
    help="Which model; `/model` lists them.",
)
@click.option("-s", "--system", default="", metavar="TEXT", help="System prompt.")
@click.option(
    "--resume",
    is_flag=False,
    flag_value="",
    metavar="[CHAT]",
    shell_complete=completing.chats,
    help="Go on with a chat, by default the newest, even in the middle of its answer.",
)
@click.option("--url", default="", metavar="URL", help="Address of the gateway [MESH_URL].")
@click.option("--user", default="", metavar="NAME", help="Whom to sign in as [MESH_USER].")
def chat(model: str, system: str, resume: str | None, url: str, user: str) -> None:
    """Chat in the terminal.

    \b
        Enter      send
        Alt-Enter  new line
        Ctrl-C     stop the answer; twice: leave
        Ctrl-B     leave the answer running and do something else
        Ctrl-D     leave; an answer that is running goes on
        /help      list all commands and keys

    Chats are kept: `mesh chat --resume` goes on with the newest. Exit status: 0 left, 2 wrong
    usage, 3 no gateway answers.
    """
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise click.UsageError("`mesh chat` needs a terminal; in a pipe, use `mesh ask`.")
    try:
        password = _password(url, user)
        asyncio.run(_sit(model, system, resume, url, user, password))
    except MeshClientError as error:
        click.echo(f"mesh: {error.sentence}", err=True)
        sys.exit(status_of(error))


async def _sit(
    model: str, system: str, resume: str | None, url: str, user: str, password: str
) -> None:
    from platformdirs import user_state_path

    from mesh_client.async_client import AsyncClient
    from mesh_client.repl.app import Repl
    from mesh_client.retry import Retry

    # A question waits for the gateway in `Asking`, where it can be taken back; the rest is typed
    # again sooner than it would be waited for.
    impatient = Retry(call_patience=1.0)
    history = user_state_path("mesh") / "history"
    async with (
        AsyncClient.from_env(url=url, username=user, retry=impatient) as client,
        AsyncClient.from_env(url=url, username=user, retry=Retry(call_patience=0.0)) as watcher,
    ):
        if password:
            with suppress(Refused):
                await client.login(client.username, password)
        await Repl(client, watcher, history).run(model=model, system=system, resume=resume)


def _password(url: str, user: str) -> str:
    """What to sign in with, "" where the gateway lets somebody in without. Raises NotSignedIn."""
    from mesh_client.client import Client
    from mesh_client.retry import Retry

    retry = Retry(call_patience=0.0)
    with Client.from_env(url=url, username=user, retry=retry) as client, suppress(Refused):
        try:  # a gateway that cannot tell now says so again where a question is asked
            client.user()
        except NotSignedIn as error:
            if error.forbidden or not client.username:
                raise
            return asked_password(client.username, client.url)
    return ""
