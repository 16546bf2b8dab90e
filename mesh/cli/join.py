"""`mesh join`: make a worker on another machine a user of this broker, and print what to type."""

import re
import shlex
import socket
from typing import Any

import click

from mesh.bus.trust import is_loopback, written_out
from mesh.cli import broker
from mesh.cli.enrol import BrokerFolder, Credential, check_name
from mesh.cli.local import recall
from mesh.cli.names import name_held
from mesh.cli.options import options
from mesh.protocol.errors import ErrorCode, MeshError
from mesh.settings import Settings, broker_url, reachable, read


@click.command("join")
@click.argument("name")
@click.option("--host", help="Name or address by which the other machine reaches this one.")
@click.option("--remove", is_flag=True, help="Take the worker's access away instead.")
@click.option(
    "--tools", help="NAME is no worker, but a process that serves these tools, by commas."
)
@options(Settings, "data_dir", "nats_host", "nats_port")
def command(name: str, host: str | None, remove: bool, tools: str | None, **flags: Any) -> None:
    """Let a worker called NAME join from another machine: prints the line to type there.

    Joining a name again gives it a new password; the old one is worth nothing from then on. With
    --tools it prints what a process that serves them has to find in its environment.
    """
    served = tool_names(tools or "")
    settings = read(Settings, flags)
    folder = BrokerFolder(settings.data_path)
    if remove:
        folder.remove(name)
        broker.expel(folder)
        click.echo(f"{name} may not connect any more.")
        return
    check_name(name)  # before anything is made for it
    running = recall(settings.data_path)
    listens = running.nats_host if running else settings.nats_host
    port = running.nats_port if running else settings.nats_port
    folder.prepare(tls=not is_loopback(listens) and not broker.is_running(folder))
    secure = bool(folder.ca)
    if not is_loopback(listens) and not secure:
        raise MeshError(ErrorCode.CONFLICT, _UNENCRYPTED)
    servers = [broker_url(reachable(listens), port, secure)]
    with name_held(folder, name):
        credential = broker.admit(folder, servers, name, elsewhere=True, tools=served)
    trusted = written_out(folder.tls.certificate.read_text()) if secure else ""
    url = broker_url(host or own_address(), port, secure)
    told = tool_instructions if served else instructions
    click.echo(told(credential, url, trusted))
    if is_loopback(listens):
        click.secho(_LOOPBACK, fg="yellow", err=True)


def instructions(credential: Credential, url: str, certificate: str = "") -> str:
    """What to type on the other machine: one line, with all that it needs."""
    given = [f"MESH_WORKER_PASSWORD={shlex.quote(credential.password)}"]
    given += [f"MESH_NATS_CA={shlex.quote(certificate)}"] if certificate else []
    line = f"{' '.join(given)} mesh worker --worker-name {credential.user} --nats {url}"
    return f"On the other machine, with an engine installed, type:\n\n  {line}\n"


def tool_names(listed: str) -> tuple[str, ...]:
    """The tools' names. Raises MeshError (bad_request)."""
    names = tuple(dict.fromkeys(name.strip() for name in listed.split(",") if name.strip()))
    for name in names:
        if not TOOL.fullmatch(name):
            raise MeshError(
                ErrorCode.BAD_REQUEST,
                f"A tool cannot be named {name!r}: use up to 64 letters, digits, - and _.",
            )
    return names


def tool_instructions(credential: Credential, url: str, certificate: str = "") -> str:
    """What a process that serves tools has to find in its environment."""
    given = [
        f"MESH_NATS={url}",
        f"MESH_TOOL_USER={credential.user}",
        f"MESH_TOOL_PASSWORD={shlex.quote(credential.password)}",
    ]
    given += [f"MESH_NATS_CA={shlex.quote(certificate)}"] if certificate else []
    return f"Start the process that serves them with:\n\n  {' '.join(given)}\n"


TOOL = re.compile(r"[A-Za-z0-9_-]{1,64}")

_LOOPBACK = """\
But the broker listens on this machine only, and that line serves nobody else. Start the mesh so
that others reach it, which switches TLS on, and join again:

  MESH_NATS_HOST=0.0.0.0 mesh up"""

_UNENCRYPTED = (
    "The broker listens beyond this machine without TLS, so a password would be read on the way: "
    "stop it, and start it again with `mesh up`, which makes it a certificate."
)


def own_address() -> str:
    """The address that this machine would use towards others. Sends nothing."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return socket.gethostname()
        return str(probe.getsockname()[0])
