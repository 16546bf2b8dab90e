"""The REPL without a terminal: keys from prompt_toolkit's pipe input, in this process."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from prompt_toolkit.application import create_app_session
from prompt_toolkit.input import PipeInput, create_pipe_input
from prompt_toolkit.output import DummyOutput

from mesh_client import AsyncClient, MemoryStore, Retry
from mesh_client.repl.app import Repl
from tests.unit.client.scripted_gateway import ScriptedGateway


@asynccontextmanager
async def sitting(
    client: AsyncClient, gateway: ScriptedGateway, folder: Path
) -> AsyncIterator[tuple[Repl, PipeInput]]:
    watcher = AsyncClient(gateway.url, store=MemoryStore(), retry=Retry(call_patience=0.0))
    with create_pipe_input() as keys:
        with create_app_session(input=keys, output=DummyOutput()):
            async with watcher:
                yield Repl(client, watcher, folder / "history"), keys


@pytest.mark.parametrize(
    ("typed", "questions"),
    [
        ("Count.\r", ["Count."]),
        ("Count.\rAnd again.\r", ["Count.", "And again."]),
        ("one\x1b\rtwo\ntwo and a half\r", ["one\ntwo\ntwo and a half"]),
        ("\x1b[200~pasted\r\rtext\x1b[201~\r", ["pasted\n\ntext"]),
        ("not this\x03Count.\r", ["Count."]),
        ("//help is text\r", ["/help is text"]),
        ("/hlep\rCount.\r", ["Count."]),
        ("  \rCount.\r", ["Count."]),
        ("Five.\x01Four, \x05 Six.\r", ["Four, Five. Six."]),
    ],
)
async def test_keys_become_questions(
    async_client: AsyncClient,
    gateway: ScriptedGateway,
    tmp_path: Path,
    typed: str,
    questions: list[str],
) -> None:
    async with sitting(async_client, gateway, tmp_path) as (repl, keys):
        keys.send_text(typed)
        if len(questions) > 1:
            keys.send_text("/quit\r")
        else:
            keys.send_text("\x04")
        await repl.run()
    assert gateway.questions == questions


async def test_a_sitting_remembers_for_the_next_one(
    async_client: AsyncClient, gateway: ScriptedGateway, tmp_path: Path
) -> None:
    for typed in ("Count.\r\x04", "\x1b[A\r\x04"):
        async with sitting(async_client, gateway, tmp_path) as (repl, keys):
            keys.send_text(typed)
            await repl.run()
    assert gateway.questions == ["Count.", "Count."]
