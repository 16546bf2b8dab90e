"""Runs one service in this process: its event loop, its signals, its log lines on stderr."""

import asyncio
import gc
import logging
import resource
import signal
import sys
from collections.abc import Awaitable, Callable

import uvloop

from mesh.cli.log_lines import Json, Plain
from mesh.settings import Settings

Service = Callable[[asyncio.Event], Awaitable[None]]
"""A service that runs until the event is set, and then leaves in good order."""


def serve(settings: Settings, service: Service) -> None:
    """Run a service until it ends by itself or SIGTERM or SIGINT ask it to."""
    log_to_stderr(settings.log_level, settings.log_format, type(settings).__name__)
    allow_many_files()
    spare_the_collector()
    uvloop.run(_until_signalled(service))


def log_to_stderr(level: str, format: str = "text", kind: str = "") -> None:
    """Log from `level` on what we say, and of the libraries warnings only.

    kind: the name of the service's settings, which its JSON lines are marked with.

    On lower levels they tell what they handle: the database's driver each prompt and answer.
    """
    handler = logging.StreamHandler(sys.stderr)
    service = kind.removesuffix("Settings").lower()
    handler.setFormatter(Json(service) if format == "json" else Plain())
    least = max(logging.WARNING, logging.getLevelName(level.upper()))
    logging.basicConfig(handlers=[handler], level=least)
    logging.getLogger("mesh").setLevel(level.upper())


def allow_many_files() -> None:
    """Take as many open files as the system gives without asking: each connection is one.

    The usual 1,024 are too few for a thousand streams; more than 65,536 some systems refuse.
    """
    now, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 65_536 if most == resource.RLIM_INFINITY else min(most, 65_536)
    if now < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))


def spare_the_collector() -> None:
    """Look for cycles after more new objects than many busy steps make, and not among modules.

    What belongs to a request is no cycle, whatever came of it; with the default of 700 objects a
    fifth of the CPU time under load was spent on looking.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 20, 20)


async def _until_signalled(service: Service) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await service(stop)
