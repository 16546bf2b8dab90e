"""`mesh store`: the store by itself, beside a broker that runs already."""

from typing import Any

import click

from mesh.cli.local import settings_of
from mesh.cli.options import options
from mesh.cli.serving import serve
from mesh.settings import StoreSettings, read


@click.command("store")
@click.option(
    "--schema",
    metavar="REVISION",
    help="Only take the database to this schema, older or newer, while no store runs on it.",
)
@options(StoreSettings)
def command(schema: str | None, **flags: Any) -> None:
    """Run the store: it copies the log into a database and answers queries about chats."""
    from mesh.store import app
    from mesh.store.schema import change

    if schema is not None:
        path = read(StoreSettings, flags).database_path
        change(path, schema)
        click.echo(f"The database {path} has schema {schema} now.")
        return
    settings = settings_of("store", StoreSettings, flags)
    serve(settings, lambda stop: app.run(settings, stop))
