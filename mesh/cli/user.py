"""`mesh user`: who has an account on this mesh. Asks the store, so it needs no gateway."""

import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any, get_args

import click
import msgspec
from msgspec import Struct
from rich.console import RenderableType

from mesh.bus.connection import BusError
from mesh.bus.dlq import forget
from mesh.bus.jetstream import JetStream
from mesh.cli import watch as again
from mesh.cli.asking_store import asked
from mesh.cli.options import options
from mesh.cli.screen import cell, table
from mesh.cli.watch import listed
from mesh.protocol.accounts import (
    Account,
    AddUser,
    ListUsers,
    RemoveUser,
    Role,
    SetPassword,
    SetRole,
    User,
)
from mesh.protocol.errors import ErrorCode, MeshError
from mesh.settings import OperatorSettings, read

if TYPE_CHECKING:
    from mesh.gateway.store import Store

ROLES: tuple[Role, ...] = get_args(Role)
PASSWORD = "password"
FIRST_ADMIN = "admin-password"
"""The file in which the store leaves the first admin's password."""

role_choice = click.Choice(ROLES)
from_stdin = click.option(
    "--password-stdin", is_flag=True, help="Read the password from the first line of stdin."
)
where = options(OperatorSettings, "data_dir", "nats")
as_json = click.option("--json", "as_json", is_flag=True, help="One JSON object.")


class People(Struct, frozen=True, kw_only=True):
    """Everybody who has an account, the oldest first."""

    users: list[Account]


@click.group("user")
def command() -> None:
    """Look after the accounts of this mesh: people, their roles and passwords.

    NAME is the name somebody signs in with, an id, or PROVIDER:ACCOUNT.
    """


@command.command("add")
@click.argument("name")
@click.option("--role", type=role_choice, default="user", show_default=True)
@click.option(
    "--provider",
    default=PASSWORD,
    help="The site NAME signs in through, NAME being its id there; no password then.",
)
@from_stdin
@as_json
@where
def add(
    name: str, role: Role, provider: str, password_stdin: bool, as_json: bool, **flags: Any
) -> None:
    """Make an account for NAME, who then signs in with that name and the password you give."""
    password = _password(password_stdin) if provider == PASSWORD else ""
    query = AddUser(account=name, password=password, role=role, provider=provider)
    user = asked(flags, lambda store: store.ask(query))
    _say(user, as_json, f"{user.account} may sign in now ({user.role}).")


@command.command("list")
@listed
@where
def list_(watch: bool, as_json: bool, **flags: Any) -> None:
    """List everybody who has an account, the oldest first."""

    async def shown(store: "Store") -> None:
        async def look() -> People:
            return People(users=await _everybody(store))

        trouble = (BusError, MeshError)
        await again.show(look, _listing, watch=watch, as_json=as_json, trouble=trouble)

    with suppress(KeyboardInterrupt):
        asked(flags, shown)


@command.command("passwd")
@click.argument("name")
@from_stdin
@as_json
@where
def passwd(name: str, password_stdin: bool, as_json: bool, **flags: Any) -> None:
    """Give NAME another password, which signs them out everywhere; their keys stay."""
    query = SetPassword(user=name, password=_password(password_stdin))
    user = asked(flags, lambda store: store.ask(query))
    if user.account == "admin":
        (read(OperatorSettings, flags).data_path / FIRST_ADMIN).unlink(missing_ok=True)
    _say(user, as_json, f"{user.account} has another password, and is signed out everywhere.")


@command.command("role")
@click.argument("name")
@click.argument("role", type=role_choice)
@as_json
@where
def role(name: str, role: Role, as_json: bool, **flags: Any) -> None:
    """Make NAME a user, an operator (workers, everybody's requests) or an admin (all that)."""
    user = asked(flags, lambda store: store.ask(SetRole(user=name, role=role)))
    _say(user, as_json, f"{user.display_name} is {user.role} now.")


@command.command("remove")
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask.")
@where
def remove(name: str, yes: bool, **flags: Any) -> None:
    """Delete NAME's account for good, with all chats, answers and keys.

    What is being written for NAME is stopped, by the gateways that run, or by the next that starts.
    """
    if not yes:
        click.confirm(f"Delete {name} and all that belongs to them for good?", abort=True, err=True)
    asked(flags, lambda store: _remove(store, name))
    click.echo(f"{name} is gone, and everything with them.")


async def _remove(store: "Store", name: str) -> None:
    """The gateways hear of it and see to the rest; but dead letters go also where none runs."""
    done = await store.ask(RemoveUser(user=name))
    await forget(JetStream(store.bus), [done.user])


async def _everybody(store: "Store") -> list[Account]:
    found: list[Account] = []
    after: str | None = None
    while True:
        page = await store.ask(ListUsers(after=after, limit=1000))
        found += page.accounts
        after = page.next
        if after is None:
            return found


def _listing(people: People) -> RenderableType:
    shown = table("Users", "NAME", "BY", "ROLE", "CHATS", "KEYS", "ID", right=("CHATS", "KEYS"))
    for account in people.users:
        user = account.user
        shown.add_row(
            cell(user.display_name),
            cell(user.provider),
            user.role,
            str(account.chats),
            str(account.keys),
            user.id,
        )
    return shown


def _password(from_stdin: bool) -> str:
    """The new password, typed twice or read. Raises MeshError (bad_request)."""
    if from_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    if not sys.stdin.isatty():
        raise MeshError(
            ErrorCode.BAD_REQUEST,
            "There is no terminal to ask for a password; give it with --password-stdin.",
        )
    typed: str = click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    return typed


def _say(user: User, as_json: bool, sentence: str) -> None:
    click.echo(msgspec.json.encode(user) if as_json else sentence)
