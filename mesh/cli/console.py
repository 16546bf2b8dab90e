"""How `mesh up` looks: the children's lines behind their names, and the banner."""

import os
import re
import shutil
import sys
from pathlib import Path

import click

from mesh.cli.local import Running
from mesh.cli.screen import count
from mesh.protocol.worker_info import WorkerInfo
from mesh.settings import UpSettings

_COLOURS = {"broker": "blue", "store": "magenta", "gateway": "cyan", "worker": "green"}
_BROKER_LINE = re.compile(r"\[\d+\] \S+ (\d\d:\d\d:\d\d)\.\d+ \[(\w+)\] ?(.*)")
_BROKER_LEVELS = {"WRN": "WARNING", "ERR": "ERROR", "FTL": "FATAL"}
_EXPECTED = re.compile("Plaintext passwords detected|.*TLS handshake error: EOF$")
"""Not worth a line: who only looks whether a broker is there hangs up before the handshake."""

WIDTH = 9

PRIVATE = "this machine only, where no password is asked for"
ACCOUNTS_ONLY = "the network, for those with an account: `mesh user add`"


class Console:
    """Where the children's lines go: stdout, one line each, never mixed."""

    def say(self, name: str, text: str) -> None:
        """Print a child's line, unless the broker only says how it is."""
        line = _of_broker(text) if name == "broker" else text
        if line:
            label = click.style(f"{name:<{WIDTH}}", fg=_COLOURS.get(name.split()[0]))
            click.echo(f"{label} | {line}")


def _of_broker(text: str) -> str:
    """The broker's line in the form of the others'; "" for its everyday lines."""
    match = _BROKER_LINE.match(text)
    if match is None:
        return text
    time, level, rest = match.groups()
    if level not in _BROKER_LEVELS or _EXPECTED.match(rest):
        return ""
    return f"{time} {_BROKER_LEVELS[level]:<7} {rest}"


def banner(
    version: str, running: Running, data: Path, workers: list[WorkerInfo], private: bool = True
) -> str:
    """What to know of a mesh that is up, in aligned lines. private: see `GatewaySettings`.

    The admin's password is said only where it lies, and only until it is changed.
    """
    password = data / "admin-password"
    rows = {
        "Gateway": running.gateway,
        "Open to": PRIVATE if private else ACCOUNTS_ONLY,
        "Broker": running.nats,
        "Data folder": str(data),
        "Model": models(workers),
        **({"Admin": f"admin, password in {password}"} if password.exists() else {}),
        "Next": f"{_where(running)}{myself()} chat    (in another terminal)",
        "Stop": "Ctrl-C",
    }
    width = max(len(label) for label in rows) + 2
    lines = [f"  {click.style(f'{label:<{width}}', bold=True)}{row}" for label, row in rows.items()]
    title = click.style(f"The mesh is up (version {version})", bold=True, fg="green")
    return "\n".join(["", f"  {title}", "", *lines, ""])


def _where(running: Running) -> str:
    """What a client has to be told beforehand, unless it looks there by itself."""
    looked_for = f"http://127.0.0.1:{UpSettings().port}"
    return "" if running.gateway == looked_for else f"MESH_URL={running.gateway} "


def models(workers: list[WorkerInfo]) -> str:
    """The models on offer, with their engines, workers and slots."""
    offers: dict[tuple[str, str], list[int]] = {}
    for worker in workers:
        for card in worker.models:
            offers.setdefault((card.name, card.engine), []).append(worker.slots)
    parts = [
        f"{name} ({engine}, {count(len(slots), 'worker')}, {count(sum(slots), 'slot')})"
        for (name, engine), slots in offers.items()
    ]
    return ", ".join(parts) or "none: add one with `mesh worker`"


def myself() -> str:
    """How to call this command from here: by its name if PATH finds it, else by its path."""
    path = Path(sys.executable).parent / "mesh"
    if shutil.which("mesh") == str(path):
        return "mesh"
    relative = os.path.relpath(path)
    return str(path) if relative.startswith("..") else relative
