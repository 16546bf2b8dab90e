"""The rows of runs that call tools, made of their events alone."""

from typing import Any

from mesh.protocol import subjects
from mesh.protocol.accounts import RemoveUser
from mesh.protocol.chats import Ok
from mesh.protocol.codec import encode
from mesh.protocol.request import Message, ToolCall
from mesh.protocol.subjects import Writer
from mesh.protocol.tools import (
    ActionDone,
    ActionsNeeded,
    KeyLed,
    RunBegun,
    RunOver,
    ToolEvent,
    ToolRun,
)
from mesh.store import retention
from tests.unit.store.conftest import Store
from tests.unit.store.story import BEGAN, GATEWAY

A, B = (ToolCall(id=name, name=f"tool_{name}", arguments="{}") for name in ("a", "b"))
NEEDED = ActionsNeeded(uid="n", calls=(A, B), deadline=BEGAN + 600)


def begun(tenant: str = "alice") -> RunBegun:
    run = ToolRun(
        id="t1",
        gateway="gw1",
        tenant=tenant,
        model="echo",
        messages=(Message(role="user", content="hello"),),
        created=BEGAN,
        patience=600.0,
        deadline=BEGAN + 3600,
    )
    return RunBegun(uid="b", run=run)


def done(call: ToolCall, output: str, failed: bool = False) -> ActionDone:
    return ActionDone(uid="d", call=call.id, output=output, failed=failed, by="client")


async def tell(store: Store, *events: ToolEvent, writer: Writer = GATEWAY) -> None:
    for event in events:
        store.log.put(subjects.event(subjects.TOOLS, "t1", writer), encode(event))
    await store.follower.caught_up()


async def rows(store: Store) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    found = await store.rows()
    (run,) = found["tool_runs"]
    return run, sorted(found["actions"], key=lambda row: int(row["number"]))


async def test_what_a_key_has_led_to_is_for_gateways_alone(store: Store) -> None:
    await tell(store, KeyLed(uid="k", thread="th"))
    assert (await store.rows())["tool_runs"] == []
    await tell(store, begun())
    assert (await rows(store))[0]["state"] == "in_progress"


async def test_a_run_and_its_actions_become_rows_event_by_event(store: Store) -> None:
    await tell(store, begun())
    assert (await rows(store))[0]["state"] == "in_progress"
    await tell(store, NEEDED)
    run, actions = await rows(store)
    assert run["state"] == "requires_action"
    assert [(action["tool"], action["state"]) for action in actions] == [
        ("tool_a", "pending"),
        ("tool_b", "pending"),
    ]
    await tell(store, done(B, "noon"), done(A, "no radar", failed=True), done(A, "rain"))
    run, actions = await rows(store)
    assert run["state"] == "in_progress"
    assert [(action["state"], action["output"]) for action in actions] == [
        ("failed", "no radar"),
        ("completed", "noon"),
    ]
    await tell(store, RunOver(uid="o", state="completed", text="Rain at noon."))
    run, _ = await rows(store)
    assert (run["state"], run["text"]) == ("completed", "Rain at noon.")
    assert run["ended_at"] is not None


async def test_what_waits_at_the_end_is_closed_with_the_run(store: Store) -> None:
    await tell(store, begun(), NEEDED, done(A, "rain"), RunOver(uid="o", state="expired"))
    _, actions = await rows(store)
    assert [action["state"] for action in actions] == ["completed", "expired"]
    await tell(store, done(B, "noon"), RunOver(uid="p", state="completed", text="late"))
    run, actions = await rows(store)
    assert (run["state"], actions[1]["state"]) == ("expired", "expired")


async def test_a_log_that_is_read_again_changes_nothing(store: Store) -> None:
    await tell(store, begun(), NEEDED, done(A, "rain"))
    before = await rows(store)
    store.log.created = "again"
    store.log.wake()
    await store.follower.caught_up()
    assert await rows(store) == before


async def test_what_a_worker_tells_of_runs_is_no_row(store: Store) -> None:
    await tell(store, begun(), writer=Writer("w1", "i1"))
    assert (await store.rows())["tool_runs"] == []


async def test_runs_go_with_their_owner_and_with_time(store: Store) -> None:
    alice = await store.user()
    await tell(store, begun(alice.id), NEEDED)
    await store.ask(RemoveUser(user=alice.id), Ok)
    found = await store.rows()
    assert (found["tool_runs"], found["actions"]) == ([], [])
    await tell(store, begun(alice.id))
    assert (await store.rows())["tool_runs"] == [], "an event that comes late brings nothing back"

    await tell(store, begun("bob"), NEEDED)
    await retention.prune(store.database, 1.0, BEGAN + 3 * 86_400)
    found = await store.rows()
    assert (found["tool_runs"], found["actions"]) == ([], [])
