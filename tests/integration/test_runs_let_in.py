"""A run is let in when it is asked for, or refused with nothing left; then no limit ends it."""

import asyncio
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from mesh.gateway.queue import Queue
from mesh.protocol.errors import ErrorCode, MeshError
from tests.calling import CALL, CLOCK, WEATHER, settled
from tests.integration.test_asked_anew import busy
from tests.integration.test_limits_hold import left, until_left
from tests.integration.test_process import events
from tests.integration.test_runs import submit
from tests.integration.test_threads import changes, messages, new_assistant, new_thread
from tests.integration.test_threads import events as told_events
from tests.whole_mesh import ECHO, SINGLE, Mesh

AT_ONCE = 6


def asked(text: str = "hello", **more: Any) -> dict[str, Any]:
    """The body of a run of a message of its own."""
    return {"model": ECHO, "messages": [{"role": "user", "content": text}]} | more


def added(assistant: str, text: str = "hello") -> dict[str, Any]:
    """The body of a run on a thread that adds a message."""
    return {"assistant_id": assistant, "additional_messages": [{"content": text}]}


async def refused(responses: list[httpx.Response], accepted: int) -> list[httpx.Response]:
    """Those that were accepted; of the others each hears when it is worth asking again."""
    found = [each for each in responses if each.status_code == 200]
    assert len(found) == accepted, [each.text for each in responses]
    for each in responses:
        if each not in found:
            assert each.status_code == 429, each.text
            assert int(each.headers["Retry-After"]) >= 1
    return found


async def all_completed(http: httpx.AsyncClient, run_ids: list[str]) -> None:
    over = await asyncio.gather(*(settled(http, each) for each in run_ids))
    assert [(each["status"], each["last_error"]) for each in over] == [
        ("completed", None) for _ in run_ids
    ]


@pytest.mark.parametrize("limit", ["limit_requests", "limit_concurrent"])
async def test_of_runs_that_come_at_once_so_many_are_let_in_and_none_of_them_fails(
    new_mesh: Callable[..., Mesh], limit: str
) -> None:
    mesh = new_mesh(**{limit: 2})
    mesh.start("store", "gateway", SINGLE)
    async with await mesh.client("ada") as http:
        body = asked("one two three four five six seven eight nine ten", model=SINGLE)
        at_once = (http.post("/v1/runs", json=body) for _ in range(AT_ONCE))
        let_in = await refused(await asyncio.gather(*at_once), 2)
        await all_completed(http, [each.json()["id"] for each in let_in])


async def test_a_run_that_is_refused_leaves_nothing_on_its_thread(
    new_mesh: Callable[..., Mesh],
) -> None:
    mesh = new_mesh(limit_requests=2)
    mesh.start("store", "gateway", ECHO)
    async with await mesh.client("ada") as http:
        assistant, thread = await new_assistant(http), await new_thread(http)
        url = f"/v1/threads/{thread}/runs"
        at_once = (http.post(url, json=added(assistant, f"m{at}")) for at in range(AT_ONCE))
        let_in = await refused(await asyncio.gather(*at_once), 2)
        await all_completed(http, [each.json()["id"] for each in let_in])
        listed = (await http.get(url)).json()["data"]
        assert {each["id"] for each in listed} == {each.json()["id"] for each in let_in}
        said = await messages(http, thread)
        assert sorted(each["role"] for each in said) == ["assistant", "assistant", "user", "user"]


async def test_of_messages_to_process_so_many_are_let_in_and_the_others_leave_nothing(
    new_mesh: Callable[..., Mesh],
) -> None:
    mesh = new_mesh(limit_requests=2)
    mesh.start("store", "gateway", ECHO)
    async with await mesh.client("ada") as http:
        thread = await new_thread(http)
        body = {"messages": [{"content": "hello"}], "model": ECHO, "threadId": thread}
        at_once = (http.post("/api/messages/process", json=body) for _ in range(AT_ONCE))
        let_in = await refused(await asyncio.gather(*at_once), 2)
        assert [events(each)[-1] for each in let_in] == ["[DONE]"] * 2
        said = await messages(http, thread)
        assert sorted(each["role"] for each in said) == ["assistant", "assistant", "user", "user"]


async def test_what_two_gateways_let_in_at_once_does_not_fail_either(
    new_mesh: Callable[..., Mesh],
) -> None:
    one, two = new_mesh(limit_requests=1), new_mesh(limit_requests=1, gateway_name="gw2")
    one.start("store", "gateway", ECHO)
    two.start("gateway")
    async with await one.client("ada") as here:
        authorization = {"Authorization": here.headers["Authorization"]}
        async with two.anonymous(headers=authorization) as there:
            at_once = [
                http.post("/v1/runs", json=asked()) for http in (here, there) for _ in range(4)
            ]
            responses = await asyncio.gather(*at_once)
            both = sum(each.status_code == 200 for each in responses)
            assert both in (1, 2), "each gateway knows of its own at once"
            let_in = await refused(responses, both)
            await all_completed(there, [each.json()["id"] for each in let_in])


async def test_each_asking_of_a_run_counts_once(new_mesh: Callable[..., Mesh]) -> None:
    mesh = new_mesh(limit_requests=10, limit_concurrent=5)
    mesh.start("store", "gateway", ECHO)
    async with await mesh.client("ada") as http:
        begun = await http.post("/v1/runs", json=asked(CALL, tools=[WEATHER]))
        assert (left(begun), left(begun, "concurrent")) == (9, 4), "it counts at once"
        run = await settled(http, begun.json()["id"])
        await until_left(http, 5, of="concurrent")
        await until_left(http, 9)
        assert (await submit(http, run, (0, "rain"))).status_code == 200
        await all_completed(http, [run["id"]])
        await until_left(http, 8)
        await until_left(http, 5, of="concurrent")


async def test_a_run_that_could_not_be_begun_is_not_counted(new_mesh: Callable[..., Mesh]) -> None:
    mesh = new_mesh(limit_requests=3, limit_concurrent=3, chat_max_messages=1)
    mesh.start("store", "gateway", ECHO)
    async with await mesh.client("ada") as http:
        assistant, thread = await new_assistant(http), await new_thread(http, "full")
        for _ in range(4):
            full = await http.post(f"/v1/threads/{thread}/runs", json=added(assistant))
            assert full.json()["error"]["code"] == "chat_full", full.text
        now = await http.get("/account/limits")
        assert (left(now), left(now, "concurrent")) == (3, 3)


async def test_a_key_that_is_sent_twice_at_once_begins_one_run_that_counts_once(
    new_mesh: Callable[..., Mesh], monkeypatch: pytest.MonkeyPatch
) -> None:
    mesh = new_mesh(limit_requests=1, req_max_per_tenant=1)
    mesh.start("store", "gateway", SINGLE)
    looked, room = 0, Queue.check_room

    async def check_room(queue: Queue, *of_whom: Any, **more: Any) -> None:
        """Whoever looks for room besides the first finds what that has queued meanwhile."""
        nonlocal looked
        looked += 1
        if 1 < looked <= AT_ONCE:
            await asyncio.sleep(1.0)
        await room(queue, *of_whom, **more)

    monkeypatch.setattr(Queue, "check_room", check_room)
    async with await mesh.client("ada") as http:
        assistant, thread = await new_assistant(http, model=SINGLE), await new_thread(http)
        url, headers = f"/v1/threads/{thread}/runs", {"Idempotency-Key": "mine"}
        body = added(assistant, " ".join(["word"] * 50))
        at_once = (http.post(url, json=body, headers=headers) for _ in range(AT_ONCE))
        responses = await refused(await asyncio.gather(*at_once), AT_ONCE)
        (run_id,) = {each.json()["id"] for each in responses}
        await all_completed(http, [run_id])
        assert len(await messages(http, thread)) == 2


async def cancelled(http: httpx.AsyncClient, run_id: str) -> None:
    over = (await http.post(f"/v1/runs/{run_id}/cancel")).raise_for_status().json()
    assert over["status"] == "cancelled"


class Full:
    """A queue that has room whenever a route looks, and none for what a run asks then, as if
    others came in between."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, code: ErrorCode) -> None:
        self.looked, self.free, self.code = 0, False, code
        full, room = self, Queue.check_room

        async def check_room(queue: Queue, *of_whom: Any, **more: Any) -> None:
            full.looked += 1
            if full.looked > 1 and not full.free:
                raise MeshError(full.code, retry_after=0.2)
            await room(queue, *of_whom, **more)

        monkeypatch.setattr(Queue, "check_room", check_room)

    async def tried(self, times: int) -> None:
        async with asyncio.timeout(30):
            while self.looked <= times:
                await asyncio.sleep(0.02)


@pytest.mark.parametrize("code", [ErrorCode.SHARE_FULL, ErrorCode.QUEUE_FULL])
async def test_a_run_waits_for_room_in_the_queue(
    new_mesh: Callable[..., Mesh], monkeypatch: pytest.MonkeyPatch, code: ErrorCode
) -> None:
    mesh = new_mesh(limit_requests=5)
    mesh.start("store", "gateway", ECHO)
    async with await mesh.client("ada") as http:
        full = Full(monkeypatch, code)
        begun = (await http.post("/v1/runs", json=asked())).raise_for_status().json()
        await full.tried(3)
        waiting = (await http.get(f"/v1/runs/{begun['id']}")).json()
        assert waiting["status"] == "queued"
        full.free = True
        await all_completed(http, [begun["id"]])
        await until_left(http, 4)


async def test_a_run_that_is_cancelled_before_it_is_asked_is_not_counted(
    new_mesh: Callable[..., Mesh], monkeypatch: pytest.MonkeyPatch
) -> None:
    mesh = new_mesh(limit_requests=1, limit_concurrent=1)
    mesh.start("store", "gateway", ECHO)
    async with await mesh.client("ada") as http:
        full = Full(monkeypatch, ErrorCode.SHARE_FULL)
        begun = (await http.post("/v1/runs", json=asked())).raise_for_status().json()
        await full.tried(2)
        assert (await http.post("/v1/runs", json=asked())).status_code == 429
        await cancelled(http, begun["id"])
        await until_left(http, 1)
        await until_left(http, 1, of="concurrent")
        full.free = True
        begun = (await http.post("/v1/runs", json=asked())).raise_for_status().json()
        await all_completed(http, [begun["id"]])


async def test_a_run_that_waits_for_room_up_to_its_deadline_is_expired(
    new_mesh: Callable[..., Mesh], monkeypatch: pytest.MonkeyPatch
) -> None:
    mesh = new_mesh(run_timeout=2.0)
    mesh.start("store", "gateway", ECHO)
    async with await mesh.client("ada") as http:
        Full(monkeypatch, ErrorCode.SHARE_FULL)
        begun = (await http.post("/v1/runs", json=asked())).raise_for_status().json()
        over = await settled(http, begun["id"])
        assert (over["status"], over["last_error"]) == ("expired", None)


async def test_a_message_that_waits_for_room_is_told_which_run_it_is_and_then_its_answer(
    new_mesh: Callable[..., Mesh], monkeypatch: pytest.MonkeyPatch
) -> None:
    mesh = new_mesh()
    mesh.start("store", "gateway", ECHO)
    body = {"messages": [{"content": "one two"}], "model": ECHO}
    async with await mesh.client("ada") as http:
        full = Full(monkeypatch, ErrorCode.SHARE_FULL)
        told = []
        async with (
            asyncio.timeout(30),
            http.stream("POST", "/api/messages/process", json=body) as response,
        ):
            assert response.status_code == 200
            async for line in response.aiter_lines():
                if line.startswith("data: "):
                    full.free = True
                    told.append(line.removeprefix("data: "))
        assert told[-1] == "[DONE]" and "run_id" in told[0] and len(told) == 4


async def test_a_stream_says_at_once_that_a_run_waits_for_room(
    new_mesh: Callable[..., Mesh], monkeypatch: pytest.MonkeyPatch
) -> None:
    mesh = new_mesh()
    mesh.start("store", "gateway", ECHO)
    async with await mesh.client("ada") as http:
        full, told = Full(monkeypatch, ErrorCode.SHARE_FULL), []
        begun = (await http.post("/v1/runs", json=asked())).raise_for_status().json()
        async for event in told_events(http, "GET", f"/v1/runs/{begun['id']}/events"):
            full.free = True
            told.append(event)
        assert changes(told[:-1]) == ["queued", "in_progress", "completed"]


async def test_runs_wait_for_one_another_where_one_may_be_in_the_queue(
    new_mesh: Callable[..., Mesh], monkeypatch: pytest.MonkeyPatch
) -> None:
    """All find room when they look, and the queue itself refuses all but one."""
    mesh = new_mesh(req_max_per_tenant=1)
    mesh.start("store", "gateway", SINGLE)

    async def room(queue: Queue, *of_whom: object) -> None:
        """There was some when it was looked for."""

    monkeypatch.setattr(Queue, "check_room", room)
    async with await mesh.client("ada") as http:
        body = asked("one two three four five", model=SINGLE)
        at_once = (http.post("/v1/runs", json=body) for _ in range(4))
        runs = await refused(await asyncio.gather(*at_once), 4)
        await all_completed(http, [each.json()["id"] for each in runs])


async def test_a_run_goes_on_once_the_share_of_its_owner_has_room(
    new_mesh: Callable[..., Mesh],
) -> None:
    mesh = new_mesh(req_max_per_tenant=1)
    mesh.start("store", "gateway", SINGLE)
    async with await mesh.client("ada") as http:
        begun = await http.post(
            "/v1/runs", json=asked("/call clock {}", model=SINGLE, tools=[CLOCK])
        )
        run = await settled(http, begun.raise_for_status().json()["id"])
        assert run["status"] == "requires_action"
        async with busy(mesh, http, SINGLE, 1):
            share_full = await http.post("/v1/runs", json=asked(model=SINGLE))
            assert share_full.status_code == 429
            assert (await submit(http, run, (0, "noon"))).status_code == 200
            waiting = (await http.get(f"/v1/runs/{run['id']}", params={"wait": 2})).json()
            assert waiting["status"] == "in_progress", waiting
        assert (await settled(http, run["id"]))["content"] == "noon"
