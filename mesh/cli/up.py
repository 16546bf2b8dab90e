"""`mesh up`: a whole mesh on this machine, under one supervisor. The order is the work here.

Broker, then store, gateway and workers; on the way out workers first, so that answers under way
are finished or handed over, and the broker last.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from typing import Any

import click
import msgspec

import mesh
from mesh.bus.connection import BusError
from mesh.bus.trust import is_loopback
from mesh.cli import broker, ready
from mesh.cli.console import Console, banner
from mesh.cli.enrol import BrokerFolder
from mesh.cli.leash import Leash
from mesh.cli.local import Running, forget, recall, remember
from mesh.cli.locks import Held, folder_lock
from mesh.cli.moving import refuse_half_restored
from mesh.cli.options import options
from mesh.cli.ports import check_free, free_port
from mesh.cli.registrar import register
from mesh.cli.room import Room
from mesh.cli.supervise import Child, Program
from mesh.protocol.errors import ErrorCode, MeshError
from mesh.settings import UpSettings, env_name, gateway_url, read

FLAGS = (
    "data_dir",
    "host",
    "port",
    "nats_host",
    "nats_port",
    "workers",
    "engine",
    "model",
    "grace",
    "log_level",
    "log_format",
)
BROKER, GATEWAY = "broker", "gateway"
_PASSWORDS = ("MESH_GATEWAY_PASSWORD", "MESH_STORE_PASSWORD", "MESH_WORKER_PASSWORD")
_LOADING = "The gateway answers; waiting for the model to be loaded ..."
NOTICE = 3.0
"""Seconds of waiting for a worker after which we say so."""


@click.command("up")
@options(UpSettings, *FLAGS)
def command(**flags: Any) -> None:
    """Run broker, store, gateway and a worker on this machine, until Ctrl-C.

    Every other setting of these services is read from the environment or from mesh.toml.
    """
    settings = read(UpSettings, flags)
    if settings.port == 0:
        settings = msgspec.structs.replace(settings, port=free_port(settings.host))
    folder = BrokerFolder(settings.data_path.absolute())
    refuse_half_restored(folder.data)
    folder.prepare()
    try:
        with folder_lock(folder.data):
            folder.prepare(tls=not is_loopback(settings.nats_host))
            asyncio.run(Up(settings, flags, folder).run())
    except Held:
        raise MeshError(ErrorCode.CONFLICT, _already(folder)) from None


class Up:
    """One `mesh up`, from the check of the ports to the end of the last process."""

    def __init__(self, settings: UpSettings, flags: dict[str, Any], folder: BrokerFolder) -> None:
        self._settings = settings
        self._folder = folder
        self._console = Console()
        self._stages: list[list[Child]] = []
        self._asked = asyncio.Event()
        self._listens = asyncio.Event()
        self._room = Room(folder.streams, partial(self._console.say, BROKER))
        self._running = Running(
            pid=os.getpid(),
            nats_host=settings.nats_host,
            nats_port=settings.nats_port,
            gateway=gateway_url(settings.host, settings.port),
            tls=bool(folder.ca),
        )
        self._environment = _environment(settings, flags, self._running, folder.ca)

    async def run(self) -> None:
        """Start everything, stay until asked to stop, stop everything.

        Raises MeshError when a port is taken or a process cannot be kept running.
        """
        server = broker.find()
        check_free(self._settings)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            asyncio.get_running_loop().add_signal_handler(number, self._on_signal)
        with Leash() as leash:
            try:
                await self._stay(leash, server)
            finally:
                await self._stop()
                forget(self._folder.data)
                self._folder.pid_file.unlink(missing_ok=True)

    async def _stay(self, leash: Leash, server: str) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                starting = group.create_task(self._start(group, leash, server))
                watching = group.create_task(self._room.watch(self._renew_broker))
                registering = group.create_task(self._register())
                await self._asked.wait()
                for task in (starting, watching, registering):
                    task.cancel()
                await self._stop()
        except ExceptionGroup as failures:  # not `except*`: before Python 3.11.4 it wraps its raise
            ours, others = failures.split(MeshError)
            if ours is None or others is not None:
                raise
            raise ours.exceptions[0] from None

    async def _start(self, group: asyncio.TaskGroup, leash: Leash, server: str) -> None:
        def launch(*programs: Program) -> list[Child]:
            children = [Child(program, leash, self._say) for program in programs]
            self._stages.append(children)
            for child in children:
                group.create_task(child.run())
            return children

        click.echo("Starting the mesh ...")
        launch(self._broker(server))
        operator = self._folder.credential("operator")
        await ready.broker_listens(self._running.nats, operator, self._folder.ca)
        remember(self._folder.data, self._running)
        self._listens.set()
        launch(self._service("store"))
        launch(self._service(GATEWAY))
        workers = launch(*self._workers())
        await ready.gateway_answers(self._running.gateway)
        notice = asyncio.get_running_loop().call_later(NOTICE, click.echo, _LOADING)
        present = await ready.workers_started(
            self._running.nats,
            operator,
            lambda: {worker.pid for worker in workers},
            self._folder.ca,
        )
        notice.cancel()
        private = self._settings.private
        click.echo(banner(mesh.__version__, self._running, self._folder.data, present, private))

    async def _register(self) -> None:
        await self._listens.wait()
        await register(self._folder, self._running.nats, self._console.say)

    def _say(self, name: str, line: str) -> None:
        if name == BROKER:
            self._room.hear(line)
        self._console.say(name, line)

    async def _renew_broker(self) -> None:
        [child] = self._stages[0]
        await child.renew()

    def _broker(self, server: str) -> Program:
        settings, secrets = self._settings, self._folder.secrets()
        return Program(
            name=BROKER,
            command=broker.command(server, self._folder, settings.nats_host, settings.nats_port),
            environment=os.environ | broker.environment(secrets),
            hold=lambda: broker.running_mark(self._folder),
        )

    def _service(self, name: str) -> Program:
        return Program(name=name, command=_mesh(name), environment=self._environment)

    def _workers(self) -> list[Program]:
        return [
            Program(
                name=f"worker {number}",
                command=_mesh("worker"),
                environment=self._environment,
                grace=self._settings.grace + 20,  # to hand over what is left, and say goodbye
                tells=True,
            )
            for number in range(1, self._settings.workers + 1)
        ]

    def _on_signal(self) -> None:
        if self._asked.is_set():
            for child in self._all():
                child.kill()
            return
        self._asked.set()
        click.echo("\nStopping: answers under way may be finished; Ctrl-C again stops at once.")

    async def _stop(self) -> None:
        """Stop everything, those who need others first: workers, gateway, store, broker."""
        for stage in reversed(self._stages):
            if stage[0].program.name == GATEWAY and stage[0].pid and self._stages[0][0].pid:
                await self._let_others_finish()
            await asyncio.gather(*(child.stop() for child in stage))

    async def _let_others_finish(self) -> None:
        """Give answers of workers that were started elsewhere their grace: they go through here."""
        operator = self._folder.credential("operator")
        with suppress(BusError, TimeoutError):
            async with asyncio.timeout(self._settings.grace):
                await ready.nobody_answers(
                    self._running.nats,
                    operator,
                    lambda: click.echo("Waiting for the answers of workers started elsewhere."),
                    self._folder.ca,
                )

    def _all(self) -> list[Child]:
        return [child for stage in self._stages for child in stage]


def _mesh(name: str) -> list[str]:
    return [sys.executable, "-m", "mesh", name]


def _environment(
    settings: UpSettings, flags: Mapping[str, Any], running: Running, ca: str
) -> dict[str, str]:
    """What the services read: our own environment, our flags, and where the broker is.

    Passwords they find in the data folder, which they can read as we can.
    """
    given = {env_name(name): str(value) for name, value in flags.items() if value is not None}
    own = {
        "MESH_DATA_DIR": str(settings.data_path.absolute()),
        "MESH_NATS": running.nats,
        "MESH_NATS_CA": ca,
        "MESH_PORT": str(settings.port),
        "PYTHONUNBUFFERED": "1",
    }
    return os.environ | dict.fromkeys(_PASSWORDS, "") | given | own


def _already(folder: BrokerFolder) -> str:
    running = recall(folder.data)
    where = f" (its gateway: {running.gateway})" if running else ""
    return (
        f"A mesh is running on {folder.data} already{where}. Use that one, or choose another "
        "folder with --data-dir or MESH_DATA_DIR."
    )
