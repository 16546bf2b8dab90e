"""`mesh drain`: a worker takes nothing new, finishes or hands over what it has, and leaves."""

import asyncio
import time
from contextlib import suppress
from typing import Any

import click
import msgspec
from msgspec import Struct

from mesh.bus.connection import BusError
from mesh.bus.jetstream import JetStream
from mesh.bus.leaving import has_left, tell_to_leave
from mesh.cli.fleet import connected, workers_present
from mesh.cli.local import settings_of
from mesh.cli.options import options
from mesh.cli.screen import count
from mesh.protocol.errors import ErrorCode, MeshError
from mesh.protocol.subjects import Writer
from mesh.protocol.worker_info import WorkerInfo
from mesh.settings import OperatorSettings
from mesh_client import completing

LOOK = 0.2
"""Seconds between two looks at whether it has left."""


class Drained(Struct, frozen=True, kw_only=True):
    """What came of it. running: its answers when it was told; left: whether it is gone by now;
    seconds: how long that was waited for."""

    worker: str
    running: int
    left: bool
    seconds: float


@click.command("drain")
@click.argument("worker", shell_complete=completing.workers)
@click.option(
    "--grace", type=click.FloatRange(0, 86_400), default=30.0, show_default=True, metavar="FLOAT",
    help="Seconds in which it may finish answers before it hands them over.",
)  # fmt: skip
@click.option("--no-wait", is_flag=True, help="Return as soon as it was told.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@options(OperatorSettings, "data_dir", "nats")
def command(worker: str, grace: float, no_wait: bool, as_json: bool, **flags: Any) -> None:
    """Let a worker finish or hand over its answers, and leave.

    Readers notice nothing but a pause. A worker that `mesh up` started is not started again.
    """
    settings = settings_of("operator", OperatorSettings, flags)
    with suppress(KeyboardInterrupt):
        drained = asyncio.run(_drain(settings, worker, grace, not no_wait))
        click.echo(msgspec.json.encode(drained) if as_json else _sentence(drained))


async def _drain(settings: OperatorSettings, name: str, grace: float, wait: bool) -> Drained:
    try:
        async with connected(settings) as js:
            worker = await find_worker(js, name)
            writer = Writer(worker.name, worker.inc)
            began = time.monotonic()
            await tell_to_leave(js.bus, writer, grace)
            left = await has_left(js, writer)
            while wait and not left:
                await asyncio.sleep(LOOK)
                left = await has_left(js, writer)
            waited = round(time.monotonic() - began, 1)
            return Drained(worker=name, running=worker.running, left=left, seconds=waited)
    except BusError as error:
        raise MeshError(
            ErrorCode.BROKER_UNAVAILABLE, f"The broker did not answer: {error}."
        ) from error


async def find_worker(js: JetStream, name: str) -> WorkerInfo:
    """A worker that is present. Raises MeshError (not_found), naming those that are."""
    present = await workers_present(js)
    for worker in present:
        if worker.name == name:
            return worker
    names = ", ".join(worker.name for worker in present) or "none"
    raise MeshError(
        ErrorCode.NOT_FOUND, f"There is no worker {name!r}; the workers present are: {names}."
    )


def _sentence(drained: Drained) -> str:
    answers = f"{count(drained.running, 'answer')} under way"
    if drained.left:
        return f"{drained.worker} has left after {drained.seconds:g} s ({answers} when told)."
    return f"{drained.worker} takes nothing new and will leave ({answers})."
