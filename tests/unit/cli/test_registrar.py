"""Whoever enrols workers for gateways, while there is no broker yet."""

import asyncio
import logging
from pathlib import Path

from mesh.cli.enrol import BrokerFolder
from mesh.cli.registrar import register
from tests.conftest import free_port


async def test_who_stops_before_there_is_a_broker_waits_for_none(tmp_path: Path) -> None:
    folder = BrokerFolder(tmp_path)
    folder.prepare()
    mine, handlers = asyncio.all_tasks(), list(logging.getLogger("mesh").handlers)
    server = f"nats://127.0.0.1:{free_port()}"
    registering = asyncio.create_task(register(folder, server, lambda name, line: None))
    for _ in range(100):
        await asyncio.sleep(0)
    registering.cancel()
    async with asyncio.timeout(30):
        await asyncio.wait([registering])
        while asyncio.all_tasks() - mine:
            await asyncio.sleep(0.01)
    assert logging.getLogger("mesh").handlers == handlers
