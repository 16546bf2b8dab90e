"""`mesh switch`: another model for a worker that runs. Orders it, and waits until it is served."""

import asyncio
import socket
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import click
import msgspec
from msgspec import Struct

from mesh.bus.connection import BusError, NoResponders, Silence
from mesh.bus.jetstream import JetStream
from mesh.cli.drain import find_worker
from mesh.cli.fleet import connected, workers_present
from mesh.cli.local import settings_of
from mesh.cli.options import options
from mesh.protocol import subjects
from mesh.protocol.codec import decode_order_reply
from mesh.protocol.errors import ErrorCode, MeshError
from mesh.protocol.questions import LoadModel, Refused, UnloadModel
from mesh.protocol.subjects import Writer
from mesh.protocol.worker_info import WorkerInfo
from mesh.settings import OperatorSettings
from mesh_client import completing

LOOK = 0.2
"""Seconds between two looks at how far it is."""

GRACE = 30.0
"""Seconds in which answers may be finished where another worker could go on with them."""

DAY = 86_400.0


class Outcome(Struct, frozen=True, kw_only=True):
    """What came of it. models: on offer now; state: as `mesh models` shows it; seconds: how long
    that was waited for."""

    worker: str
    models: list[str]
    state: str
    seconds: float


grace_option = click.option(
    "--grace", type=click.FloatRange(0, DAY), metavar="FLOAT",
    help="Seconds in which it may finish answers before it hands them over. [default: "
    f"{GRACE:g} if another worker serves their model, else until they have ended]",
)  # fmt: skip
no_wait_option = click.option("--no-wait", is_flag=True, help="Return as soon as it was told.")
json_option = click.option("--json", "as_json", is_flag=True, help="One JSON object.")


@click.command("switch")
@click.argument("worker", shell_complete=completing.workers)
@click.argument("model", default="")
@click.option("--engine", default="", metavar="TEXT", help="Engine; by default by what MODEL is.")
@click.option("--name", default="", metavar="TEXT", help="Name under which it is offered.")
@grace_option
@no_wait_option
@json_option
@options(OperatorSettings, "data_dir", "nats")
def command(
    worker: str,
    model: str,
    engine: str,
    name: str,
    grace: float | None,
    no_wait: bool,
    as_json: bool,
    **flags: Any,
) -> None:
    """Let WORKER serve MODEL instead of what it serves now.

    MODEL is a path on the worker's machine, a name in its folder of models, or
    hf:owner/name[:file]; without it, what the worker was started with. No request is lost: answers
    under way are finished or handed over, and requests for the old model wait for whoever serves
    it.
    """
    settings = settings_of("operator", OperatorSettings, flags)
    order = LoadModel(model=model, engine=engine, name=name)
    carry_out(settings, worker, order, grace, wait=not no_wait, as_json=as_json)


def carry_out(
    settings: OperatorSettings,
    worker: str,
    order: LoadModel | UnloadModel,
    grace: float | None,
    *,
    wait: bool,
    as_json: bool,
) -> None:
    """Give an order and print what came of it. Raises MeshError when nothing did."""
    with suppress(KeyboardInterrupt):
        outcome = asyncio.run(_carry_out(settings, worker, order, grace, wait))
        click.echo(msgspec.json.encode(outcome) if as_json else _sentence(outcome, wait))


async def _carry_out(
    settings: OperatorSettings,
    name: str,
    order: LoadModel | UnloadModel,
    grace: float | None,
    wait: bool,
) -> Outcome:
    try:
        async with connected(settings) as js:
            worker = await find_worker(js, name)
            patience = await _patience(js, worker) if grace is None else grace
            order = msgspec.structs.replace(_from_here(order, worker), grace=patience)
            began = time.monotonic()
            change = await _told(js, worker, order)
            now = await _changed(js, worker, change) if wait else worker
            return Outcome(
                worker=name,
                models=[card.name for card in now.models],
                state=now.state if wait else "loading",
                seconds=round(time.monotonic() - began, 1),
            )
    except BusError as error:
        raise MeshError(
            ErrorCode.BROKER_UNAVAILABLE, f"The broker did not answer: {error}."
        ) from error


def _from_here(order: LoadModel | UnloadModel, worker: WorkerInfo) -> LoadModel | UnloadModel:
    """A relative path means one from here, if the worker is on this machine."""
    if isinstance(order, LoadModel) and worker.host == socket.gethostname():
        path = Path(order.model)
        if order.model and path.exists():
            return msgspec.structs.replace(order, model=str(path.absolute()))
    return order


async def _patience(js: JetStream, worker: WorkerInfo) -> float:
    """Nobody else could go on with its answers: then let them end here; each has a deadline."""
    served = {card.fingerprint for card in worker.models}
    others = (other for other in await workers_present(js) if other.name != worker.name)
    could = any(
        not other.draining and served & {card.fingerprint for card in other.models}
        for other in others
    )
    return GRACE if could else DAY


async def _told(js: JetStream, worker: WorkerInfo, order: LoadModel | UnloadModel) -> int:
    """Give the order; returns the number of the change. Raises MeshError if it is refused."""
    writer = Writer(worker.name, worker.inc)
    try:
        answer = await js.bus.request(subjects.orders(writer), order, timeout=10.0)
    except (NoResponders, Silence) as error:
        raise MeshError(
            ErrorCode.NO_WORKER,
            f"The worker {worker.name} does not answer: it is gone, or older than this command.",
        ) from error
    reply = decode_order_reply(answer.data)
    if isinstance(reply, Refused):
        raise MeshError(reply.code, f"{worker.name}: {reply.detail or reply.code.sentence}")
    return reply.change


async def _changed(js: JetStream, worker: WorkerInfo, change: int) -> WorkerInfo:
    """Wait for a change to be made. Raises MeshError if it could not be, or the worker is gone."""
    while True:
        await asyncio.sleep(LOOK)
        if not js.bus.connected:
            continue
        now = next((each for each in await workers_present(js) if each.name == worker.name), None)
        if now is None or now.inc != worker.inc:
            raise MeshError(
                ErrorCode.NO_WORKER,
                f"The worker {worker.name} was lost on the way; its log says why. What it had is "
                "done by others.",
            )
        if now.changes < change:
            continue
        if now.trouble:
            serves = ", ".join(card.name for card in now.models) or "nothing"
            raise MeshError(
                ErrorCode.ENGINE_FAILED, f"{now.trouble} {worker.name} serves {serves} now."
            )
        return now


def _sentence(outcome: Outcome, waited: bool) -> str:
    if not waited:
        return f"{outcome.worker} was told; `mesh models` shows how far it is."
    serves = ", ".join(outcome.models) or "nothing"
    return f"{outcome.worker} serves {serves} after {outcome.seconds:g} s."
