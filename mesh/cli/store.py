"""`mesh store`: the store by itself, beside a broker that runs already."""

from typing import Any

import click

from mesh.cli.local import settings_of
from mesh.cli.options import options
from mesh.cli.serving import serve
from mesh.settings import StoreSettings


@click.command("store")
@options(StoreSettings)
def command(**flags: Any) -> None:
    """Run the store: it copies the log into a database and answers queries about chats."""
    from mesh.store import app

    settings = settings_of("store", StoreSettings, flags)
    serve(settings, lambda stop: app.run(settings, stop))
