"""What is old is forgotten, what belongs to a chat is not."""

from mesh.protocol.accounts import SaveRefresh
from mesh.protocol.chats import Chat, DeleteChat, Ok
from mesh.settings import StoreSettings
from mesh.store.retention import DAY, prune, shrink
from tests.unit.store import story
from tests.unit.store.conftest import Store
from tests.unit.store.story import BEGAN


async def counts(store: Store) -> dict[str, int]:
    return {table: len(rows) for table, rows in (await store.rows()).items() if rows}


async def fill(store: Store) -> Chat:
    """Of everything something: a chat with an answer, a deleted one, runs, workers, tokens."""
    user = await store.user()
    chat, gone = await store.chat(user), await store.chat(user)
    story.started(store.log, "w1")
    story.answered(store.log, "in-chat", story.turn(chat.id, user.id, story.said("m1")))
    story.answered(store.log, "alone")
    store.log.append(story.queued("endless"), "endless")
    store.log.append(b"{", "r0")
    await store.follower.caught_up()
    await store.ask(DeleteChat(user_id=user.id, chat_id=gone.id), Ok)
    for token, days in (("old", 0), ("young", 1000)):
        query = SaveRefresh(user_id=user.id, token_hash=token, expires_at=BEGAN + days * DAY)
        await store.ask(query, Ok)
    return chat


async def test_old_runs_outside_chats_and_worker_events_are_forgotten(store: Store) -> None:
    await fill(store)
    await prune(store.database, 90, BEGAN + 91 * DAY)
    assert await counts(store) == {
        "users": 1,
        "refresh_tokens": 1,
        "chats": 1,
        "messages": 2,
        "runs": 1,
        "usage_days": 1,
        "workers": 1,
        "position": 1,
    }


async def test_what_is_young_enough_stays(store: Store) -> None:
    await fill(store)
    before = await counts(store)
    await prune(store.database, 90, BEGAN + 0.5)
    assert await counts(store) == before | {"refresh_tokens": 1}


async def test_a_retention_of_zero_keeps_runs_and_worker_events(store: Store) -> None:
    await fill(store)
    before = await counts(store)
    await prune(store.database, 0, BEGAN + 10_000 * DAY)
    after = await counts(store)
    assert (after["runs"], after["worker_events"]) == (before["runs"], before["worker_events"])


async def test_more_rows_than_one_transaction_takes_are_all_forgotten(store: Store) -> None:
    for number in range(1_100):
        store.log.append(story.queued(f"r{number}"), f"r{number}")
    await store.follower.caught_up()
    assert await prune(store.database, 1, BEGAN + 3 * DAY) == 1_100
    assert "runs" not in await counts(store)


async def test_a_database_that_grew_too_large_forgets_earlier(store: Store) -> None:
    for number in range(64):
        story.answered(store.log, f"r{number}", end=story.done("x" * 20_000))
    store.log.append(story.queued("today", late=64 * DAY), "today")
    user = await store.user()
    chat = await store.chat(user)
    story.answered(store.log, "in-chat", story.turn(chat.id, user.id, story.said("m1")))
    await store.follower.caught_up()
    limits = StoreSettings(retention_days=90, database_max_bytes=1 << 20)
    assert await store.database.used() > limits.database_max_bytes
    await shrink(store.database, limits, BEGAN + 64 * DAY)
    assert await store.database.used() < limits.database_max_bytes
    kept = [run["rid"] for run in (await store.rows())["runs"]]
    assert "today" in kept and "in-chat" in kept
