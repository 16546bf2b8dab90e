"""`mesh limit`: what a user or a key may ask for. Asks the store, so it needs no gateway."""

from typing import Any, get_args

import click
import msgspec
from msgspec.structs import asdict, replace

from mesh.cli.asking_store import asked
from mesh.cli.options import options
from mesh.protocol.limits import Allowance, GetAllowance, SetAllowance
from mesh.protocol.subjects import Priority
from mesh.settings import OperatorSettings

COUNT = click.IntRange(min=0)
AS_EVERYBODY = "as everybody"
NAMES = {
    "requests": "requests a minute",
    "tokens": "tokens a minute",
    "concurrent": "requests under way",
    "daily_tokens": "tokens a day",
    "weight": "weight",
    "priority": "highest priority",
}


@click.command("limit")
@click.argument("user", default="")
@click.option("--key", "key_id", default="", metavar="ID", help="Limit this key, not its user.")
@click.option("--requests", type=COUNT, help="In a minute; 0: as many as they like.")
@click.option("--tokens", type=COUNT, help="In a minute, of answers that have ended.")
@click.option("--concurrent", type=COUNT, help="Requests that have not ended yet.")
@click.option("--daily-tokens", type=COUNT, help="From midnight to midnight, UTC.")
@click.option(
    "--weight",
    type=click.FloatRange(min=0.01, max=100),
    help="Their share of the turns where others wait; 1 is usual.",
)
@click.option(
    "--priority", type=click.Choice(get_args(Priority)), help="The highest they may ask with."
)
@click.option("--clear", is_flag=True, help="As everybody, but for what is given here.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@options(OperatorSettings, "data_dir", "nats")
def command(
    user: str,
    key_id: str,
    requests: int | None,
    tokens: int | None,
    concurrent: int | None,
    daily_tokens: int | None,
    weight: float | None,
    priority: Priority | None,
    clear: bool,
    as_json: bool,
    **flags: Any,
) -> None:
    """Show the limits of USER, or of a key, and change those that are given.

    They hold from now on, at every gateway.
    """
    if not user and not key_id:
        raise click.UsageError("Name a user, or a key with --key.")
    given = {
        "requests": requests,
        "tokens": tokens,
        "concurrent": concurrent,
        "daily_tokens": daily_tokens,
        "weight": weight,
        "priority": priority,
    }
    changes = {name: value for name, value in given.items() if value is not None}

    async def change(store: Any) -> Allowance:
        now: Allowance = await store.ask(GetAllowance(user=user, key_id=key_id))
        wanted = replace(Allowance() if clear else now, **changes)
        if wanted == now:
            return now
        said: Allowance = await store.ask(SetAllowance(user=user, key_id=key_id, allowance=wanted))
        return said

    found = asked(flags, change)
    if as_json:
        click.echo(msgspec.json.encode(asdict(found)))
        return
    for name, words in NAMES.items():
        value = getattr(found, name)
        click.echo(f"{words:20}{AS_EVERYBODY if value is None else value or 'no limit'}")
