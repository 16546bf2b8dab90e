"""The broker's folder: its passwords, its users, and how a worker becomes one of them.

Everything here is files; whether a broker runs on them is `mesh.cli.broker`'s business. Changes
are made under a lock and by renaming, so whoever reads sees the old state or the new one.
"""

import os
import re
import shutil
from collections.abc import Mapping
from importlib.resources import as_file, files
from pathlib import Path
from secrets import token_urlsafe
from typing import NamedTuple

import msgspec
from msgspec import Struct

from mesh.cli.certificate import TlsFiles, new_pair
from mesh.cli.locks import folder_lock
from mesh.protocol import subjects
from mesh.protocol.errors import ErrorCode, MeshError
from mesh.protocol.subjects import Writer

ROLES = ("gateway", "store", "operator")
"""The broker users that nats.conf itself names."""

NOBODY: Mapping[str, tuple[str, ...]] = {}

_NAME = re.compile(r"[A-Za-z0-9_-]{1,40}")


class Credential(NamedTuple):
    """A broker user and its password."""

    user: str
    password: str


class Secrets(Struct, frozen=True, kw_only=True):
    """Every password of one broker.

    workers: name to password; elsewhere: those of them that were given to other machines; tools:
    those of them that are no workers, but serve these tools.
    """

    gateway: str
    store: str
    operator: str
    workers: dict[str, str]
    elsewhere: tuple[str, ...] = ()
    tools: dict[str, tuple[str, ...]] = {}

    def of(self, user: str) -> str:
        """A user's password; raises MeshError (not_found) for a name that is no user."""
        if user in ROLES:
            password: str = getattr(self, user)
            return password
        if user not in self.workers:
            raise MeshError(
                ErrorCode.NOT_FOUND,
                f"The broker knows no user {user!r}; `mesh join {user}` makes it a worker.",
            )
        return self.workers[user]


class BrokerFolder:
    """`<data>/broker`: private to its owner. A constructor opens nothing; `prepare` makes it."""

    def __init__(self, data_path: Path) -> None:
        self.data = data_path
        self.path = data_path / "broker"
        self.config = self.path / "workers.conf"
        self.streams = self.path / "streams"
        self.workers = self.path / "workers"
        self.pid_file = self.path / "nats.pid"
        self.tls = TlsFiles(self.path / "tls" / "cert.pem", self.path / "tls" / "key.pem")
        self._secrets = self.path / "secrets.json"

    @property
    def ca(self) -> str:
        """The certificate by which this machine's own processes trust the broker; "": no TLS."""
        return str(self.tls.certificate) if self.tls.there() else ""

    def prepare(self, *, tls: bool = False) -> Secrets:
        """Make what is missing: folders, passwords, configuration. Returns the passwords.

        tls: a certificate as well; once it is there, the broker speaks nothing but TLS. Raises
        MeshError (conflict) where the folder cannot be written.
        """
        try:
            for folder in (self.data, self.path, self.streams):
                folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            with folder_lock(self.path, wait=True):
                if not self._secrets.exists():
                    self._save(new_secrets())
                secrets = self.secrets()
                if tls and not self.tls.there():
                    self._certify()
                self._write_config(secrets)
        except OSError as error:
            raise MeshError(
                ErrorCode.CONFLICT,
                f"The data folder {self.data} cannot be used: {error.strerror or error}. Mend "
                "that, or choose another with --data-dir or MESH_DATA_DIR.",
            ) from error
        return secrets

    def secrets(self) -> Secrets:
        """The passwords. Raises MeshError: not_found where no broker was ever set up, forbidden
        where we may not read them, conflict where they are damaged."""
        try:
            return msgspec.json.decode(self._secrets.read_bytes(), type=Secrets)
        except (FileNotFoundError, NotADirectoryError):
            raise MeshError(
                ErrorCode.NOT_FOUND,
                f"There is no mesh in {self.data}: start one with `mesh up`, name another folder "
                "with --data-dir or MESH_DATA_DIR, or, for a mesh on another machine, type the "
                "line that `mesh join` prints there.",
            ) from None
        except OSError as error:
            raise MeshError(
                ErrorCode.FORBIDDEN,
                f"{self._secrets} cannot be read, {(error.strerror or str(error)).lower()}: run "
                "this as the owner of the data folder.",
            ) from error
        except msgspec.DecodeError as error:
            raise MeshError(
                ErrorCode.CONFLICT,
                f"{self._secrets} is damaged: put it back from a backup, or remove it. Without it "
                "`mesh up` makes new passwords, and workers elsewhere have to join again.",
            ) from error

    def credential(self, user: str) -> Credential:
        return Credential(user, self.secrets().of(user))

    def enrol(
        self, name: str, *, elsewhere: bool = False, tools: tuple[str, ...] = ()
    ) -> Credential:
        """Make `name` a worker's user; it keeps its password if it is one already.

        elsewhere: for another machine; always with a new password. tools: it is no worker, but
        serves these. A running broker has to be told afterwards: `mesh.cli.broker.admit` does both.
        Raises MeshError (conflict) if it is the other of the two.
        """
        check_name(name)
        self.prepare()
        with folder_lock(self.path, wait=True):
            secrets = self.secrets()
            _check_kind(name, secrets, tools)
            fresh = elsewhere or name not in secrets.workers
            if tools and secrets.tools.get(name) != tools:
                served = secrets.tools | {name: tools}
                secrets = msgspec.structs.replace(secrets, tools=served)
                fresh = True  # other rights, another password
            if fresh:
                away = {*secrets.elsewhere, name} if elsewhere else set(secrets.elsewhere)
                secrets = self._change(secrets, secrets.workers | {name: new_password()}, away)
        return Credential(name, secrets.workers[name])

    def remove(self, name: str) -> None:
        """Take a worker's user away. Raises MeshError (not_found) if it is none."""
        self.secrets()
        with folder_lock(self.path, wait=True):
            secrets = self.secrets()
            if name not in secrets.workers:
                raise MeshError(ErrorCode.NOT_FOUND, f"No worker named {name!r} is enrolled.")
            workers = {kept: password for kept, password in secrets.workers.items() if kept != name}
            tools = {kept: of for kept, of in secrets.tools.items() if kept != name}
            secrets = msgspec.structs.replace(secrets, tools=tools)
            self._change(secrets, workers, set(secrets.elsewhere) - {name})

    def _change(self, secrets: Secrets, workers: dict[str, str], elsewhere: set[str]) -> Secrets:
        changed = msgspec.structs.replace(
            secrets, workers=workers, elsewhere=tuple(sorted(elsewhere))
        )
        self._save(changed)
        self._write_config(changed)
        return changed

    def _certify(self) -> None:
        made = new_pair()
        self.tls.key.parent.mkdir(exist_ok=True, mode=0o700)
        write_private(self.tls.key, made.key)
        write_private(self.tls.certificate, made.certificate)

    def _save(self, secrets: Secrets) -> None:
        write_private(self._secrets, msgspec.json.format(msgspec.json.encode(secrets)))

    def _write_config(self, secrets: Secrets) -> None:
        with as_file(nats_conf()) as source:
            shutil.copyfile(source, self.path / "nats.conf")
        files = self.tls if self.tls.there() else None
        write_private(self.config, render(secrets.workers, files, secrets.tools).encode())


def nats_conf() -> Path:
    """nats.conf as shipped: inside the wheel, or at the top of the source tree."""
    packaged = Path(str(files("mesh"))) / "nats.conf"
    return packaged if packaged.exists() else Path(str(files("mesh"))).parent / "nats.conf"


def check_name(name: str) -> None:
    """Raise MeshError (bad_request) unless a worker may be called so."""
    if not _NAME.fullmatch(name) or name in (*ROLES, subjects.FLEET):
        raise MeshError(
            ErrorCode.BAD_REQUEST,
            f"A worker cannot be named {name!r}: use up to 40 letters, digits, - and _, and none "
            f"of {', '.join(ROLES)} and {subjects.FLEET}.",
        )


def _check_kind(name: str, secrets: Secrets, tools: tuple[str, ...]) -> None:
    """Raise MeshError (conflict) if a worker is to serve tools, or the other way round."""
    if name in secrets.workers and bool(tools) != (name in secrets.tools):
        kind = "a worker" if tools else "a process that serves tools"
        raise MeshError(
            ErrorCode.CONFLICT,
            f"{name} is {kind}: choose another name, or take that one away first, with "
            f"`mesh join --remove {name}`.",
        )


def new_secrets() -> Secrets:
    """Passwords for the three roles, and no worker yet."""
    return Secrets(
        gateway=new_password(), store=new_password(), operator=new_password(), workers={}
    )


def new_password() -> str:
    """192 random bits. It starts with a letter, so no reader of a configuration sees a number."""
    return f"mesh-{token_urlsafe(24)}"


def may_publish(worker: str) -> list[str]:
    """All that a worker of this name may say: in its own name, and to whom it concerns."""
    own = Writer(worker, "*")
    return [
        subjects.event("*", "*", own),
        subjects.tokens("*", own),
        subjects.resume(worker, "*"),
        subjects.ask(Writer("*", "*")),
        subjects.hello(worker),
        subjects.taken(worker),
        subjects.presence(worker),
        f"$JS.API.CONSUMER.MSG.NEXT.{subjects.REQ_STREAM}.*",
        f"$JS.ACK.{subjects.REQ_STREAM}.>",
    ]


def may_subscribe(worker: str) -> list[str]:
    """All that a worker of this name may hear: answers to itself, orders, being asked, and what
    others take from the queue."""
    own = Writer(worker, "*")
    return [
        f"_INBOX_{worker}.>",
        subjects.orders(own),
        subjects.ask(own),
        subjects.encode(own),
        subjects.taken(),
    ]


def serves_tools(tools: tuple[str, ...]) -> dict[str, object]:
    """All that a service of tools may do: hear what they are asked, and answer that."""
    return {
        "publish": {"deny": [">"]},
        "subscribe": [subjects.tool(name) for name in tools],
        "allow_responses": {"max": 1, "expires": "1h"},
    }


def render(
    workers: dict[str, str],
    tls: TlsFiles | None = None,
    tools: Mapping[str, tuple[str, ...]] = NOBODY,
) -> str:
    """workers.conf: nats.conf, the workers' users, and the broker's certificate, if it has one.

    tools: which of them serve tools instead.
    """
    users = "\n".join(
        _user(name, password, tools.get(name, ())) for name, password in sorted(workers.items())
    )
    return _WORKERS_CONF.format(users=users) + (_tls(tls) if tls else "")


def _tls(files: TlsFiles) -> str:
    """Whoever connects speaks TLS at once; who waits for a greeting is told so after a moment."""
    certificate, key = (msgspec.json.encode(str(path.absolute())).decode() for path in files)
    return (
        f"tls {{\n  cert_file: {certificate}\n  key_file: {key}\n"
        '  handshake_first: "auto"\n  timeout: 10\n}\n'
    )


def _user(name: str, password: str, tools: tuple[str, ...]) -> str:
    worker = {
        "publish": {"allow": may_publish(name), "deny": [subjects.log_of(subjects.TOOLS)]},
        "subscribe": may_subscribe(name),
        "allow_responses": {"max": 1, "expires": "1m"},
    }
    allowed = serves_tools(tools) if tools else worker
    user = {"user": name, "password": password, "permissions": allowed}
    return f"      {msgspec.json.encode(user).decode()}"


_WORKERS_CONF = """\
# Written by `mesh`; `mesh join` and `mesh join --remove` change it. The broker is started on it.
include "nats.conf"
accounts {{
  SYS: $SYSTEM
  MESH: {{
    jetstream: enabled
    imports: $FROM_SYSTEM
    users: [
      $GATEWAY_ROLE
      $STORE_ROLE
      $OPERATOR_ROLE
{users}
    ]
  }}
}}
"""


def write_private(path: Path, data: bytes) -> None:
    """Replace a file that only its owner may read; after a crash it is the old or the new one."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
