"""`mesh ps`: workers, queue and running requests, once or again and again."""

import asyncio
from contextlib import suppress
from typing import Any

import click
import msgspec
from rich.console import Group, RenderableType
from rich.live import Live
from rich.text import Text

from mesh.bus.connection import BusError
from mesh.bus.jetstream import JetStream
from mesh.cli.fleet import Pending, Queue, Snapshot, Worker, connected, look
from mesh.cli.local import settings_of
from mesh.cli.options import options
from mesh.cli.screen import console, duration, table
from mesh.protocol.errors import ErrorCode, MeshError
from mesh.settings import OperatorSettings

EVERY = 1.0
"""Seconds between two looks of `--watch`."""


@click.command("ps")
@click.option("--watch", is_flag=True, help="Look again every second, until Ctrl-C.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object; with --watch one a line.")
@options(OperatorSettings, "data_dir", "nats")
def command(watch: bool, as_json: bool, **flags: Any) -> None:
    """Show workers, queue and running requests.

    Asks the broker alone, so it works while the gateway is down.
    """
    settings = settings_of("operator", OperatorSettings, flags)
    with suppress(KeyboardInterrupt):
        asyncio.run(_show(settings, watch, as_json))


async def _show(settings: OperatorSettings, watch: bool, as_json: bool) -> None:
    try:
        async with connected(settings) as js:
            if watch:
                await (_watch_json(js) if as_json else _watch(js))
            elif as_json:
                _print_json(await look(js))
            else:
                console().print(render(await look(js)))
    except BusError as error:
        raise MeshError(
            ErrorCode.BROKER_UNAVAILABLE, f"The broker did not answer: {error}."
        ) from error


async def _watch(js: JetStream) -> None:
    screen = console()
    with Live(console=screen, screen=screen.is_terminal, auto_refresh=False) as live:
        while True:
            live.update(await _look_again(js), refresh=True)
            await asyncio.sleep(EVERY)


async def _look_again(js: JetStream) -> RenderableType:
    """The next picture; a broker that is away is waited for."""
    try:
        return render(await look(js))
    except BusError as error:
        return Text(f"The broker does not answer ({error}); looking again ...", style="red")


async def _watch_json(js: JetStream) -> None:
    while True:
        with suppress(BusError):
            _print_json(await look(js))
        await asyncio.sleep(EVERY)


def _print_json(snapshot: Snapshot) -> None:
    click.echo(msgspec.json.encode(snapshot))


def render(snapshot: Snapshot) -> RenderableType:
    """The snapshot as tables."""
    parts = [
        _workers(snapshot.workers),
        _queues(snapshot.queues),
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
            Text(worker.name, style="green"),
            Text(", ".join(worker.models)),
            Text(worker.engine),
            f"{worker.running}/{worker.slots}",
            f"{worker.speed:.0f}",
            duration(worker.up),
            Text(worker.host),
            Text("draining" if worker.draining else "", style="yellow"),
        )
    return shown


def _queues(queues: list[Queue]) -> RenderableType:
    if not queues:
        return Text("No model was ever served here.", style="dim")
    numbers = ("WAITING", "IN WORK", "WORKERS", "SLOTS")
    shown = table("Queue", "MODEL", *numbers, right=numbers)
    for queue in queues:
        stuck = queue.waiting and not queue.workers
        shown.add_row(
            Text(queue.model),
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
            Text(request.rid),
            Text(request.model),
            Text(request.tenant),
            Text(request.state, style=_STYLES[request.state]),
            duration(request.seconds),
            Text(request.worker or ""),
            str(request.attempts or ""),
        )
    return shown


_STYLES = {"waiting": "yellow", "running": "green", "stopping": "magenta"}
