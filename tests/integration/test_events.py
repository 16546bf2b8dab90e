"""The events of an answer: exact and in order for every reader, wherever and whenever they read."""

import asyncio
import time
from collections.abc import Callable
from contextlib import aclosing
from typing import Any

import httpx
import pytest

from tests.chatting import (
    Event,
    answer,
    ask,
    events,
    get_message,
    ids,
    messages,
    new_chat,
    ok,
    pending,
    refusal,
    tokens,
)
from tests.whole_mesh import FAILING, SINGLE, SLOW, Mesh

WORDS = [f"w{number} " for number in range(40)]
TEXT = "".join(WORDS).strip()


async def begin(http: httpx.AsyncClient, content: str, model: str = SLOW) -> tuple[str, str]:
    """Ask in a new chat; returns the chat's and the answer's id."""
    chat = await new_chat(http)
    asked = await ask(http, chat, content, model=model)
    return chat, asked["assistant_message"]["id"]


def whole(found: list[Event]) -> str:
    """The text of a stream that has to be complete, without a gap, up to its last event."""
    assert ids(found) == list(range(len(ids(found))))
    assert [event.kind for event in found].count("message") == 1 and found[-1].kind == "message"
    assert found[-1].data["message"]["content"] == "".join(tokens(found))
    return "".join(tokens(found))


async def test_every_piece_comes_once_and_in_order_then_the_message(mesh: Mesh) -> None:
    async with await mesh.client("reader") as http:
        before, running = await begin(http, "/repeat x", SINGLE)
        await events(http, before, running, most=1)
        chat, message = await begin(http, TEXT, SINGLE)
        reading = asyncio.create_task(events(http, chat, message))
        assert await pending(http, chat, message) == (0, 1)
        ok(await http.post(f"/chats/{before}/messages/{running}/cancel"))
        found = await reading
        assert whole(found) == TEXT
        assert found[0].kind == "pending"
        assert found[0].data["queue_position"] == 0
        last = found[-1].data["message"]
        assert last == await get_message(http, chat, message)
        assert last["state"] == "complete" and last["usage"]["completion_tokens"] == len(WORDS)


async def test_several_readers_see_the_same(mesh: Mesh) -> None:
    async with await mesh.client("crowd") as http:
        chat, message = await begin(http, TEXT)
        readers = [asyncio.create_task(events(http, chat, message)) for _ in range(3)]
        await events(http, chat, message, most=5)
        late = await events(http, chat, message)
        assert {whole(found) for found in [late, *await asyncio.gather(*readers)]} == {TEXT}


async def test_a_reader_who_left_goes_on_behind_the_last_piece(mesh: Mesh) -> None:
    async with await mesh.client("resumer") as http:
        chat, message = await begin(http, TEXT)
        first = await events(http, chat, message, most=7)
        last = ids(first)[-1]
        assert last == 6
        rest = await events(http, chat, message, after=last)
        assert ids(rest) == list(range(7, len(WORDS)))
        assert tokens(first) + tokens(rest) == tokens(await events(http, chat, message, after=0))[
            :0
        ] + [word for word in WORDS[:-1]] + [WORDS[-1].strip()]


async def test_a_finished_answer_has_no_events(mesh: Mesh) -> None:
    async with await mesh.client("late reader") as http:
        chat = await new_chat(http)
        done = await answer(http, chat, "one two three")
        path = f"/chats/{chat}/messages/{done['id']}/events"
        for after in (None, "2", "3", "99999"):
            headers = {} if after is None else {"Last-Event-ID": after}
            response = await http.get(path, headers=headers)
            assert (response.status_code, response.content) == (204, b"")


async def test_what_a_reader_missed_of_a_finished_answer_is_told(mesh: Mesh) -> None:
    async with await mesh.client("cut off") as http:
        chat = await new_chat(http)
        done = await answer(http, chat, "one two three")
        score = {"score": 1}
        ok(await http.post(f"/chats/{chat}/messages/{done['id']}/votes", json=score))
        found = await events(http, chat, done["id"], after=0)
        assert (tokens(found), ids(found)) == (["two ", "three"], [1, 2])
        assert found[-1].data["message"] == await get_message(http, chat, done["id"])
        assert found[-1].data["message"]["score"] == 1


async def test_a_cancelled_answer_ends_its_stream_and_has_no_events(mesh: Mesh) -> None:
    async with await mesh.client("canceller") as http:
        chat, message = await begin(http, "/repeat x")
        reading = asyncio.create_task(events(http, chat, message))
        await events(http, chat, message, most=2)
        ok(await http.post(f"/chats/{chat}/messages/{message}/cancel"))
        found = await reading
        whole(found)
        assert found[-1].data["message"]["state"] == "cancelled"
        assert await events(http, chat, message) == []


async def test_a_failed_answer_ends_in_an_error_with_what_there_was(mesh: Mesh) -> None:
    async with await mesh.client("unlucky") as http:
        chat, message = await begin(http, "/repeat so ", FAILING)
        found = await events(http, chat, message)
        last = found[-1]
        assert (last.kind, last.data["code"]) == ("error", "engine_failed")
        assert last.data["error"] == last.data["message"]["error"]
        assert last.data["message"]["content"] == "".join(tokens(found))
        assert last.data["message"] == await get_message(http, chat, message)
        assert await events(http, chat, message) == []


async def test_an_answer_past_its_deadline_ends_in_an_error(
    new_mesh: Callable[..., Mesh],
) -> None:
    mesh = new_mesh(request_timeout=0.5)
    mesh.start("store", "gateway", SLOW)
    async with await mesh.client("patient") as http:
        chat, message = await begin(http, "/repeat x")
        found = await events(http, chat, message)
        last = found[-1]
        assert (last.kind, last.data["code"]) == ("error", "deadline_exceeded")
        assert last.data["message"]["state"] == "timeout"
        assert await events(http, chat, message) == []
        on = await ask(http, chat, "and now?", model=SLOW, parent=message)
        assert on["assistant_message"]["id"]


async def test_those_who_wait_are_told_their_true_place(mesh: Mesh) -> None:
    async with await mesh.client("queuer") as http:
        answers = [await begin(http, "/repeat x", SINGLE) for _ in range(4)]
        chat, message = answers[0]
        await events(http, chat, message, most=1)

        async def place(number: int) -> tuple[int, int]:
            return await pending(http, *answers[number])

        assert [await place(number) for number in (1, 2, 3)] == [(0, 3), (1, 3), (2, 3)]
        ok(await http.post(f"/chats/{answers[1][0]}/messages/{answers[1][1]}/cancel"))
        assert [await place(number) for number in (2, 3)] == [(0, 2), (1, 2)]
        ok(await http.post(f"/chats/{chat}/messages/{message}/cancel"))
        await events(http, *answers[2], most=1)
        assert await place(3) == (0, 1)
        for number in (2, 3):
            path = f"/chats/{answers[number][0]}/messages/{answers[number][1]}"
            ok(await http.post(f"{path}/cancel"))


async def test_a_cancelled_one_in_the_queue_is_never_begun(mesh: Mesh) -> None:
    async with await mesh.client("hesitant") as http:
        running, waiting = [await begin(http, "/repeat x", SINGLE) for _ in range(2)]
        await events(http, *running, most=1)
        path = f"/chats/{waiting[0]}/messages/{waiting[1]}"
        stopped = ok(await http.post(f"{path}/cancel"))
        assert stopped == {"cancelled": True, "state": "cancelled", "tokens": 0}
        ok(await http.post(f"/chats/{running[0]}/messages/{running[1]}/cancel"))
        text = " ".join(["done"] * 40)  # which takes longer than coming to read it
        assert whole(await events(http, *await begin(http, text, SINGLE))) == text
        found = await get_message(http, *waiting)
        assert (found["state"], found["attempts"], found["content"]) == ("cancelled", 0, "")


async def told_at(http: httpx.AsyncClient, waiting: tuple[str, str]) -> list[float]:
    """Seconds from asking how it stands to each of the first three words of that."""
    began, times = time.monotonic(), list[float]()
    async with aclosing(_follow(http, *waiting)) as told:
        async for event in told:
            assert event["event_type"] == "pending"
            times.append(time.monotonic() - began)
            if len(times) == 3:
                break
    return times


async def test_pending_is_told_at_once_and_every_second(mesh: Mesh) -> None:
    async with await mesh.client("waiting") as http:
        running, waiting = [await begin(http, "/repeat x", SINGLE) for _ in range(2)]
        for _ in range(5):  # a busy machine may be late now and then
            times = await told_at(http, waiting)
            if times[0] < 0.5 and times[2] < 4.0:
                break
        else:
            raise AssertionError(times)
        for chat, message in (waiting, running):
            ok(await http.post(f"/chats/{chat}/messages/{message}/cancel"))


async def test_a_silent_stream_says_that_it_lives(new_mesh: Callable[..., Mesh]) -> None:
    mesh = new_mesh(keep_alive=0.1)
    mesh.start("store", "gateway", SINGLE)
    async with await mesh.client("listener") as http:
        chat, message = await begin(http, "/repeat x", SINGLE)
        await events(http, chat, message, most=1)
        mesh.stop(SINGLE)
        path = f"/chats/{chat}/messages/{message}/events"
        async with http.stream("GET", path, headers={"Last-Event-ID": "100"}) as response:
            async for line in response.aiter_lines():
                if line.startswith(":"):
                    break
            else:
                raise AssertionError("the stream ended without a comment")


async def test_a_stream_goes_on_at_a_restarted_gateway(new_mesh: Callable[..., Mesh]) -> None:
    mesh = new_mesh()
    mesh.start("store", "gateway", SLOW)
    async with await mesh.client("traveller") as http:
        chat, message = await begin(http, TEXT)
        first = await events(http, chat, message, most=5)
    mesh.stop("gateway")
    mesh.start("gateway")
    async with await mesh.client("traveller") as http:
        rest = await events(http, chat, message, after=4)
        assert tokens(first) + tokens(rest) == tokens(first) + [*WORDS[5:-1], WORDS[-1].strip()]
        assert ids(rest) == list(range(5, len(WORDS)))
        assert rest[-1].data["message"] == await get_message(http, chat, message)


async def test_a_gateway_that_stops_breaks_its_streams_off_without_an_end(
    new_mesh: Callable[..., Mesh],
) -> None:
    mesh = new_mesh()
    mesh.start("store", "gateway", SLOW)
    async with await mesh.client("dropped") as http:
        chat, message = await begin(http, TEXT)
        reading = asyncio.create_task(events(http, chat, message))
        await events(http, chat, message, most=2)
        await asyncio.to_thread(mesh.stop, "gateway")
        assert {event.kind for event in await reading} <= {"pending", "token"}


async def test_answers_stream_and_stop_while_the_store_is_away(
    new_mesh: Callable[..., Mesh],
) -> None:
    mesh = new_mesh()
    mesh.start("store", "gateway", SLOW)
    async with await mesh.client("unstored") as http:
        told, stopped = await begin(http, TEXT), await begin(http, "/repeat x")
        mesh.stop("store")
        reading = asyncio.create_task(events(http, *told))
        path = f"/chats/{stopped[0]}/messages/{stopped[1]}"
        assert ok(await http.post(f"{path}/cancel"))["cancelled"] is True
        found = await reading
        assert whole(found) == TEXT
        assert await events(http, *told) == []
        response = await http.get(f"/chats/{told[0]}")
        refusal(response, 503, "store_unavailable")
        assert int(response.headers["retry-after"]) >= 1
        mesh.start("store")
        assert (await messages(http, told[0]))[-1] == found[-1].data["message"]
        assert (await get_message(http, *stopped))["state"] == "cancelled"


async def test_only_answers_have_events(mesh: Mesh) -> None:
    async with await mesh.client("confused reader") as http:
        chat = await new_chat(http)
        done = await answer(http, chat, "hello")
        said = await http.get(f"/chats/{chat}/messages/{done['parent_id']}/events")
        refusal(said, 400, "bad_request")
        nothing = await http.get(f"/chats/{chat}/messages/{'0' * 32}/events")
        refusal(nothing, 404, "not_found")
        path = f"/chats/{chat}/messages/{done['id']}/events"
        for after in ("-1", "one", "1.5", "9" * 40, "²"):
            headers = [(b"last-event-id", after.encode())]
            refusal(await http.get(path, headers=headers), 400, "bad_request")


async def test_what_is_not_a_chats_answer_has_no_events(mesh: Mesh) -> None:
    async with await mesh.client("prompter") as http:
        chat = await new_chat(http)
        body = {"prompt": "hello", "model": "echo"}
        reply = await http.post("/generate", json=body)
        assert reply.status_code == 200
        refusal(await http.get(f"/chats/{chat}/messages/generate/events"), 404, "not_found")


async def test_a_full_queue_is_said_before_anything_is_kept(
    new_mesh: Callable[..., Mesh],
) -> None:
    mesh = new_mesh(req_max_msgs=2, req_max_per_tenant=2)
    mesh.start("store", "gateway", SINGLE)
    async with await mesh.client("first") as http, await mesh.client("second") as late:
        running = [await begin(http, "/repeat x", SINGLE) for _ in range(2)]
        for client, status, code in ((http, 429, "share_full"), (late, 503, "queue_full")):
            chat = await new_chat(client)
            body: Any = {"content": "hello", "model_config_name": SINGLE}
            response = await client.post(f"/chats/{chat}/messages", json=body)
            refusal(response, status, code)
            assert int(response.headers["retry-after"]) >= 1
            assert await messages(client, chat) == []
        for chat, message in running:
            ok(await http.post(f"/chats/{chat}/messages/{message}/cancel"))


async def test_room_is_looked_for_where_the_prompt_is_to_wait(
    new_mesh: Callable[..., Mesh],
) -> None:
    mesh = new_mesh(req_max_per_tenant=1)
    mesh.start("store", "gateway", SINGLE)
    async with await mesh.client("hurrier") as http:
        running = [await begin(http, "/repeat x", SINGLE)]
        http.headers["X-Priority"] = "low"
        running.append(await begin(http, "/repeat x", SINGLE))
        chat = await new_chat(http)
        body: Any = {"content": "hello", "model_config_name": SINGLE}
        refusal(await http.post(f"/chats/{chat}/messages", json=body), 429, "share_full")
        assert await messages(http, chat) == []
        for chat, message in running:
            ok(await http.post(f"/chats/{chat}/messages/{message}/cancel"))


@pytest.mark.parametrize("model", [SLOW])
async def test_leaving_stops_nothing(mesh: Mesh, model: str) -> None:
    async with await mesh.client("leaver") as http:
        chat, message = await begin(http, "one two three four five six", model)
        await events(http, chat, message, most=1)
        await events(http, chat, message, after=0)
        assert (await get_message(http, chat, message))["state"] == "complete"


async def _follow(http: httpx.AsyncClient, chat: str, message: str) -> Any:
    """The data of the events as they come."""
    path = f"/chats/{chat}/messages/{message}/events"
    async with http.stream("GET", path) as response:
        async for line in response.aiter_lines():
            if line.startswith("data: "):
                yield Event(None, httpx.Response(200, text=line[6:]).json()).data
