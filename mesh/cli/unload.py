"""`mesh unload`: a worker serves nothing and frees its memory, but stays for the next order."""

from typing import Any

import click

from mesh.cli.local import settings_of
from mesh.cli.options import options
from mesh.cli.switch import carry_out, grace_option, json_option, no_wait_option
from mesh.protocol.questions import UnloadModel
from mesh.settings import OperatorSettings
from mesh_client import completing


@click.command("unload")
@click.argument("worker", shell_complete=completing.workers)
@grace_option
@no_wait_option
@json_option
@options(OperatorSettings, "data_dir", "nats")
def command(worker: str, grace: float | None, no_wait: bool, as_json: bool, **flags: Any) -> None:
    """Let WORKER finish or hand over its answers, free its model's memory, and wait for orders.

    `mesh switch WORKER` lets it serve again what it was started with.
    """
    settings = settings_of("operator", OperatorSettings, flags)
    carry_out(settings, worker, UnloadModel(), grace, wait=not no_wait, as_json=as_json)
