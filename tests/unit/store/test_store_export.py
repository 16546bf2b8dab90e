"""`mesh export`: chats as JSON lines from the database file alone (A31)."""

import asyncio
import json
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from mesh.cli.export import command
from mesh.protocol.chats import Chat, UpdateChat
from mesh.protocol.codec import decode
from mesh.protocol.errors import MeshError
from mesh.store import schema
from mesh.store.export import ExportedChat, Filters, export
from mesh.store.queries import messages
from tests.unit.store import story
from tests.unit.store.conftest import Store, running
from tests.unit.store.story import BEGAN, MemoryLog


async def talk(store: Store, name: str, content: str, at: float = 0) -> Chat:
    """A chat of one question and its answer, begun `at` seconds after BEGAN."""
    store.now = BEGAN + at
    user = await store.user(name)
    chat = await store.chat(user)
    turn = story.turn(chat.id, user.id, story.said(f"m-{chat.id}", content))
    story.answered(store.log, f"r-{chat.id}", turn)
    await store.follower.caught_up()
    return chat


async def exported(path: Path, filters: Filters) -> list[ExportedChat]:
    return [decode(line, ExportedChat) async for line in export(path, filters, BEGAN)]


async def texts(path: Path, **filters: object) -> list[str | None]:
    """The first message of each chat that is exported."""
    found = await exported(path, Filters(**filters))  # type: ignore[arg-type]
    return [chat.messages[0].content for chat in found]


async def test_a_line_is_a_chat_with_its_tree_and_how_answers_were_made(
    path: Path, store: Store
) -> None:
    chat = await talk(store, "alice", "one")
    (line,) = await exported(path, Filters())
    assert (line.account, line.chat.id, line.chat.title) == ("alice", chat.id, "one")
    question, answer = line.messages
    assert (answer.parent_id, answer.content, answer.worker) == (question.id, "hello back", "w1")
    assert answer.work is not None and answer.work.model == "echo"


async def test_filters_by_user_chat_and_time(path: Path, store: Store) -> None:
    await talk(store, "alice", "one", 0)
    second = await talk(store, "alice", "two", 100)
    await talk(store, "bob", "three", 200)
    assert await texts(path) == ["one", "two", "three"]
    assert await texts(path, user="bob") == ["three"]
    assert await texts(path, user=(await store.user("alice")).id) == ["one", "two"]
    assert await texts(path, chat=second.id) == ["two"]
    assert await texts(path, since=BEGAN + 100) == ["two", "three"]
    assert await texts(path, until=BEGAN + 100) == ["one"]
    with pytest.raises(MeshError, match="no user 'carol'"):
        await texts(path, user="carol")


async def test_chats_whose_data_may_not_be_used_are_left_out(path: Path, store: Store) -> None:
    chat = await talk(store, "alice", "private", 0)
    await talk(store, "alice", "public", 1)
    alice = await store.user("alice")
    await store.ask(UpdateChat(user_id=alice.id, chat_id=chat.id, allow_data_use=False), Chat)
    assert await texts(path) == ["public"]
    assert await texts(path, user="alice", opted_out=True) == ["private", "public"]


async def test_a_chat_of_many_pages_is_one_line(
    path: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(messages, "PAGE_MESSAGES", 1)
    await talk(store, "alice", "one")
    (line,) = await exported(path, Filters())
    assert [message.role for message in line.messages] == ["prompter", "assistant"]


def run(*arguments: str) -> Result:
    return CliRunner().invoke(command, arguments, catch_exceptions=False)


async def filled(path: Path) -> None:
    async with running(path, MemoryLog()) as store:
        await talk(store, "alice", "one", 0)
        await talk(store, "bob", "two", 86_400)


def test_the_command_writes_lines_while_no_store_runs(path: Path) -> None:
    asyncio.run(filled(path))
    every = run("--database", str(path))
    assert [json.loads(line)["account"] for line in every.output.splitlines()] == ["alice", "bob"]
    later = datetime.fromtimestamp(BEGAN + 10).strftime("%Y-%m-%dT%H:%M:%S")
    assert len(run("--database", str(path), "--from", later).output.splitlines()) == 1
    assert len(run("--database", str(path), "--to", later).output.splitlines()) == 1


def test_the_command_needs_a_user_for_ones_own_and_a_database(path: Path, tmp_path: Path) -> None:
    asked = run("--database", str(path), "--own")
    assert asked.exit_code == 2 and "--own needs --user" in asked.output
    with pytest.raises(MeshError, match="no database at"):
        run("--database", str(tmp_path / "nowhere.db"))


async def test_exporting_writes_nothing(path: Path, store: Store) -> None:
    await talk(store, "alice", "one")
    await store.database.close()
    before = path.read_bytes()
    assert await texts(path) == ["one"]
    assert path.read_bytes() == before


async def test_a_database_of_another_version_is_refused(path: Path) -> None:
    schema.downgrade(path, "base")
    with pytest.raises(MeshError, match="older version"):
        await texts(path)


def test_a_reader_that_has_read_enough_ends_the_command_quietly(path: Path) -> None:
    asyncio.run(long(path))
    command = [sys.executable, "-m", "mesh", "export", "--database", str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stderr is not None
        try:
            assert len(process.stdout.read(10)) == 10
            process.stdout.close()
            assert process.wait(20) == 0
            assert process.stderr.read() == b""
        finally:
            process.kill()


async def long(path: Path) -> None:
    """More text than a pipe takes."""
    async with running(path, MemoryLog()) as store:
        for number in range(8):
            await talk(store, "alice", f"{number}" * 50_000)
