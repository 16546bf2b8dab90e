"""What of one's own is in no chat: runs that call tools, and the use that clients made."""

from msgspec.structs import replace

from mesh.protocol import subjects
from mesh.protocol.codec import encode
from mesh.protocol.errors import ErrorCode
from mesh.protocol.own_data import ClientRows, ListClients, ListToolRuns, ToolRuns
from mesh.protocol.tools import RunBegun
from mesh.store.models import ClientUsage
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
