"""`mesh bench`: puts loads of streams on a running mesh, checks every answer, shows figures."""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import click
import msgspec
import uvloop

from mesh.cli.load.drive import Load
from mesh.cli.load.figures import Figures
from mesh.cli.load.processes import Watch, of_mesh
from mesh.cli.load.question import REPEAT, Question, repeated
from mesh.cli.load.table import table
from mesh.cli.local import recall
from mesh.cli.options import options
from mesh.cli.serving import allow_many_files
from mesh.protocol.errors import ErrorCode, MeshError
from mesh.settings import Settings, read
from mesh_client.asking import Status, status_of
from mesh_client.client import Client
from mesh_client.config import Surroundings, surroundings
from mesh_client.credentials import FileStore
from mesh_client.errors import MeshClientError, Unreachable
from mesh_client.retry import Retry


class Numbers(click.ParamType[tuple[int, ...]]):
    """Positive numbers, separated by commas."""

    name = "numbers"

    def convert(
        self, value: str, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, ...]:
        parts = str(value).split(",")
        if not all(part.isdigit() and int(part) for part in parts):
            self.fail(f"{value!r} is not a list of numbers like 1,32,256.", param, ctx)
        return tuple(int(part) for part in parts)


class Watched(click.ParamType[tuple[str, int]]):
    """A kind of process and a process id: KIND=PID."""

    name = "kind=pid"

    def convert(
        self, value: str, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, int]:
        kind, _, pid = str(value).partition("=")
        if not kind or not pid.isdigit():
            self.fail(f"{value!r} is not like gateway=1234.", param, ctx)
        return kind, int(pid)


@click.command("bench")
@options(Settings, "data_dir")
@click.option("--url", default="", help="Address of the gateway [MESH_URL; the mesh up here].")
@click.option("--streams", type=Numbers(), default="1,32,256,1000", show_default=True)
@click.option("--tokens", type=click.IntRange(1), default=200, show_default=True)
@click.option(
    "--seconds",
    type=click.FloatRange(0),
    default=5.0,
    show_default=True,
    help="Each stream asks again until so long has passed; 0: once.",
)
@click.option("--model", default="", help="Model to ask; empty: the gateway's default.")
@click.option("--prompt", default=REPEAT, help="What to ask [words for the echo engine].")
@click.option("--echo", is_flag=True, help="The echo engine answers: check its every word.")
@click.option(
    "--rate",
    type=click.FloatRange(0),
    default=0.0,
    help="Tokens/s that each stream is to hold, less 5 %; exit status 1 if it does not.",
)
@click.option(
    "--watch",
    "watched",
    type=Watched(),
    multiple=True,
    help="Count this process's CPU and memory; again for more [those of the mesh up here].",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object per load, on a line.")
def command(
    url: str,
    streams: tuple[int, ...],
    tokens: int,
    seconds: float,
    model: str,
    prompt: str,
    echo: bool,
    rate: float,
    watched: tuple[tuple[str, int], ...],
    as_json: bool,
    **flags: Any,
) -> None:
    """Put a load of concurrent streams on a running mesh and measure it.

    Every answer is checked to be whole: all tokens, once, in order. CPU time is in microseconds
    per token. MESH_TOKEN is sent as the access token where the gateway wants one; without it
    MESH_USER, if that is set, signs in as for `mesh ask`.
    """
    with _said():
        said = surroundings(url)
        here = _find(said, url, watched, read(Settings, flags).data_path)
        token = _token(said, here.url)
    question = Question(prompt=prompt, tokens=tokens, model=model, token=token)
    text = repeated(tokens) if echo else None
    allow_many_files()
    found = []
    for count in streams:
        load = Load(here.url, question, text, Watch(here.pids))
        with _said():
            figures = _run(load, here.url, count, seconds)
        found.append(figures)
        if as_json:
            click.echo(msgspec.json.encode(figures))
    if not as_json:
        click.echo(table([(f"{figures.streams} streams", figures) for figures in found]))
    _judge(found, rate)


class Target(NamedTuple):
    """Where the load goes, and whose expense is counted."""

    url: str
    pids: Mapping[str, Sequence[int]]


def _find(
    said: Surroundings, url: str, watched: Sequence[tuple[str, int]], data_path: Path
) -> Target:
    """What the option (url) or the environment says, else the mesh that runs here.

    Raises MeshError (bad_request) for https, which a load would have to be told from.
    """
    pids: dict[str, list[int]] = {}
    for kind, pid in watched:
        pids.setdefault(kind, []).append(pid)
    running = recall(data_path)
    if running is not None and _means(said, url, running.gateway):
        return Target(running.gateway, pids or of_mesh(running.pid))
    if urlsplit(said.url).scheme != "http":
        raise MeshError(
            ErrorCode.BAD_REQUEST,
            f"`mesh bench` speaks plain http and not with {said.url}; name the gateway behind it, "
            "such as http://127.0.0.1:8000.",
        )
    return Target(said.url, pids)


def _means(said: Surroundings, url: str, here: str) -> bool:
    """Whether the mesh that runs here is meant. It may listen elsewhere than on loopback, which is
    where MESH_PORT alone would lead."""
    if url or os.environ.get("MESH_URL"):
        return said.url == here
    return not os.environ.get("MESH_PORT") or urlsplit(said.url).port == urlsplit(here).port


def _token(said: Surroundings, url: str) -> str:
    """What to be let in by, "" for whoever comes. Raises MeshClientError where MESH_USER is not."""
    if said.token or not said.username:
        return said.token
    store = FileStore(url)
    retry = Retry(call_patience=0.0)
    with Client(url, username=said.username, store=store, retry=retry) as client:
        client.user()  # renews a sign-in that has run out
    kept = store.load()
    return kept.access_token if kept is not None else ""


def _run(load: Load, url: str, streams: int, seconds: float) -> Figures:
    """Raises Unreachable."""
    try:
        return uvloop.run(load.run(streams, seconds))
    except ConnectionRefusedError as error:
        raise Unreachable(url, "nothing listens there") from error
    except OSError as error:
        raise Unreachable(url, error.strerror or "no connection could be made") from error


@contextmanager
def _said() -> Iterator[None]:
    """What the client finds wrong within it is this command's error."""
    try:
        yield
    except MeshClientError as error:
        wrong = status_of(error) == Status.USAGE
        code = ErrorCode.BAD_REQUEST if wrong else ErrorCode.INTERNAL
        raise MeshError(code, error.sentence) from error


def _judge(found: Sequence[Figures], rate: float) -> None:
    """Raise MeshError (internal) unless all answers were whole, and the pace was held."""
    for figures in found:
        if figures.failures:
            reason, count = max(figures.reasons.items(), key=lambda item: item[1])
            raise MeshError(
                ErrorCode.INTERNAL,
                f"At {figures.streams} streams {figures.failures} of {figures.answers} answers "
                f"were not whole; {count} of them because {reason}.",
            )
        if 0 < figures.pace < 0.95 * rate:
            raise MeshError(
                ErrorCode.INTERNAL,
                f"At {figures.streams} streams the pace was {figures.pace} tokens/s, not {rate:g}.",
            )
