"""One event after the other, and the rows they become."""

import pytest
from msgspec.structs import replace

from mesh.protocol import subjects
from mesh.protocol.chats import (
    ChatMessage,
    GetMessage,
    GetRun,
    ListWorkerEvents,
    RunRow,
    WorkerEvents,
)
from mesh.protocol.codec import encode
from mesh.protocol.errors import ErrorCode
from mesh.protocol.events import Deleted, Done, End, Failed, Timings, Usage
from mesh.protocol.run import text_checksum
from mesh.protocol.subjects import Writer
from tests.unit.store import story
from tests.unit.store.conftest import Store
from tests.unit.store.story import BEGAN

W1, W2 = Writer("w1", "i1"), Writer("w2", "i1")


async def run_of(store: Store, rid: str) -> RunRow:
    return await store.ask(GetRun(rid=rid, min_seq=store.log.last), RunRow)


async def worker_events(store: Store, worker: str | None = None) -> list[str]:
    await store.follower.caught_up()
    found = await store.ask(ListWorkerEvents(worker=worker), WorkerEvents)
    return [event.kind for event in found.events]


async def test_a_run_keeps_text_usage_timings_worker_attempts_and_checksum(store: Store) -> None:
    store.log.append(story.queued("r1"), "r1")
    assert (await run_of(store, "r1")).state == "queued"
    store.log.append(story.claim(), "r1", W1)
    running = await run_of(store, "r1")
    assert (running.state, running.worker, running.attempts) == ("running", "w1", 1)
    ended = store.log.append(story.done("hello back"), "r1", W1)
    assert await run_of(store, "r1") == RunRow(
        rid="r1",
        tenant="alice",
        model="echo",
        state="done",
        created_at=BEGAN,
        ended_at=BEGAN + ended,
        text="hello back",
        finish="stop",
        worker="w1",
        attempts=1,
        usage=Usage(prompt_tokens=3, completion_tokens=10),
        timings=Timings(queue=0.25, first_token=0.5, generate=1.5),
        pieces=10,
        checksum=text_checksum("hello back"),
    )


async def test_a_take_over_counts_as_an_attempt_and_names_the_new_worker(store: Store) -> None:
    store.log.append(story.queued("r1"), "r1")
    store.log.append(story.claim(1), "r1", W1)
    store.log.append(story.claim(2), "r1", W2)
    store.log.append(story.done(n=2), "r1", W2)
    run = await run_of(store, "r1")
    assert (run.attempts, run.worker, run.state) == (2, "w2", "done")


async def test_a_gateway_that_takes_the_pen_to_end_a_run_is_no_worker(store: Store) -> None:
    gateway = Writer("gateway", "g1")
    store.log.append(story.queued("r1"), "r1")
    store.log.append(story.claim(1), "r1", W1)
    store.log.append(story.claim(2), "r1", gateway)
    store.log.append(Failed(uid="e", code=ErrorCode.DEADLINE_EXCEEDED, n=2), "r1", gateway)
    run = await run_of(store, "r1")
    assert (run.attempts, run.worker, run.state) == (1, "w1", "failed")
    assert await worker_events(store, "gateway") == []


async def test_a_claim_counts_only_if_its_number_is_higher(store: Store) -> None:
    store.log.append(story.queued("r1"), "r1")
    store.log.append(story.claim(2), "r1", W2)
    store.log.append(story.claim(1), "r1", W1)
    store.log.append(story.claim(2), "r1", W1)
    run = await run_of(store, "r1")
    assert (run.attempts, run.worker) == (2, "w2")
    assert await worker_events(store) == ["claimed"]


async def test_an_end_is_final(store: Store) -> None:
    story.answered(store.log, "r1")
    before = await run_of(store, "r1")
    store.log.append(story.claim(2), "r1", W2)
    store.log.append(story.cancel(), "r1")
    store.log.append(story.failed(), "r1", W2)
    assert await run_of(store, "r1") == before


async def test_a_failure_keeps_the_partial_text_and_says_why(store: Store) -> None:
    story.answered(store.log, "r1", end=story.failed(text="hel"))
    run = await run_of(store, "r1")
    assert (run.state, run.text, run.error_code) == ("failed", "hel", ErrorCode.ENGINE_FAILED)
    assert run.error == "The engine is out of memory."


async def test_the_words_of_what_is_deleted_go_and_its_measures_stay(store: Store) -> None:
    story.answered(store.log, "r1")
    before = await run_of(store, "r1")
    store.log.append(Deleted(uid="x"), "r1", W1)  # a worker may not
    assert (await run_of(store, "r1")).text == before.text != ""
    store.log.append(Deleted(uid="x"), "r1")
    assert await run_of(store, "r1") == replace(before, text="")


@pytest.mark.parametrize(
    "end", [story.done("words"), story.failed(text="wor"), story.cancelled("wo")]
)
async def test_of_what_shall_not_be_stored_only_the_measures_are_kept(
    store: Store, end: End
) -> None:
    plain = story.queued("r1")
    unkept = replace(plain, request=replace(plain.request, rid="r2", store=False))
    for rid, event in (("r1", plain), ("r2", unkept)):
        store.log.append(event, rid)
        store.log.append(story.claim(), rid, W1)
        await run_of(store, rid)  # what is not to be stored is known by the row alone
        store.log.append(end, rid, W1)
    kept, run = await run_of(store, "r1"), await run_of(store, "r2")
    assert (kept.text, run.text) == (end.text, "")
    assert (run.state, run.usage) == (kept.state, kept.usage)


async def test_when_a_stop_was_asked_for_is_kept(store: Store) -> None:
    store.log.append(story.queued("r1"), "r1")
    asked = store.log.append(story.cancel(), "r1")
    store.log.append(story.cancel(), "r1")
    store.log.append(story.cancelled(""), "r1")
    run = await run_of(store, "r1")
    assert (run.state, run.cancel_asked_at, run.worker) == ("cancelled", BEGAN + asked, None)


async def test_an_answer_has_the_state_of_its_run(store: Store) -> None:
    user = await store.user()
    chat = await store.chat(user)
    place = story.turn(chat.id, user.id, story.said("m1"))
    ends: dict[str, End] = {
        "complete": story.done("whole"),
        "cancelled": story.cancelled("hel"),
        "timeout": story.failed(ErrorCode.DEADLINE_EXCEEDED, "hel"),
        "aborted_by_worker": story.failed(ErrorCode.WORKER_LOST, "hel"),
    }
    for state, end in ends.items():
        rid = f"r-{state}"
        query = GetMessage(user_id=user.id, chat_id=chat.id, message_id=rid)
        store.log.append(story.queued(rid, place), rid)
        assert (await store.ask(query, ChatMessage)).state == "pending"
        store.log.append(story.claim(), rid, W1)
        await store.follower.caught_up()
        going = await store.ask(query, ChatMessage)
        assert (going.state, going.content) == ("in_progress", None)
        store.log.append(end, rid, W1)
        await store.follower.caught_up()
        shown = await store.ask(query, ChatMessage)
        assert (shown.state, shown.content) == (state, end.text)
        assert (shown.worker, shown.attempts, shown.parent_id) == ("w1", 1, "m1")
        assert shown.work is not None and shown.work.system_prompt == "Be brief."


async def test_an_answer_whose_end_the_log_has_lost_is_a_timeout(store: Store) -> None:
    store.log.append(story.queued("r1"), "r1")
    store.log.append(story.claim(), "r1", W1)
    store.now = BEGAN + 600 + 61
    late = await run_of(store, "r1")
    assert (late.state, late.error_code) == ("failed", ErrorCode.DEADLINE_EXCEEDED)
    store.log.append(story.done(), "r1", W1)
    assert (await run_of(store, "r1")).state == "done", "an end that does come counts"


async def test_what_workers_do_is_noted_in_order(store: Store) -> None:
    story.started(store.log, "w1")
    story.answered(store.log, "r1")
    story.answered(store.log, "r2", end=story.failed())
    story.answered(store.log, "r3", end=story.cancelled())
    story.stopped(store.log, "w1")
    assert await worker_events(store, "w1") == [
        "started",
        "claimed",
        "first_token",
        "finished",
        "claimed",
        "failed",
        "claimed",
        "finished",
        "stopped",
    ]


async def test_the_first_token_came_as_long_after_the_claim_as_the_end_says(store: Store) -> None:
    story.answered(store.log, "r1")
    await store.follower.caught_up()
    events = (await store.ask(ListWorkerEvents(), WorkerEvents)).events
    times = {event.kind: event.at for event in events}
    assert times["first_token"] - times["claimed"] == 0.5


async def test_a_loss_reported_by_two_gateways_is_noted_once(store: Store) -> None:
    story.started(store.log, "w1")
    story.lost(store.log, "w1", by=Writer("gateway", "g1"))
    story.lost(store.log, "w1", by=Writer("gateway", "g2"))
    assert await worker_events(store) == ["started", "lost"]
    (worker,) = (await store.rows())["workers"]
    assert worker["state"] == "lost"


async def test_a_worker_that_said_goodbye_is_not_lost(store: Store) -> None:
    story.started(store.log, "w1")
    story.stopped(store.log, "w1")
    story.lost(store.log, "w1")
    assert await worker_events(store) == ["started", "stopped"]


async def test_the_loss_of_an_old_process_does_not_touch_the_new_one(store: Store) -> None:
    story.started(store.log, "w1", "i1")
    story.started(store.log, "w1", "i2")
    story.lost(store.log, "w1", "i1")
    assert await worker_events(store) == ["started", "started", "lost"]
    (worker,) = (await store.rows())["workers"]
    assert (worker["inc"], worker["state"]) == ("i2", "up")


async def test_a_chat_that_a_restored_backup_lacks_comes_back_with_its_next_event(
    store: Store,
) -> None:
    user = await store.user()
    place = story.turn("younger-than-the-backup", user.id, story.said("m1", "hello again"))
    story.answered(store.log, "r1", place)
    await store.follower.caught_up()
    rows = await store.rows()
    assert [chat["title"] for chat in rows["chats"]] == ["hello again"]
    assert {message["id"] for message in rows["messages"]} == {"m1", "r1"}


async def test_a_turn_of_an_unknown_user_is_kept_as_a_run(store: Store) -> None:
    story.answered(store.log, "r1", story.turn("c1", "nobody", story.said("m1")))
    run = await run_of(store, "r1")
    assert (run.chat_id, run.text) == (None, "hello back")


async def test_what_cannot_be_understood_is_recorded_and_passed_over(store: Store) -> None:
    log = store.log
    log.append(b"{not json", "r0")
    log.append(b'{"type":"from_the_future"}', "r0")
    log.append(b'{"type":"queued"}', "r0")
    log.append(b"[" * 100_000, "r0")
    log.append(story.queued("another"), "r0")
    log.put(subjects.tokens("gw1", W1), b"{}")
    story.answered(log, "r1")
    assert (await run_of(store, "r1")).state == "done"
    rows = await store.rows()
    assert [row["seq"] for row in rows["skipped_events"]] == [1, 2, 3, 4, 5, 6]
    assert [row["rid"] for row in rows["runs"]] == ["r1"]


async def test_an_event_the_database_cannot_hold_harms_no_other(store: Store) -> None:
    user = await store.user()
    here, there = await store.chat(user), await store.chat(user)
    log = store.log
    log.append(story.queued("r1", story.turn(here.id, user.id, story.said("m1"))), "r1")
    stray = log.append(story.queued("r2", story.turn(there.id, user.id, story.said("m1"))), "r2")
    usage = Usage(completion_tokens=1 << 80)
    log.append(story.queued("r3"), "r3")
    log.append(Done(uid="d", finish="stop", text="x", usage=usage), "r3")
    log.append(story.done(), "r1", W1)
    assert (await run_of(store, "r1")).state == "done"
    rows = await store.rows()
    assert [row["seq"] for row in rows["skipped_events"]] == [stray]
    assert [(row["rid"], row["state"]) for row in rows["runs"]] == [("r1", "done"), ("r3", "done")]


async def test_what_is_told_of_a_run_at_another_address_counts_for_nothing(store: Store) -> None:
    store.log.append(story.queued("r1"), "r1")
    store.log.append(story.claim(), "r1", W1)
    elsewhere = subjects.event("gw2", "r1", W1)
    store.log.put(elsewhere, encode(story.claim(2)))
    stray = store.log.put(elsewhere, encode(story.done("what nobody has read")))
    running = await run_of(store, "r1")
    assert (running.state, running.attempts) == ("running", 1)
    store.log.append(story.done("hello back"), "r1", W1)
    ended = await run_of(store, "r1")
    assert (ended.state, ended.text) == ("done", "hello back")
    skipped = (await store.rows())["skipped_events"]
    assert [row["seq"] for row in skipped] == [stray - 1, stray]
    assert all(row["reason"].endswith("told at gw1, and this is at gw2") for row in skipped)


async def test_a_run_asked_for_anew_in_a_log_that_had_lost_it_is_told_where_it_is_now(
    store: Store,
) -> None:
    store.log.append(story.queued("r1"), "r1")
    store.log.append(story.claim(), "r1", W1)
    again = story.queued("r1")
    again = replace(again, request=replace(again.request, reply="gw2"))
    for event, writer in ((again, story.GATEWAY), (story.done("hello back"), W2)):
        store.log.put(subjects.event("gw2", "r1", writer), encode(event))
    ended = await run_of(store, "r1")
    assert (ended.state, ended.text) == ("done", "hello back")
    assert (await store.rows())["skipped_events"] == []
    late = story.queued("r1")
    store.log.put(subjects.event("gw1", "r1", story.GATEWAY), encode(late))
    assert (await run_of(store, "r1")) == ended
