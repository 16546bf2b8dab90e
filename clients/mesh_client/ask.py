"""`mesh ask`: one question, one answer, made for pipes. The flow itself is in `asking`.

stdout carries the answer and nothing else. Exit statuses: 0 answered, 1 the generation failed,
2 usage (also what the gateway finds wrong with the request), 3 no gateway, 4 refused for now
(429, 503), 5 timed out, 130 interrupted, 141 nobody reads stdout any more.
"""

import asyncio
import sys

import click

from mesh_client import completing
from mesh_client.asking import Asked, Status, run, status_of
from mesh_client.async_client import AsyncClient
from mesh_client.calls import AnswerOptions
from mesh_client.errors import BadAddress, NotSignedIn
from mesh_client.files import UnfitFile, attach, with_files
from mesh_client.passwords import asked_password, can_ask
from mesh_client.rendering import Rendering, complain, rendering


@click.command("ask")
@click.argument("prompt", nargs=-1)
@click.option(
    "-m",
    "--model",
    metavar="NAME",
    shell_complete=completing.models,
    help="Which model; `mesh ps` lists those that are served.",
)
@click.option("-s", "--system", metavar="TEXT", help="System prompt.")
@click.option(
    "-f",
    "--file",
    "names",
    multiple=True,
    type=click.Path(),
    metavar="PATH",
    help="A text file that goes with the question; more than once for several.",
)
@click.option(
    "--max-tokens",
    type=click.IntRange(min=1),
    metavar="N",
    help="Stop after so many tokens.",
)
@click.option(
    "--temperature",
    type=click.FloatRange(0, 2),
    metavar="T",
    help="How freely to choose; 0: always the likeliest token.",
)
@click.option(
    "--top-p",
    type=click.FloatRange(0, 1),
    metavar="P",
    help="Choose among the likeliest tokens that together have this probability.",
)
@click.option(
    "--top-k",
    type=click.IntRange(min=0),
    metavar="K",
    help="Choose among this many of the likeliest tokens; 0: among all.",
)
@click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True),
    metavar="SECONDS",
    help="Give up after so long, and cancel the answer.",
)
@click.option("--json", "form", flag_value="json", help="Print one JSON object at the end.")
@click.option("--jsonl", "form", flag_value="jsonl", help="Print every event as a line of JSON.")
@click.option("--url", default="", metavar="URL", help="Address of the gateway [MESH_URL].")
@click.option("--user", default="", metavar="NAME", help="Whom to sign in as [MESH_USER].")
def ask(
    prompt: tuple[str, ...],
    model: str | None,
    system: str | None,
    names: tuple[str, ...],
    max_tokens: int | None,
    temperature: float | None,
    top_p: float | None,
    top_k: int | None,
    timeout: float | None,
    form: str | None,
    url: str,
    user: str,
) -> None:
    """Ask one question and print the answer.

    stdout carries the answer alone. What is piped in is put before the words of the command line:

    \b
        mesh ask "What is a mesh?"
        mesh ask "Summarise this." < notes.txt > summary.txt
        mesh ask -f old.py -f new.py "What has changed?"

    Ctrl-C cancels the answer. Question and answer are kept as a chat; `mesh chat --resume` goes on
    with it.

    \b
    Exit status:
        0  answered
        1  the generation failed
        2  wrong usage, or a request that the gateway finds wrong
        3  no gateway answers
        4  refused for now: the mesh is full, or has no worker for the model
        5  timed out
      130  interrupted
    """
    options = AnswerOptions()
    if model is not None:
        options["model"] = model
    if system is not None:
        options["system"] = system
    if max_tokens is not None:
        options["max_tokens"] = max_tokens
    if temperature is not None:
        options["temperature"] = temperature
    if top_p is not None:
        options["top_p"] = top_p
    if top_k is not None:
        options["top_k"] = top_k
    try:
        files = [attach(name) for name in names]
        asked = Asked(with_files(question(prompt), files), options, timeout)
        sys.exit(start(asked, rendering(form), url, user))
    except UnfitFile as error:
        raise click.UsageError(error.sentence) from error
    except KeyboardInterrupt:
        sys.exit(Status.INTERRUPTED)


def question(words: tuple[str, ...]) -> str:
    """What is asked: what is piped in, an empty line, and the words of the command line."""
    piped = "" if sys.stdin is None or sys.stdin.isatty() else _read_stdin()
    text = "\n\n".join(part for part in (piped.strip(), " ".join(words).strip()) if part)
    if not text:
        raise click.UsageError('Nothing was asked; try: mesh ask "What is a mesh?"')
    return text


def _read_stdin() -> str:
    try:
        return sys.stdin.buffer.read().decode()
    except UnicodeDecodeError as error:
        raise click.UsageError(
            f"What is piped in is not UTF-8 text (byte {error.start}); convert it first."
        ) from error


def start(asked: Asked, shown: Rendering, url: str, user: str) -> int:
    """Ask, and say how it went as an exit status."""
    try:
        return _ask(asked, shown, url, user)
    except BadAddress as error:
        complain(error.sentence)
        return status_of(error)
    except NotSignedIn as error:
        shown.error(error)
        return status_of(error)
    except click.Abort:
        return Status.INTERRUPTED


def _ask(asked: Asked, shown: Rendering, url: str, user: str) -> Status:
    """Ask, and where nobody is signed in, ask for the password first.

    Raises BadAddress, NotSignedIn, and click.Abort for Ctrl-C at the password.
    """
    client = AsyncClient.from_env(url=url, username=user)
    try:
        return asyncio.run(run(client, asked, shown))
    except NotSignedIn as error:
        if error.forbidden or not client.username or not can_ask():
            raise
    password = asked_password(client.username, client.url)
    again = AsyncClient.from_env(url=url, username=user)
    return asyncio.run(run(again, asked, shown, password))
