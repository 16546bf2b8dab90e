"""`mesh doctor`: what is wrong with a mesh, and how to mend it."""

import asyncio
from collections import Counter
from typing import Any

import click
import msgspec
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from mesh.cli.enrol import BrokerFolder
from mesh.cli.examine import examine
from mesh.cli.findings import Finding
from mesh.cli.local import reachable, recall, with_address
from mesh.cli.options import options
from mesh.cli.screen import console
from mesh.protocol.errors import MeshError
from mesh.settings import OperatorSettings, origins

_STYLES = {"ok": "green", "warn": "yellow", "fail": "bold red"}


@click.command("doctor")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@options(OperatorSettings, "data_dir", "nats", "host", "port")
@click.pass_context
def command(ctx: click.Context, /, as_json: bool, **flags: Any) -> None:
    """Say what is wrong, and how to mend it. Exit status 1 if anything is.

    Looks at the data folder, the broker and its streams, store, workers and gateway, and at who
    else can reach them. Changes nothing.
    """
    settings = _with_password(with_address(OperatorSettings, flags))
    found = asyncio.run(examine(settings, _gateway(settings, flags)))
    if as_json:
        click.echo(msgspec.json.encode({"healthy": _healthy(found), "findings": found}))
    else:
        console().print(render(found))
    ctx.exit(0 if _healthy(found) else 1)


def render(found: list[Finding]) -> RenderableType:
    """A line for each finding, and the sum of them."""
    lines = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    lines.add_column(no_wrap=True)
    lines.add_column(no_wrap=True)
    lines.add_column(overflow="fold")
    for finding in found:
        state = Text(finding.state, style=_STYLES[finding.state])
        lines.add_row(state, Text(finding.check), Text(finding.sentence))
    return Group(lines, Text(), _sum(found))


def _sum(found: list[Finding]) -> Text:
    count = Counter[str](finding.state for finding in found)
    words = {"fail": "to mend", "warn": "to watch", "ok": "well"}
    parts = [f"{count[state]} {word}" for state, word in words.items() if count[state]]
    worst = next(state for state in words if count[state])
    return Text(", ".join(parts) + ".", style=_STYLES[worst])


def _healthy(found: list[Finding]) -> bool:
    return all(finding.state != "fail" for finding in found)


def _with_password(settings: OperatorSettings) -> OperatorSettings:
    """The settings with the folder's password, if it has one: that it has none is a finding."""
    if settings.operator_password:
        return settings
    try:
        password = BrokerFolder(settings.data_path).credential("operator").password
    except (MeshError, OSError):
        return settings
    return msgspec.structs.replace(settings, operator_password=password)


def _gateway(settings: OperatorSettings, flags: dict[str, Any]) -> str:
    """The gateway's URL: as told, else that of the `mesh up` on the data folder."""
    found = origins(OperatorSettings, flags)
    told = any(found[name].origin != "default" for name in ("host", "port"))
    running = None if told else recall(settings.data_path)
    if running is not None:
        return running.gateway
    host = reachable(settings.host)
    return f"http://{f'[{host}]' if ':' in host else host}:{settings.port}"
