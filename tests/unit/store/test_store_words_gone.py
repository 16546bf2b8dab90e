"""What somebody said in a thread goes with it, also out of the rows of other people."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from msgspec.structs import replace

from mesh.protocol.accounts import ListRuns, RemoveUser, Runs, User
from mesh.protocol.chats import Ok
from mesh.protocol.own_data import ListToolRuns, ToolRuns
from mesh.protocol.request import Message
from mesh.protocol.subjects import Writer
from mesh.protocol.threads import DeleteThread, DeleteThreadMessage, Thread, UpdateThread
from mesh.protocol.tool_story import rid_of
from mesh.protocol.tools import GetThread, RunBegun, ThreadHistory
from mesh.store import schema
from mesh.store.queries import askings
from tests.unit.store import story
from tests.unit.store.conftest import Store
from tests.unit.store.test_store_threads import (
    NEEDED,
    OVER,
    A,
    B,
    begun,
    done,
    new_thread,
    tell,
    write,
)

HERS = "The code of her door is 4711."
WORKER = Writer("w1", "i1")


async def asked(store: Store, thread: Thread, tenant: str, said: str = HERS) -> RunBegun:
    """A run on a thread, to whose model this was said last."""
    event = begun(thread, tenant)
    run = replace(event.run, messages=(Message(role="user", content=said),))
    await tell(store, replace(event, run=run))
    return event


async def answer(store: Store, rid: str, tenant: str, over: bool = True) -> None:
    """An asking of a model, as a row."""
    store.log.append(story.queued(rid, tenant=tenant), rid)
    store.log.append(story.claim(), rid, WORKER)
    if over:
        store.log.append(story.done(HERS), rid, WORKER)
    await store.follower.caught_up()


async def kept_words(store: Store) -> str:
    return str(await store.rows())


async def texts(store: Store, user: User) -> dict[str, str]:
    found = await store.ask(ListRuns(tenant=user.id), Runs)
    return {run.rid: run.text for run in found.runs}


async def test_the_words_of_who_left_are_not_in_the_runs_of_others(store: Store) -> None:
    ada, bob = await store.user("ada"), await store.user("bob")
    thread = await new_thread(store, bob, ada)
    await write(store, ada, thread, HERS)
    await asked(store, thread, bob.id)
    await store.ask(RemoveUser(user=ada.id), Ok)
    (run,) = (await store.ask(ListToolRuns(tenant=bob.id), ToolRuns)).runs
    assert (run.id, run.question) == ("t1", "")
    assert HERS not in await kept_words(store)


async def test_a_message_that_is_deleted_is_in_no_run_either(store: Store) -> None:
    ada, bob = await store.user("ada"), await store.user("bob")
    thread = await new_thread(store, bob, ada)
    message = await write(store, ada, thread, HERS)
    await asked(store, thread, bob.id)
    query = DeleteThreadMessage(user_id=ada.id, thread_id=thread.id, message_id=message.id)
    await store.ask(query, Ok)
    assert HERS not in await kept_words(store)


async def test_a_run_that_is_told_of_after_its_thread_has_gone_keeps_no_words(
    store: Store,
) -> None:
    ada, bob = await store.user("ada"), await store.user("bob")
    thread = await new_thread(store, ada, bob)
    await write(store, ada, thread, HERS)
    await store.ask(DeleteThread(user_id=ada.id, thread_id=thread.id), Ok)
    await asked(store, thread, bob.id)
    assert HERS not in await kept_words(store)


async def test_who_was_sent_away_is_shown_nothing_of_the_thread(store: Store) -> None:
    ada, bob = await store.user("ada"), await store.user("bob")
    thread = await new_thread(store, ada, bob)
    await asked(store, thread, bob.id)
    await tell(store, OVER)
    await store.ask(UpdateThread(user_id=ada.id, thread_id=thread.id, participants=()), Thread)
    history = await store.ask(GetThread(tenant=bob.id, thread=thread.id), ThreadHistory)
    assert history.messages == ()


def test_words_of_others_that_were_kept_with_runs_go_from_an_older_database(path: Path) -> None:
    schema.change(path, "0012")
    columns = "id, tenant, thread, on_thread, assistant, question, model, state, text"
    rows = [
        ("t1", "bob", "thread_1", 1, "asst_1", HERS, "echo", "completed", "Done."),
        ("t2", "bob", "thread_2", 0, "asst_1", HERS, "echo", "completed", "Done."),
        ("t3", "bob", "mine", 0, "", "hello", "echo", "completed", "Done."),
    ]
    with closing(sqlite3.connect(path)) as connection, connection:
        insert = f"INSERT INTO tool_runs ({columns}, created_at, deadline) VALUES "
        connection.executemany(insert + "(?, ?, ?, ?, ?, ?, ?, ?, ?, 1, 2)", rows)
    schema.upgrade(path)
    with closing(sqlite3.connect(path)) as connection:
        found = connection.execute("SELECT question FROM tool_runs ORDER BY id").fetchall()
    assert found == [("",), ("",), ("hello",)]


@pytest.mark.parametrize("at_once", [1, 500])
async def test_a_deleted_thread_takes_the_answers_of_its_runs_along(
    store: Store, monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    monkeypatch.setattr(askings, "AT_ONCE", at_once)
    ada, bob = await store.user("ada"), await store.user("bob")
    thread = await new_thread(store, ada, bob)
    await asked(store, thread, bob.id)
    await tell(store, NEEDED, done(A, "rain"), done(B, "noon"), OVER)
    for rid in (rid_of("t1", 0), rid_of("t1", 1), "another"):
        await answer(store, rid, bob.id)
    await store.ask(DeleteThread(user_id=ada.id, thread_id=thread.id), Ok)
    expected = {rid_of("t1", 0): "", rid_of("t1", 1): "", "another": HERS}
    assert await texts(store, bob) == expected
    used = [row["completion_tokens"] for row in (await store.rows())["runs"]]
    assert used == [len(HERS)] * 3, "the measures stay"


async def test_what_is_still_said_for_a_deleted_thread_is_not_kept(store: Store) -> None:
    ada, bob = await store.user("ada"), await store.user("bob")
    thread = await new_thread(store, ada, bob)
    await asked(store, thread, bob.id)
    rid = rid_of("t1", 0)
    await answer(store, rid, bob.id, over=False)
    await store.ask(RemoveUser(user=ada.id), Ok)
    store.log.append(story.done(HERS), rid, WORKER)
    await store.follower.caught_up()
    assert await texts(store, bob) == {rid: ""}
    (row,) = (await store.rows())["runs"]
    assert (row["state"], row["completion_tokens"]) == ("done", len(HERS))
