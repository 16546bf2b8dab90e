"""`mesh key`: the API keys of this mesh. Asks the store, so it needs no gateway."""

import time
from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click
import msgspec
from msgspec import Struct
from rich.console import RenderableType

from mesh.bus.connection import BusError
from mesh.cli import watch as again
from mesh.cli.asking_store import asked
from mesh.cli.options import options
from mesh.cli.screen import cell, table
from mesh.cli.watch import listed
from mesh.protocol.accounts import CreateKey, Key, ListKeys, ListUsers, RevokeKey, Scope
from mesh.protocol.errors import MeshError
from mesh.protocol.keys import SCOPES, USUAL_SCOPES, new_key
from mesh.settings import OperatorSettings

if TYPE_CHECKING:
    from mesh.gateway.store import Store

DAY = 86_400.0
where = options(OperatorSettings, "data_dir", "nats")


class Made(Struct, frozen=True, kw_only=True):
    """A new key and its secret, which is never shown again."""

    key: Key
    secret: str


class Listed(Struct, frozen=True, kw_only=True):
    """A key and the name of its owner."""

    key: Key
    owner: str


class AllKeys(Struct, frozen=True, kw_only=True):
    """Keys without their secrets, the oldest first."""

    keys: list[Listed]


@click.group("key")
def command() -> None:
    """Look after API keys: what programs sign in with, in the name of a person."""


@command.command("create")
@click.argument("user")
@click.option("--name", default="key", show_default=True, help="What it is for.")
@click.option(
    "--scope",
    "scopes",
    type=click.Choice(SCOPES),
    multiple=True,
    help=f"What it may be used for; again for more. [default: {', '.join(USUAL_SCOPES)}]",
)
@click.option("--days", type=click.FloatRange(min=0, min_open=True), help="How long it lasts.")
@click.option(
    "--trusted-client",
    "client",
    default="",
    metavar="CLIENT",
    help="Make CLIENT a trusted one, whose word for who its users are is taken with this key.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@where
def create(
    user: str,
    name: str,
    scopes: tuple[Scope, ...],
    days: float | None,
    client: str,
    as_json: bool,
    **flags: Any,
) -> None:
    """Make a key that speaks for USER, and print it: it is shown this once."""
    made = new_key()
    query = CreateKey(
        user=user,
        name=name,
        key_hash=made.hash,
        hint=made.hint,
        scopes=scopes or USUAL_SCOPES,
        client=client,
        expires_at=None if days is None else time.time() + days * DAY,
    )
    key = asked(flags, lambda store: store.ask(query))
    if as_json:
        click.echo(msgspec.json.encode(Made(key=key, secret=made.secret)))
    else:
        click.echo(made.secret)
        click.secho("Keep it now: it is not shown again.", err=True, dim=True)


@command.command("list")
@click.argument("user", default="")
@listed
@where
def list_(user: str, watch: bool, as_json: bool, **flags: Any) -> None:
    """List the keys of USER, or everybody's, the oldest first."""

    async def shown(store: "Store") -> None:
        async def look() -> AllKeys:
            return AllKeys(keys=await _keys(store, user))

        trouble = (BusError, MeshError)
        await again.show(look, _listing, watch=watch, as_json=as_json, trouble=trouble)

    with suppress(KeyboardInterrupt):
        asked(flags, shown)


@command.command("revoke")
@click.argument("key_id")
@where
def revoke(key_id: str, **flags: Any) -> None:
    """Revoke a key, by its ID: it is refused from now on, at every gateway."""
    asked(flags, lambda store: store.ask(RevokeKey(key_id=key_id)))
    click.echo(f"The key {key_id} is worth nothing any more.")


async def _keys(store: "Store", user: str) -> list[Listed]:
    keys = (await store.ask(ListKeys(user=user))).keys
    owners: dict[str, str] = {}
    after: str | None = None
    while keys:
        page = await store.ask(ListUsers(after=after, limit=1000))
        owners |= {account.user.id: account.user.display_name for account in page.accounts}
        after = page.next
        if after is None:
            break
    return [Listed(key=key, owner=owners.get(key.user_id, "")) for key in keys]


def _listing(found: AllKeys) -> RenderableType:
    shown = table("Keys", "ID", "OWNER", "NAME", "BEGINS", "SCOPES", "LAST USED", "EXPIRES")
    for each in found.keys:
        key = each.key
        what = f"trusted client {key.client}" if key.client else " ".join(key.scopes)
        shown.add_row(
            key.id,
            cell(each.owner),
            cell(key.name),
            key.hint,
            cell(what),
            _when(key.last_used_at, "never"),
            _when(key.expires_at, "never"),
        )
    return shown


def _when(at: float | None, otherwise: str) -> str:
    return otherwise if at is None else datetime.fromtimestamp(at).strftime("%Y-%m-%d %H:%M")
