"""`mesh worker`: one worker, enrolled on the way if the broker's folder is on this machine."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click

from mesh.cli import broker
from mesh.cli.at_work import AtWork
from mesh.cli.enrol import BrokerFolder, Credential
from mesh.cli.local import with_address
from mesh.cli.main import DRAINED
from mesh.cli.names import name_held
from mesh.cli.options import options
from mesh.cli.serving import serve
from mesh.protocol.errors import ErrorCode, MeshError
from mesh.settings import WorkerSettings


@click.command("worker")
@options(WorkerSettings)
def command(**flags: Any) -> None:
    """Run a worker: it takes prompts for one model and writes their answers.

    On the machine of a running `mesh up` it needs no option. Elsewhere, use the line that
    `mesh join NAME` prints.
    """
    from mesh.worker import app

    settings = with_address(WorkerSettings, flags)
    try:
        with enrolled(settings) as (name, password):
            at_work = AtWork()
            serve(settings, lambda stop: app.run(settings, name, password, stop, at_work, DRAINED))
    except app.Drained:
        sys.exit(DRAINED)
    except app.Interrupted:
        os._exit(0)  # Python would wait for the thread that loads


@contextmanager
def enrolled(settings: WorkerSettings) -> Iterator[Credential]:
    """The worker's broker user; while it is used, no other worker of this data folder has it.

    Raises MeshError (bad_request) for a password without a name, (conflict) for a name in use.
    """
    if settings.worker_password:
        if not settings.worker_name:
            raise MeshError(
                ErrorCode.BAD_REQUEST,
                "MESH_WORKER_PASSWORD is set, but no name: give --worker-name as well.",
            )
        yield Credential(settings.worker_name, settings.worker_password)
        return
    folder = BrokerFolder(settings.data_path)
    folder.secrets()
    with name_held(folder, settings.worker_name) as name:
        yield broker.admit(folder, settings.servers, name)
