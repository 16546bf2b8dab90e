"""`mesh doctor`: what is wrong with a mesh, and how to mend it."""

import asyncio
from collections import Counter
from contextlib import suppress
from typing import Any

import click
import msgspec
from msgspec import Struct
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from mesh.cli.enrol import BrokerFolder
from mesh.cli.examine import examine
from mesh.cli.findings import Finding
from mesh.cli.local import recall, with_address
from mesh.cli.options import options
from mesh.cli.screen import cell
from mesh.cli.watch import listed, show
from mesh.protocol.errors import MeshError
from mesh.settings import OperatorSettings, StoreSettings, gateway_url, origins, read

_STYLES = {"ok": "green", "warn": "yellow", "fail": "bold red"}


class Report(Struct, frozen=True, kw_only=True):
    """What was found. healthy: nothing has to be mended."""

    healthy: bool
    findings: list[Finding]


@click.command("doctor")
@listed
@options(OperatorSettings, "data_dir", "nats", "host", "port")
@click.pass_context
def command(ctx: click.Context, /, watch: bool, as_json: bool, **flags: Any) -> None:
    """Say what is wrong, and how to mend it. Exit status 1 if anything is.

    Looks at the data folder, the broker and its streams, store, workers and gateway, and at who
    else can reach them. Changes nothing.
    """
    settings = _with_password(with_address(OperatorSettings, flags))
    database = read(StoreSettings, {"data_dir": flags["data_dir"]}).database_path
    last = Report(healthy=False, findings=[])

    async def look() -> Report:
        nonlocal last
        found = await examine(settings, database, _gateway(settings, flags))
        last = Report(healthy=_healthy(found), findings=found)
        return last

    with suppress(KeyboardInterrupt):
        asyncio.run(show(look, _drawn, watch=watch, as_json=as_json, trouble=MeshError))
    ctx.exit(0 if last.healthy else 1)


def _drawn(report: Report) -> RenderableType:
    return render(report.findings)


def render(found: list[Finding]) -> RenderableType:
    """A line for each finding, and the sum of them."""
    lines = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    lines.add_column(no_wrap=True)
    lines.add_column(no_wrap=True)
    lines.add_column(overflow="fold")
    for finding in found:
        state = Text(finding.state, style=_STYLES[finding.state])
        lines.add_row(state, cell(finding.check), cell(finding.sentence))
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
    except MeshError:
        return settings
    return msgspec.structs.replace(settings, operator_password=password)


def _gateway(settings: OperatorSettings, flags: dict[str, Any]) -> str:
    """The gateway's URL: as told, else that of the `mesh up` on the data folder."""
    found = origins(OperatorSettings, flags)
    told = any(found[name].origin != "default" for name in ("host", "port"))
    running = None if told else recall(settings.data_path)
    if running is not None:
        return running.gateway
    return gateway_url(settings.host, settings.port)
