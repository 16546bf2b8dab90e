"""`mesh models`: which models are served where, and which are on this machine's disk."""

import asyncio
import time
from contextlib import suppress
from typing import Any

import click
from msgspec import Struct
from rich.console import Group, RenderableType
from rich.text import Text

from mesh.bus.connection import BusError
from mesh.bus.jetstream import JetStream
from mesh.cli.fleet import connected, models_queues, workers_present
from mesh.cli.local import settings_of
from mesh.cli.options import options
from mesh.cli.screen import cell, size, table
from mesh.cli.watch import listed, show
from mesh.protocol.errors import ErrorCode, MeshError
from mesh.protocol.worker_info import ModelCard, WorkerInfo
from mesh.settings import OperatorSettings, read
from mesh.worker.shelf import Shelved, on_disk

FINGERPRINT = 12
"""Characters of a fingerprint that people are shown."""


class Served(Struct, frozen=True, kw_only=True):
    """A worker, and the model it is there for; model is "" while it has none, and the fingerprint
    with it. target: what it is loading; size: bytes on disk; memory: bytes on the GPU where the
    engine tells, else of the process; trouble: why a model would not load."""

    worker: str
    host: str
    state: str
    model: str
    target: str
    fingerprint: str
    engine: str
    context_length: int
    slots: int
    size: int
    memory: int
    trouble: str


class Models(Struct, frozen=True, kw_only=True):
    """What there is. known: models that were served once and are not now; trouble: why the mesh
    could not be asked; at: Unix seconds."""

    at: float
    served: list[Served]
    known: list[str]
    on_disk: list[Shelved]
    trouble: str = ""


@click.command("models")
@listed
@options(OperatorSettings, "data_dir", "nats", "models_dir")
def command(watch: bool, as_json: bool, **flags: Any) -> None:
    """Show which models are served where, and which are on this machine's disk.

    On disk: the bundled one, what was downloaded from the hub, and the folder of models
    (MESH_MODELS_DIR). `mesh switch WORKER NAME` has one of them served.
    """
    with suppress(KeyboardInterrupt):
        asyncio.run(_show(flags, watch, as_json))


async def _show(flags: dict[str, Any], watch: bool, as_json: bool) -> None:
    models_dir = read(OperatorSettings, flags).models_dir
    shelf = await asyncio.to_thread(on_disk, models_dir)
    try:
        settings = settings_of("operator", OperatorSettings, flags)
        async with connected(settings) as js:

            async def seen() -> Models:
                return await look(js, shelf)

            await show(seen, render, watch=watch, as_json=as_json, trouble=MeshError)
    except MeshError as error:
        detail = error.detail

        async def alone() -> Models:
            return Models(at=time.time(), served=[], known=[], on_disk=shelf, trouble=detail)

        await show(alone, render, watch=False, as_json=as_json, trouble=MeshError)


async def look(js: JetStream, shelf: list[Shelved]) -> Models:
    """The models now; raises MeshError while the broker does not answer."""
    try:
        workers = await workers_present(js)
        queues = await models_queues(js, workers)
    except BusError as error:
        raise MeshError(
            ErrorCode.BROKER_UNAVAILABLE, f"The broker did not answer: {error}."
        ) from error
    served = [row for worker in workers for row in _rows(worker)]
    now = {row.model for row in served}
    return Models(
        at=time.time(),
        served=served,
        known=[queue.model for queue in queues if queue.model not in now],
        on_disk=shelf,
    )


def _rows(worker: WorkerInfo) -> list[Served]:
    nothing = ModelCard(name="", fingerprint="", engine="", context_length=0)
    return [_row(worker, card) for card in worker.models or (nothing,)]


def _row(worker: WorkerInfo, card: ModelCard) -> Served:
    return Served(
        worker=worker.name,
        host=worker.host,
        state="leaving" if worker.draining else worker.state,
        model=card.name,
        target=worker.target,
        fingerprint=card.fingerprint,
        engine=card.engine,
        context_length=card.context_length,
        slots=worker.slots,
        size=card.size,
        memory=card.memory or worker.memory,
        trouble=worker.trouble,
    )


# --- for people -----------------------------------------------------------------------------------


def render(models: Models) -> RenderableType:
    """What there is, as tables."""
    parts: list[RenderableType] = []
    if models.trouble:
        parts.append(Text(models.trouble, style="yellow"))
    elif not models.served:
        parts.append(Text("No worker is there: start one with `mesh worker`.", style="yellow"))
    else:
        parts.append(_served(models.served))
        parts += [
            Text(f"{row.worker}: {row.trouble}", "red") for row in models.served if row.trouble
        ]
    if models.known:
        parts.append(Text(f"Served by nobody now: {', '.join(models.known)}", style="yellow"))
    parts.append(_shelf(models.on_disk))
    parts += [Text(each.trouble, style="red") for each in models.on_disk if each.trouble]
    return Group(*(line for part in parts for line in (part, Text())))


def _served(rows: list[Served]) -> RenderableType:
    columns = ("MODEL", "WORKER", "STATE", "ENGINE", "FINGERPRINT", "CONTEXT", "SIZE", "MEMORY")
    shown = table(
        "Served", *columns, "HOST", right=("CONTEXT", "SIZE", "MEMORY"), shrinks=("HOST", "MODEL")
    )
    for row in rows:
        shown.add_row(
            cell(row.model or "-"),
            cell(row.worker, "green"),
            cell(f"{row.state} {row.target}", _STYLES.get(row.state, "yellow")),
            cell(row.engine),
            cell(row.fingerprint[:FINGERPRINT], "dim"),
            str(row.context_length or ""),
            size(row.size) if row.size else "",
            size(row.memory) if row.memory else "",
            cell(row.host),
        )
    return shown


def _shelf(shelf: list[Shelved]) -> RenderableType:
    columns = ("NAME", "PLACE", "ENGINE", "FINGERPRINT", "SIZE")
    shown = table("On this machine's disk", *columns, right=("SIZE",), shrinks=("NAME",))
    for each in shelf:
        shown.add_row(
            cell(each.name, "red" if each.trouble else ""),
            cell(each.place),
            cell(each.engine),
            cell(each.fingerprint[:FINGERPRINT], "dim"),
            size(each.size),
        )
    return shown


_STYLES = {"serving": "green", "resting": "cyan", "unloaded": "dim"}
