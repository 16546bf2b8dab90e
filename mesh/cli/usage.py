"""`mesh usage`: what was used, by day, user, key and model. Asks the store, needs no gateway."""

import re
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import click
from msgspec import Struct
from msgspec.structs import replace
from rich.console import RenderableType

from mesh.bus.connection import BusError
from mesh.cli import watch as again
from mesh.cli.asking_store import asked
from mesh.cli.options import options
from mesh.cli.screen import cell, table
from mesh.cli.watch import listed
from mesh.protocol.accounts import ListUsers
from mesh.protocol.errors import ErrorCode, MeshError
from mesh.protocol.limits import GetUsage, UsageRow
from mesh.settings import OperatorSettings

if TYPE_CHECKING:
    from mesh.gateway.store import Store

NUMBERS = ("REQUESTS", "FAILED", "PROMPT", "CACHED", "COMPLETION")


class Listed(Struct, frozen=True, kw_only=True):
    """What was used on a day, and the name of who did."""

    usage: UsageRow
    name: str


class AllUsage(Struct, frozen=True, kw_only=True):
    """By day, user, key and model."""

    usage: list[Listed]


@click.command("usage")
@click.argument("user", default="")
@click.option("--key", default="", metavar="ID", help="Only what was asked with this key.")
@click.option("--model", default="", help="Only what was asked of this model.")
@click.option("--since", default="", metavar="DAY", help="From this day on, such as 2026-11-21.")
@click.option("--until", default="", metavar="DAY", help="Up to this day.")
@click.option("--days", type=click.IntRange(min=1), help="The last so many days; UTC, all are.")
@listed
@options(OperatorSettings, "data_dir", "nats")
def command(
    user: str,
    key: str,
    model: str,
    since: str,
    until: str,
    days: int | None,
    watch: bool,
    as_json: bool,
    **flags: Any,
) -> None:
    """Show what USER, or everybody, has used: requests and tokens by day, key and model."""
    if days is not None and since:
        raise click.UsageError("Give --days or --since, not both.")
    if days is not None:
        since = (datetime.now(UTC).date() - timedelta(days=days - 1)).isoformat()
    for day in (since, until):
        _check_day(day)
    query = GetUsage(user=user, key=key, model=model, since=since, until=until)

    async def shown(store: "Store") -> None:
        async def look() -> AllUsage:
            return await _usage(store, query)

        trouble = (BusError, MeshError)
        await again.show(look, _listing, watch=watch, as_json=as_json, trouble=trouble)

    with suppress(KeyboardInterrupt):
        asked(flags, shown)


def _check_day(day: str) -> None:
    if day and not re.fullmatch(r"\d{4}-\d{2}-\d{2}", day):
        raise MeshError(ErrorCode.BAD_REQUEST, "Give a day as 2026-11-21.")


async def _usage(store: "Store", query: GetUsage) -> AllUsage:
    rows = await _rows(store, query)
    names: dict[str, str] = {}
    after: str | None = None
    while rows:
        page = await store.ask(ListUsers(after=after, limit=1000))
        names |= {account.user.id: account.user.display_name for account in page.accounts}
        after = page.next
        if after is None:
            break
    return AllUsage(usage=[Listed(usage=row, name=names.get(row.user, row.user)) for row in rows])


async def _rows(store: "Store", query: GetUsage) -> list[UsageRow]:
    """All of them, page by page."""
    found = list[UsageRow]()
    while True:
        used = await store.ask(query)
        found += used.rows
        if used.next is None:
            return found
        query = replace(query, after=used.next)


def _listing(found: AllUsage) -> RenderableType:
    shown = table("Usage", "DAY", "USER", "KEY", "MODEL", *NUMBERS, right=NUMBERS)
    for each in found.usage:
        row = each.usage
        counts = (
            row.requests,
            row.failed,
            row.prompt_tokens,
            row.cached_tokens,
            row.completion_tokens,
        )
        shown.add_row(
            row.day,
            cell(each.name),
            row.key,
            cell(row.model),
            *(f"{count:,}" for count in counts),
        )
    return shown
