"""`mesh export`: chats as JSON lines from the database file alone (A31)."""

import asyncio
import gzip
import json
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from mesh.cli.export import command
from mesh.protocol.chats import AddReport, Chat, ChatMessage, DeleteChat, Ok, UpdateChat, Vote
from mesh.protocol.codec import decode
from mesh.protocol.errors import MeshError
from mesh.protocol.exports import (
    Anonymous,
    ExportedChat,
    ExportHeads,
    Filters,
    ListExport,
    with_content,
)
from mesh.store import schema
from mesh.store.export import export
from mesh.store.queries import exports, messages
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


async def exported(
    path: Path, filters: Filters, anonymous: Anonymous | None = None
) -> list[ExportedChat]:
    lines = export(path, filters, BEGAN, anonymous)
    return [decode(line, ExportedChat) async for line in lines]


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


async def test_only_what_was_scored_or_reported(path: Path, store: Store) -> None:
    scored, taken_back, reported = [
        await talk(store, "alice", content, at)
        for at, content in enumerate(("scored", "taken back", "reported", "plain"))
    ][:3]
    alice = await store.user("alice")

    async def vote(chat: Chat, score: int) -> None:
        about = {"user_id": alice.id, "chat_id": chat.id, "message_id": f"r-{chat.id}"}
        await store.ask(Vote(**about, score=score), Ok)

    await vote(scored, -1)
    await vote(taken_back, 1)
    await vote(taken_back, 0)
    complaint = AddReport(
        user_id=alice.id,
        chat_id=reported.id,
        message_id=f"r-{reported.id}",
        report_type="spam",
        reason="no",
    )
    await store.ask(complaint, Ok)
    assert await texts(path, scored=True) == ["scored"]
    assert await texts(path, reported=True) == ["reported"]
    assert await texts(path, scored=True, reported=True) == []


async def test_without_names_the_tree_is_the_same(path: Path, store: Store) -> None:
    chat = await talk(store, "alice", "one")
    (plain,) = await exported(path, Filters())
    (line,) = await exported(path, Filters(), Anonymous("seed"))
    question, answer = line.messages
    assert (question.content, answer.content) == ("one", "hello back")
    assert answer.parent_id == question.id and question.chat_id == line.chat.id
    text = (await anext(export(path, Filters(), BEGAN, Anonymous("seed")))).decode()
    for name in ("alice", plain.user_id, chat.id, *(each.id for each in plain.messages), "w1"):
        assert f'"{name}"' not in text
    assert await exported(path, Filters(), Anonymous("seed")) == [line]
    (other,) = await exported(path, Filters(), Anonymous("another"))
    assert other.user_id != line.user_id and other.chat.id != line.chat.id


async def test_messages_that_say_nothing_are_left_out_if_nothing_hangs_on_them() -> None:
    def message(id: str, parent: str | None, content: str | None) -> ChatMessage:
        return ChatMessage(
            id=id,
            chat_id="c",
            parent_id=parent,
            created_at=BEGAN,
            role="assistant",
            state="complete",
            content=content,
        )

    kept = with_content(
        [
            message("m1", None, "one"),
            message("r1", "m1", None),
            message("r2", "m1", ""),
            message("m2", "r2", "two"),
        ]
    )
    assert [each.id for each in kept] == ["m1", "r2", "m2"]


async def test_the_gateway_is_told_the_same_chats(path: Path, store: Store) -> None:
    for at in range(103):
        await talk(store, "alice", f"{at}", at)
    hidden = await talk(store, "bob", "private", 200)
    bob = await store.user("bob")
    await store.ask(UpdateChat(user_id=bob.id, chat_id=hidden.id, allow_data_use=False), Chat)
    found: list[str] = []
    after: str | None = None
    while True:
        page = await store.ask(ListExport(after=after), ExportHeads)
        found += [head.chat_id for head in page.heads]
        after = page.next
        if after is None:
            break
    assert found == [line.chat.id for line in await exported(path, Filters())]
    assert len(found) == 103


async def test_an_export_goes_on_from_a_chat_that_was_deleted_meanwhile(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exports, "HEADS", 1)
    chats = [await talk(store, "alice", f"{at}", at) for at in range(2)]
    page = await store.ask(ListExport(), ExportHeads)
    assert page.next == chats[0].id
    alice = await store.user("alice")
    await store.ask(DeleteChat(user_id=alice.id, chat_id=chats[0].id), Ok)
    page = await store.ask(ListExport(after=page.next), ExportHeads)
    assert [head.chat_id for head in page.heads] == [chats[1].id]


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


def test_the_command_writes_files_compressed_ones_too(path: Path, tmp_path: Path) -> None:
    asyncio.run(filled(path))
    plain, packed = tmp_path / "chats.jsonl", tmp_path / "chats.jsonl.gz"
    for file in (plain, packed):
        told = run("--database", str(path), "--output", str(file), "--anonymize", "--seed", "s")
        assert told.exit_code == 0 and told.output == ""
        assert file.stat().st_mode & 0o077 == 0, "nobody else's to read"
    lines = gzip.decompress(packed.read_bytes())
    assert lines == plain.read_bytes() and len(lines.splitlines()) == 2
    assert b"alice" not in lines
    nowhere = tmp_path / "no folder" / "x.jsonl"
    with pytest.raises(MeshError, match="cannot be written"):
        run("--database", str(path), "--output", str(nowhere))
    assert "--seed needs --anonymize" in run("--database", str(path), "--seed", "s").output


def test_what_was_exported_before_stays_where_exporting_again_fails(
    path: Path, tmp_path: Path
) -> None:
    asyncio.run(filled(path))
    file = tmp_path / "chats.jsonl"
    assert run("--database", str(path), "--output", str(file)).exit_code == 0
    before = file.read_bytes()
    with pytest.raises(MeshError):
        run("--database", str(tmp_path / "none.db"), "--output", str(file))
    assert before and file.read_bytes() == before
    assert [each.name for each in tmp_path.glob(".*")] == []


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
