"""`mesh join`: make a worker on another machine a user of this broker, and print what to type."""

import shlex
import socket
from typing import Any

import click

from mesh.bus.trust import is_loopback, written_out
from mesh.cli import broker
from mesh.cli.enrol import BrokerFolder, Credential
from mesh.cli.local import recall
from mesh.cli.names import name_held
from mesh.cli.options import options
from mesh.protocol.errors import ErrorCode, MeshError
from mesh.settings import Settings, broker_url, reachable, read


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
    folder.prepare(tls=not is_loopback(listens) and not broker.is_running(folder))
    secure = bool(folder.ca)
    if not is_loopback(listens) and not secure:
        raise MeshError(ErrorCode.CONFLICT, _UNENCRYPTED)
    servers = [broker_url(reachable(listens), port, secure)]
    with name_held(folder, name):
        credential = broker.admit(folder, servers, name, elsewhere=True)
    trusted = written_out(folder.tls.certificate.read_text()) if secure else ""
    url = broker_url(host or own_address(), port, secure)
    click.echo(instructions(credential, url, trusted))
    if is_loopback(listens):
        click.secho(_LOOPBACK, fg="yellow", err=True)


def instructions(credential: Credential, url: str, certificate: str = "") -> str:
    """What to type on the other machine: one line, with all that it needs."""
    given = [f"MESH_WORKER_PASSWORD={shlex.quote(credential.password)}"]
    given += [f"MESH_NATS_CA={shlex.quote(certificate)}"] if certificate else []
    line = f"{' '.join(given)} mesh worker --worker-name {credential.user} --nats {url}"
    return f"On the other machine, with an engine installed, type:\n\n  {line}\n"


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
