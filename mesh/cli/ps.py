"""`mesh ps`: workers, queue and running requests, once or again and again."""

import asyncio
from contextlib import suppress
from typing import Any

import click
from rich.console import Group, RenderableType
from rich.text import Text

from mesh.bus.connection import BusError
from mesh.bus.jetstream import JetStream
from mesh.cli.fleet import Pending, Queue, Snapshot, Worker, connected, look
from mesh.cli.local import settings_of
from mesh.cli.options import options
from mesh.cli.screen import cell, duration, table
from mesh.cli.watch import listed, show
from mesh.protocol.errors import ErrorCode, MeshError
from mesh.settings import OperatorSettings


@click.command("ps")
@listed
@options(OperatorSettings, "data_dir", "nats")
def command(watch: bool, as_json: bool, **flags: Any) -> None:
    """Show workers, queue and running requests.

    Asks the broker alone, so it works while the gateway is down.
    """
    settings = settings_of("operator", OperatorSettings, flags)
    with suppress(KeyboardInterrupt):
        asyncio.run(_show(settings, watch, as_json))


async def _show(settings: OperatorSettings, watch: bool, as_json: bool) -> None:
    async with connected(settings) as js:

        async def seen() -> Snapshot:
            return await look_at(js)

        await show(seen, render, watch=watch, as_json=as_json, trouble=MeshError)


async def look_at(js: JetStream) -> Snapshot:
    """The mesh now; raises MeshError while the broker does not answer."""
    try:
        return await look(js)
    except BusError as error:
        raise MeshError(
            ErrorCode.BROKER_UNAVAILABLE, f"The broker did not answer: {error}."
        ) from error


def render(snapshot: Snapshot) -> RenderableType:
    """The snapshot as tables."""
    parts = [
        _workers(snapshot.workers),
        queues_table(snapshot.queues, "Queue"),
        _requests(snapshot.requests, snapshot.unfinished),
    ]
    return Group(*(line for part in parts for line in (part, Text())))


def _workers(workers: list[Worker]) -> RenderableType:
    if not workers:
        return Text("No worker is there: start one with `mesh worker`.", style="yellow")
    columns = ("WORKER", "MODEL", "ENGINE", "SLOTS", "TOKENS/S", "UP", "HOST", "")
    shown = table("Workers", *columns, right=("SLOTS", "TOKENS/S"), shrinks=("HOST", "MODEL"))
    for worker in workers:
        shown.add_row(
            cell(worker.name, "green"),
            cell(", ".join(worker.models)),
            cell(worker.engine),
            f"{worker.running}/{worker.slots}",
            f"{worker.speed:.0f}",
            duration(worker.up),
            cell(worker.host),
            cell(worker.remark, "yellow"),
        )
    return shown


def queues_table(queues: list[Queue], title: str | None = None) -> RenderableType:
    """Each model's queue, and who serves it."""
    if not queues:
        return Text("No model was ever served here.", style="dim")
    numbers = ("WAITING", "IN WORK", "WORKERS", "SLOTS")
    shown = table(title, "MODEL", *numbers, right=numbers)
    for queue in queues:
        stuck = queue.waiting and not queue.workers
        shown.add_row(
            cell(queue.model),
            Text(str(queue.waiting), style="red" if stuck else ""),
            str(queue.in_work),
            Text(str(queue.workers), style="" if queue.workers else "yellow"),
            str(queue.slots),
        )
    return shown


def _requests(requests: list[Pending], unfinished: int) -> RenderableType:
    if not requests:
        return Text("Nothing is asked at the moment.", style="dim")
    columns = ("REQUEST", "MODEL", "FOR", "STATE", "SINCE", "WORKER", "ATTEMPT")
    more = f", the oldest {len(requests)} of {unfinished}" if unfinished > len(requests) else ""
    shown = table(f"Requests{more}", *columns, right=("ATTEMPT",), shrinks=("REQUEST",))
    for request in requests:
        shown.add_row(
            cell(request.rid),
            cell(request.model),
            cell(request.tenant),
            Text(request.state, style=_STYLES[request.state]),
            duration(request.seconds),
            cell(request.worker or ""),
            str(request.attempts or ""),
        )
    return shown


_STYLES = {"waiting": "yellow", "running": "green", "stopping": "magenta"}
