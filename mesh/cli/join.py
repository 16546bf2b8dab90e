"""`mesh join`: make a worker on another machine a user of this broker, and print what to type."""

import ipaddress
import shlex
import socket
from typing import Any

import click

from mesh.cli import broker
from mesh.cli.enrol import BrokerFolder, Credential
from mesh.cli.local import reachable, recall
from mesh.cli.names import name_held
from mesh.cli.options import options
from mesh.settings import Settings, read


@click.command("join")
@click.argument("name")
@click.option("--host", help="Name or address by which the other machine reaches this one.")
@click.option("--remove", is_flag=True, help="Take the worker's access away instead.")
@options(Settings, "data_dir", "nats_host", "nats_port")
def command(name: str, host: str | None, remove: bool, **flags: Any) -> None:
    """Let a worker called NAME join from another machine: prints the line to type there.

    Joining a name again gives it a new password; the old one is worth nothing from then on.
    """
    settings = read(Settings, flags)
    folder = BrokerFolder(settings.data_path)
    if remove:
        folder.remove(name)
        broker.expel(folder)
        click.echo(f"{name} may not connect any more.")
        return
    running = recall(settings.data_path)
    listens = running.nats_host if running else settings.nats_host
    port = running.nats_port if running else settings.nats_port
    folder.prepare()
    servers = [f"nats://{reachable(listens)}:{port}"]
    with name_held(folder, name):
        credential = broker.admit(folder, servers, name, elsewhere=True)
    click.echo(instructions(credential, host or own_address(), port))
    if is_loopback(listens):
        click.secho(_LOOPBACK, fg="yellow", err=True)


def instructions(credential: Credential, host: str, port: int) -> str:
    """What to type on the other machine."""
    secret = f"MESH_WORKER_PASSWORD={shlex.quote(credential.password)}"
    line = f"mesh worker --worker-name {credential.user} --nats nats://{host}:{port}"
    return f"On the other machine, with an engine installed, type:\n\n  {secret} \\\n  {line}\n"


_LOOPBACK = """\
But the broker listens on this machine only. Start the mesh so that others reach it:

  MESH_NATS_HOST=0.0.0.0 mesh up

The connection is not encrypted: use a network you trust, or a VPN."""


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches a server that listens on `host`."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def own_address() -> str:
    """The address that this machine would use towards others. Sends nothing."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return socket.gethostname()
        return str(probe.getsockname()[0])
