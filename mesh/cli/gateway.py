"""`mesh gateway`: one gateway by itself, beside a broker that runs already."""

from typing import Any

import click

from mesh.cli.local import settings_of
from mesh.cli.options import options
from mesh.cli.serving import serve
from mesh.settings import GatewaySettings


@click.command("gateway")
@options(GatewaySettings)
def command(**flags: Any) -> None:
    """Run a gateway: HTTP on one side, the mesh on the other."""
    from mesh.gateway import app

    settings = settings_of("gateway", GatewaySettings, flags)
    serve(settings, lambda stop: app.run(settings, stop))
