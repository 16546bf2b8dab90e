"""`mesh bench`: puts loads of streams on a running mesh, checks every answer, shows figures."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

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

DEFAULT_URL = "http://127.0.0.1:8000"


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
    per token. MESH_TOKEN is sent as the access token where the gateway wants one.
    """
    here = _find(url, watched, read(Settings, flags).data_path)
    question = Question(
        prompt=prompt, tokens=tokens, model=model, token=os.environ.get("MESH_TOKEN", "")
    )
    text = repeated(tokens) if echo else None
    allow_many_files()
    found = []
    for count in streams:
        load = Load(here.url, question, text, Watch(here.pids))
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


def _find(url: str, watched: Sequence[tuple[str, int]], data_path: Path) -> Target:
    """What the options say, else the mesh that runs here."""
    pids: dict[str, list[int]] = {}
    for kind, pid in watched:
        pids.setdefault(kind, []).append(pid)
    running = recall(data_path)
    url = url or os.environ.get("MESH_URL", "")
    if running is not None and url in ("", running.gateway):
        return Target(running.gateway, pids or of_mesh(running.pid))
    return Target(url or DEFAULT_URL, pids)


def _run(load: Load, url: str, streams: int, seconds: float) -> Figures:
    try:
        return uvloop.run(load.run(streams, seconds))
    except OSError as error:
        raise MeshError(
            ErrorCode.BAD_REQUEST,
            f"No gateway answers at {url} ({error}); start one with `mesh up`, or name it with "
            "--url.",
        ) from error


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
