"""What of one's own is in no chat: runs that call tools, what one and one's clients have used, and
messages in threads that one has left."""

import pytest
from msgspec.structs import replace

from mesh.protocol import subjects
from mesh.protocol.codec import encode
from mesh.protocol.errors import ErrorCode
from mesh.protocol.limits import GetUsage, Place, Usage
from mesh.protocol.own_data import ClientRows, ListClients, ListToolRuns, ToolRuns
from mesh.protocol.threads import (
    AddThreadMessage,
    CreateThread,
    ListLeftMessages,
    NewMessage,
    Thread,
    ThreadMessage,
    ThreadMessages,
    UpdateThread,
)
from mesh.protocol.tools import RunBegun
from mesh.store.models import ClientUsage
from mesh.store.queries import usage
from mesh.store.usage import begun as begun_day
from tests.unit.store.conftest import Store
from tests.unit.store.story import GATEWAY
from tests.unit.store.test_store_tool_runs import NEEDED, A, begun, done, tell


async def begin(store: Store, id: str, tenant: str, created: float) -> None:
    """A run that goes on."""
    run = replace(begun(tenant).run, id=id, created=created, assistant="asst_1")
    event = RunBegun(uid=id, run=run)
    store.log.put(subjects.event(subjects.TOOLS, id, GATEWAY), encode(event))
    await store.follower.caught_up()


async def test_runs_are_listed_with_their_calls_page_by_page(store: Store) -> None:
    await tell(store, begun(), NEEDED, done(A, "rain"))
    created = begun().run.created
    await begin(store, "t2", "alice", created + 1)
    await begin(store, "t3", "bob", created + 2)
    first = await store.ask(ListToolRuns(tenant="alice", limit=1), ToolRuns)
    (run,) = first.runs
    assert (run.id, run.question, run.state) == ("t1", "hello", "requires_action")
    assert [(action.tool, action.output) for action in run.actions] == [
        ("tool_a", "rain"),
        ("tool_b", None),
    ]
    second = await store.ask(ListToolRuns(tenant="alice", after=first.next), ToolRuns)
    assert [(run.id, run.assistant) for run in second.runs] == [("t2", "asst_1")]
    assert second.next is None
    assert await store.refusal(ListToolRuns(tenant="bob", after="t1")) is ErrorCode.NOT_FOUND
    assert await store.refusal(ListToolRuns(tenant="bob", limit=0)) is ErrorCode.BAD_REQUEST


async def test_clients_are_listed_user_by_user(store: Store) -> None:
    async with store.database.write() as session:
        for client, user in (("c1", "u2"), ("c1", "u1"), ("c2", ""), ("c3", "u1")):
            session.add(
                ClientUsage(
                    tenant="bob" if client == "c3" else "alice",
                    client=client,
                    user=user,
                    requests=1,
                    prompt_tokens=2,
                    completion_tokens=3,
                )
            )
    first = await store.ask(ListClients(tenant="alice", limit=2), ClientRows)
    assert [(row.client, row.user) for row in first.clients] == [("c1", "u1"), ("c1", "u2")]
    second = await store.ask(ListClients(tenant="alice", after=first.next), ClientRows)
    assert [(row.client, row.user) for row in second.clients] == [("c2", "")]
    assert second.next is None


async def test_what_one_wrote_where_one_takes_part_no_longer_is_listed_page_by_page(
    store: Store,
) -> None:
    ada, bob = await store.user("ada"), await store.user("bob")
    said = tuple(NewMessage(role="user", content=content) for content in ("one", "two", "three"))
    threads = []
    for _ in range(2):
        query = CreateThread(user_id=bob.id, participants=(ada.id,))
        threads.append((await store.ask(query, Thread)).id)
        for message in said:
            store.now += 1
            written = AddThreadMessage(user_id=ada.id, thread_id=threads[-1], message=message)
            await store.ask(written, ThreadMessage)
    theirs = AddThreadMessage(user_id=bob.id, thread_id=threads[0], message=said[0])
    await store.ask(theirs, ThreadMessage)
    assert (await store.ask(ListLeftMessages(user_id=ada.id), ThreadMessages)).messages == ()
    left = UpdateThread(user_id=bob.id, thread_id=threads[0], participants=())
    await store.ask(left, Thread)
    first = await store.ask(ListLeftMessages(user_id=ada.id, limit=2), ThreadMessages)
    assert [each.content for each in first.messages] == ["one", "two"] and first.more
    behind = ListLeftMessages(user_id=ada.id, after=first.messages[-1].id)
    second = await store.ask(behind, ThreadMessages)
    assert [each.content for each in second.messages] == ["three"] and not second.more
    foreign = ListLeftMessages(user_id=bob.id, after=first.messages[-1].id)
    assert await store.refusal(foreign) is ErrorCode.NOT_FOUND


async def test_usage_is_listed_page_by_page_within_a_day_too(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(usage, "MOST", 2)
    spent = [("2026-11-21", "k1"), ("2026-11-21", "k2"), ("2026-11-21", "k3"), ("2026-11-22", "")]
    async with store.database.write() as session:
        for day, key in spent:
            session.add(begun_day((day, "alice", key, "echo")))
    found: list[tuple[str, str]] = []
    after: Place | None = None
    while not found or after is not None:
        page = await store.ask(GetUsage(user="alice", after=after), Usage)
        found += [(row.day, row.key) for row in page.rows]
        after = page.next
        assert len(page.rows) == 2
    assert found == spent
