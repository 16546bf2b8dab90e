"""The operator's connection to a broker that need not be running: if none is, one is lent.

It runs on the data folder, on a port that nobody knows, for as long as it takes.
"""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext, suppress
from typing import Any

import msgspec
import psutil

from mesh.bus.jetstream import JetStream
from mesh.cli import broker, fleet, ready
from mesh.cli.enrol import BrokerFolder, Credential
from mesh.cli.leash import Leash
from mesh.cli.ports import free_port
from mesh.cli.supervise import Child, Program
from mesh.protocol.errors import ErrorCode, MeshError
from mesh.settings import OperatorSettings, broker_url, read

LOOPBACK = "127.0.0.1"

TIMEOUT = 30.0
"""Seconds for a broker to answer while it has much to read or to write."""


@asynccontextmanager
async def connected(settings: OperatorSettings) -> AsyncIterator[JetStream]:
    """A connection to the broker at these settings' address."""
    async with fleet.connected(settings) as js:
        yield JetStream(js.bus, TIMEOUT)


def named(flags: dict[str, Any]) -> bool:
    """Whether somebody said at which address the broker is."""
    return bool(read(OperatorSettings, flags).nats)


@asynccontextmanager
async def of(settings: OperatorSettings, told: bool) -> AsyncIterator[JetStream]:
    """A connection to the broker that was named, or that runs for this data folder; else to one
    that is lent."""
    folder = BrokerFolder(settings.data_path.absolute())
    there = told or broker.is_running(folder) or await asyncio.to_thread(_lets_in, settings)
    async with nullcontext(settings) if there else own(folder, settings) as where:
        async with connected(where) as js:
            yield js


@asynccontextmanager
async def own(folder: BrokerFolder, settings: OperatorSettings) -> AsyncIterator[OperatorSettings]:
    """A broker that runs on this folder until we leave: yields the settings by which it is reached.

    Raises MeshError (conflict) where one runs there already.
    """
    refuse_running(folder)
    secrets, port = folder.prepare(), free_port(LOOPBACK)
    program = Program(
        name="broker",
        command=broker.command(broker.find(), folder, LOOPBACK, port),
        environment=os.environ | broker.environment(secrets),
        hold=lambda: broker.running_mark(folder),
    )
    here = msgspec.structs.replace(
        settings,
        nats=broker_url(LOOPBACK, port, bool(folder.ca)),
        nats_ca=folder.ca,
        operator_password=secrets.operator,
    )
    with Leash() as leash:
        child = Child(program, leash, _unheard)
        running = asyncio.create_task(child.run())
        try:
            await _listening(folder, here, running)
            yield here
        finally:
            await child.stop()
            folder.pid_file.unlink(missing_ok=True)
            with suppress(MeshError):
                await running


def refuse_running(folder: BrokerFolder) -> None:
    """Raise MeshError (conflict) if a broker runs on this folder, whoever started it."""
    if broker.is_running(folder) or _lives(folder):
        raise MeshError(
            ErrorCode.CONFLICT,
            f"A broker is running on {folder.data}: stop it first, or name its address with "
            "--nats or MESH_NATS.",
        )


def _lets_in(settings: OperatorSettings) -> bool:
    """Whether a broker at the usual address is this mesh's."""
    operator = Credential("operator", settings.operator_password)
    return any(
        broker.accepts(*broker.address(url), operator, ca=settings.nats_ca)
        for url in settings.servers
    )


def _lives(folder: BrokerFolder) -> bool:
    """Whether the pid file names a broker: one that was not started by us has no other mark."""
    try:
        return "nats-server" in psutil.Process(int(folder.pid_file.read_text())).name()
    except (FileNotFoundError, ValueError, psutil.Error):
        return False


async def _listening(
    folder: BrokerFolder, here: OperatorSettings, running: "asyncio.Task[None]"
) -> None:
    """Wait until the broker lets the operator in; raise what it failed with instead."""
    operator = folder.credential("operator")
    waiting = asyncio.create_task(ready.broker_listens(here.nats, operator, folder.ca))
    await asyncio.wait([waiting, running], return_when=asyncio.FIRST_COMPLETED)
    if not waiting.done():
        waiting.cancel()
        await running


def _unheard(_name: str, _line: str) -> None:
    """A lent broker's own words are nobody's concern; why it failed is said by its `Child`."""
