"""Chats over HTTP: list, tree, update, hide, delete; what is said, voted and reported."""

import asyncio
import re
import time

import pytest

from mesh_client import AsyncClient, MemoryStore
from tests.chatting import answer, ask, events, get_message, messages, new_chat, ok, refusal, tokens
from tests.whole_mesh import ECHO, FAILING, SINGLE, SLOW, Mesh

NOWHERE = "0" * 32


async def test_a_new_chat_is_empty_and_gets_its_title_from_the_first_message(mesh: Mesh) -> None:
    async with await mesh.client("titles") as http:
        chat = ok(await http.post("/chats", json={}))
        assert chat["title"] is None and chat["hidden"] is False and chat["allow_data_use"] is True
        assert await messages(http, chat["id"]) == []
        await answer(http, chat["id"], "What is the tallest tree?")
        found = ok(await http.get(f"/chats/{chat['id']}"))
        assert found["title"] == "What is the tallest tree?"
        assert found["modified_at"] > chat["modified_at"]


async def test_an_exchange_is_a_question_and_its_answer(mesh: Mesh) -> None:
    async with await mesh.client("exchange") as http:
        chat = await new_chat(http)
        asked = await ask(http, chat, "one two three")
        question, begun = asked["prompter_message"], asked["assistant_message"]
        assert (question["role"], question["state"]) == ("prompter", "manual")
        assert (question["content"], question["parent_id"]) == ("one two three", None)
        assert question["work_parameters"] is None
        assert (begun["role"], begun["parent_id"]) == ("assistant", question["id"])
        assert begun["state"] in ("pending", "in_progress")
        assert begun["work_parameters"]["model_config"]["model_id"] == ECHO
        await events(http, chat, begun["id"])
        done = await get_message(http, chat, begun["id"])
        assert (done["state"], done["content"], done["finish"]) == (
            "complete",
            "one two three",
            "stop",
        )
        assert done["usage"]["completion_tokens"] == 3
        assert (done["worker"], done["attempts"], done["error"]) == (ECHO, 1, None)
        assert await messages(http, chat) == [question, done]


async def test_the_old_way_asks_in_two_steps(mesh: Mesh) -> None:
    async with await mesh.client("two steps") as http:
        chat = await new_chat(http)
        said = await http.post(f"/chats/{chat}/prompter_message", json={"content": "one two"})
        question = ok(said)
        assert question["state"] == "manual"
        body = {
            "parent_id": question["id"],
            "model_config_name": ECHO,
            "sampling_parameters": {"top_k": 50, "temperature": 0.75, "max_new_tokens": 1},
            "system_prompt": "Be brief.",
            "user_profile": "A pilot.",
            "user_response_instructions": "In verse.",
            "plugins": [{"url": "http://plugin", "enabled": False}],
        }
        begun = ok(await http.post(f"/chats/{chat}/assistant_message", json=body))
        assert begun["parent_id"] == question["id"]
        await events(http, chat, begun["id"])
        done = await get_message(http, chat, begun["id"])
        assert (done["content"], done["finish"]) == ("one ", "length")
        parameters = done["work_parameters"]
        assert parameters["sampling_parameters"] == {
            "top_k": 50,
            "top_p": None,
            "typical_p": None,
            "temperature": 0.75,
            "repetition_penalty": None,
            "max_new_tokens": 1,
        }
        assert parameters["do_sample"] is True and isinstance(parameters["seed"], int)
        assert parameters["system_prompt"] == "Be brief."
        assert parameters["user_profile"] == "A pilot."
        assert parameters["user_response_instructions"] == "In verse."
        assert parameters["plugins"] == []


async def test_a_conversation_goes_on_under_the_answer(mesh: Mesh) -> None:
    async with await mesh.client("goes on") as http:
        chat = await new_chat(http)
        first = await answer(http, chat, "one")
        second = await answer(http, chat, "two", parent=first["id"])
        assert second["usage"]["prompt_tokens"] > first["usage"]["prompt_tokens"]
        parents = [message["parent_id"] for message in await messages(http, chat)]
        tree = [message["id"] for message in await messages(http, chat)]
        assert parents == [None, *tree[:-1]]


async def test_retries_and_edits_are_siblings(mesh: Mesh) -> None:
    async with await mesh.client("siblings") as http:
        chat = await new_chat(http)
        first = await answer(http, chat, "one")
        body = {"parent_id": first["parent_id"], "model_config_name": ECHO}
        retry = ok(await http.post(f"/chats/{chat}/assistant_message", json=body))
        assert (retry["parent_id"], retry["id"] == first["id"]) == (first["parent_id"], False)
        await answer(http, chat, "two", parent=first["id"])
        edited = await answer(http, chat, "too", parent=first["id"])
        found = await messages(http, chat)
        siblings = [message for message in found if message["parent_id"] == first["id"]]
        assert [message["content"] for message in siblings] == ["two", "too"]
        assert edited["content"] == "too"


async def test_a_failed_answer_blocks_nothing(mesh: Mesh) -> None:
    async with await mesh.client("failing") as http:
        chat = await new_chat(http)
        failed = await answer(http, chat, "/repeat so ", model=FAILING)
        assert failed["state"] == "aborted_by_worker"
        assert failed["content"] == "so " * 3 * failed["attempts"]
        assert failed["error_code"] == "engine_failed" and failed["error"]
        again = {"parent_id": failed["parent_id"], "model_config_name": ECHO}
        retry = ok(await http.post(f"/chats/{chat}/assistant_message", json=again))
        await events(http, chat, retry["id"])
        assert (await get_message(http, chat, retry["id"]))["state"] == "complete"
        assert (await answer(http, chat, "on", parent=failed["id"]))["content"] == "on"


async def test_the_list_is_paged_newest_first(mesh: Mesh) -> None:
    async with await mesh.client("pages") as http:
        made = [await new_chat(http) for _ in range(5)]
        newest = made[::-1]
        first = ok(await http.get("/chats", params={"limit": 2}))
        assert ([chat["id"] for chat in first["chats"]], first["prev"]) == (newest[:2], None)
        second = ok(await http.get("/chats", params={"limit": 2, "after": first["next"]}))
        assert [chat["id"] for chat in second["chats"]] == newest[2:4]
        last = ok(await http.get("/chats", params={"limit": 2, "after": second["next"]}))
        assert ([chat["id"] for chat in last["chats"]], last["next"]) == (newest[4:], None)
        back = ok(await http.get("/chats", params={"limit": 2, "before": second["prev"]}))
        assert [chat["id"] for chat in back["chats"]] == newest[:2]


@pytest.mark.parametrize(
    "query", ["after=YQ==&before=YQ==", "limit=0", "limit=101", "limit=many", "after=%F0", "after="]
)
async def test_a_list_asked_for_wrongly_is_refused(mesh: Mesh, query: str) -> None:
    async with await mesh.client("wrong lists") as http:
        refusal(await http.get(f"/chats?{query}"), 400, "bad_request")


async def test_a_chat_is_changed_field_by_field(mesh: Mesh) -> None:
    async with await mesh.client("changes") as http:
        chat = await new_chat(http)
        tail = (await answer(http, chat, "hello"))["id"]
        for change in (
            {"title": "Ein Titel"},
            {"allow_data_use": False},
            {"active_thread_tail_message_id": tail},
            {"hidden": True},
        ):
            assert ok(await http.put(f"/chats/{chat}", json=change)) is None
        found = ok(await http.get(f"/chats/{chat}"))
        assert (found["title"], found["allow_data_use"], found["hidden"]) == (
            "Ein Titel",
            False,
            True,
        )
        assert found["active_thread_tail_message_id"] == tail
        assert ok(await http.get("/chats"))["chats"] == []
        hidden = ok(await http.get("/chats", params={"include_hidden": True}))["chats"]
        assert [chat["id"] for chat in hidden] == [chat]
        too_long = await http.put(f"/chats/{chat}", json={"title": "x" * 101})
        refusal(too_long, 400, "bad_request")


async def test_hide_all_hides_all_and_is_no_chat(mesh: Mesh) -> None:
    async with await mesh.client("hider") as http:
        chats = [await new_chat(http) for _ in range(3)]
        assert ok(await http.put("/chats/hide_all")) is None
        assert ok(await http.get("/chats"))["chats"] == []
        shown = ok(await http.get("/chats", params={"include_hidden": True}))["chats"]
        assert {chat["id"] for chat in shown} == set(chats)
        assert all(chat["hidden"] for chat in shown)


async def test_deleting_is_for_good_and_stops_what_is_written(mesh: Mesh) -> None:
    async with await mesh.client("deleter") as http:
        chat = await new_chat(http)
        asked = await ask(http, chat, "/repeat on and on", model=SLOW)
        message = asked["assistant_message"]["id"]
        reading = asyncio.create_task(events(http, chat, message))
        ok(await http.delete(f"/chats/{chat}"))
        assert (await reading)[-1].data["message"]["state"] == "cancelled"
        for path in ("", f"/messages/{message}", f"/messages/{message}/events"):
            refusal(await http.get(f"/chats/{chat}{path}"), 404, "not_found")
        refusal(await http.delete(f"/chats/{chat}"), 404, "not_found")


async def test_what_belongs_to_others_is_not_there(mesh: Mesh) -> None:
    async with await mesh.client("owner") as owner, await mesh.client("stranger") as stranger:
        chat = await new_chat(owner)
        message = (await answer(owner, chat, "secret"))["id"]
        running = await ask(owner, chat, "/repeat secret", parent=message, model=SLOW)
        for path in _paths(chat, message, running["assistant_message"]["id"]):
            method, _, url = path.partition(" ")
            response = await stranger.request(method, url, json=_BODIES.get(url.split("/")[-1]))
            refusal(response, 404, "not_found")
            assert "secret" not in response.text
        stopped = running["assistant_message"]["id"]
        ok(await owner.post(f"/chats/{chat}/messages/{stopped}/cancel"))


_BODIES = {
    "votes": {"score": 1},
    "reports": {"report_type": "spam", "reason": ""},
    "prompter_message": {"content": "x", "parent_id": None},
    "assistant_message": {"parent_id": NOWHERE},
    "messages": {"content": "x"},
}


def _paths(chat: str, message: str, running: str) -> list[str]:
    one, two = f"/chats/{chat}/messages/{message}", f"/chats/{chat}/messages/{running}"
    return [
        f"GET /chats/{chat}",
        f"PUT /chats/{chat}",
        f"DELETE /chats/{chat}",
        f"POST /chats/{chat}/prompter_message",
        f"POST /chats/{chat}/assistant_message",
        f"POST /chats/{chat}/messages",
        f"GET {one}",
        f"GET {one}/events",
        f"GET {two}/events",
        f"POST {one}/cancel",
        f"POST {two}/cancel",
        f"POST {one}/votes",
        f"POST {one}/reports",
    ]


async def test_unknown_chats_and_messages_are_404(mesh: Mesh) -> None:
    async with await mesh.client("lost") as http:
        mine = await new_chat(http)
        for chat, message in ((NOWHERE, NOWHERE), (mine, NOWHERE), (mine, ">"), (mine, "a.b *")):
            for path in _paths(chat, message, message)[6:]:
                method, _, url = path.partition(" ")
                body = _BODIES.get(url.split("/")[-1])
                refusal(await http.request(method, url, json=body), 404, "not_found")


async def test_votes_and_reports_are_shown_with_the_message(mesh: Mesh) -> None:
    async with await mesh.client("voter") as http:
        chat = await new_chat(http)
        message = (await answer(http, chat, "hello"))["id"]
        url = f"/chats/{chat}/messages/{message}"
        for score in (1, -1):
            assert ok(await http.post(f"{url}/votes", json={"score": score})) is None
            assert (await get_message(http, chat, message))["score"] == score
        report = {"report_type": "feedback", "reason": "too short"}
        assert ok(await http.post(f"{url}/reports", json=report)) is None
        found = (await get_message(http, chat, message))["reports"]
        assert [(r["report_type"], r["reason"]) for r in found] == [("feedback", "too short")]
        for bad in (2, -2, "1", None):
            wrong = await http.post(f"{url}/votes", json={"score": bad})
            refusal(wrong, 400, "bad_request")
        wrong = await http.post(f"{url}/reports", json={"report_type": "other", "reason": ""})
        refusal(wrong, 400, "bad_request")


async def test_a_reply_needs_an_answer_above_it(mesh: Mesh) -> None:
    async with await mesh.client("parents") as http:
        chat = await new_chat(http)
        first = await answer(http, chat, "one")
        other = await answer(http, await new_chat(http), "elsewhere")
        running = await ask(http, chat, "/repeat x", parent=first["id"], model=SLOW)
        unfinished = running["assistant_message"]["id"]
        for parent in (None, first["parent_id"], other["id"], unfinished, NOWHERE):
            body = {"content": "two", "parent_id": parent}
            for route in ("prompter_message", "messages"):
                response = await http.post(f"/chats/{chat}/{route}", json=body)
                refusal(response, 400, "bad_request")
        ok(await http.post(f"/chats/{chat}/messages/{unfinished}/cancel"))
        for parent in (first["id"], other["parent_id"]):
            body = {"content": "", "parent_id": parent}
            response = await http.post(f"/chats/{chat}/assistant_message", json=body)
            assert response.status_code in (400, 404), response.text


async def test_any_question_can_be_worded_anew_the_first_one_too(mesh: Mesh) -> None:
    async with await mesh.client("editor") as http:
        chat = await new_chat(http)
        first = await ask(http, chat, "one")
        question, said = first["prompter_message"], first["assistant_message"]["id"]
        await events(http, chat, said)
        second = (await ask(http, chat, "two", parent=said))["prompter_message"]
        for old in (question, second):
            asked = await ask(http, chat, f"instead of {old['content']}", beside=old["id"])
            assert asked["prompter_message"]["parent_id"] == old["parent_id"]
            await events(http, chat, asked["assistant_message"]["id"])
            tail = {"active_thread_tail_message_id": asked["assistant_message"]["id"]}
            assert ok(await http.put(f"/chats/{chat}", json=tail)) is None  # at once
        assert len(await messages(http, chat)) == 8
        for beside, status in ((said, 400), (NOWHERE, 404)):
            body = {"content": "three", "beside": beside}
            response = await http.post(f"/chats/{chat}/messages", json=body)
            assert response.status_code == status, response.text


async def test_an_unknown_model_is_refused_early_and_by_name(mesh: Mesh) -> None:
    async with await mesh.client("models") as http:
        chat = await new_chat(http)
        body = {"content": "hello", "model_config_name": "gpt-17"}
        response = await http.post(f"/chats/{chat}/messages", json=body)
        assert "gpt-17" in refusal(response, 422, "model_not_found")
        assert await messages(http, chat) == []


@pytest.mark.parametrize(
    "parameters",
    [
        {"temperature": -1},
        {"top_p": 2},
        {"top_k": "many"},
        {"max_new_tokens": 0},
        {"repetition_penalty": 0},
        "k50",
    ],
)
async def test_wrong_sampling_parameters_are_refused(mesh: Mesh, parameters: object) -> None:
    async with await mesh.client("sampling") as http:
        chat = await new_chat(http)
        body = {"content": "hello", "sampling_parameters": parameters}
        response = await http.post(f"/chats/{chat}/messages", json=body)
        refusal(response, 422, "bad_request")
        assert await messages(http, chat) == []


async def test_plugins_are_refused_rather_than_ignored(mesh: Mesh) -> None:
    async with await mesh.client("plugins") as http:
        chat = await new_chat(http)
        body = {"content": "hello", "plugins": [{"url": "http://plugin"}]}
        refusal(await http.post(f"/chats/{chat}/messages", json=body), 400, "unsupported")


async def test_presets_come_with_every_model(mesh: Mesh) -> None:
    async with await mesh.client("presets") as http:
        configs = ok(await http.get("/configs/model_configs"))
        assert [config["name"] for config in configs] == sorted([ECHO, FAILING, SINGLE, SLOW])
        for config in configs:
            presets = {p["name"]: p["sampling_parameters"] for p in config["parameter_configs"]}
            assert len(presets) == 8
            chosen = {"content": "hello", "sampling_parameters": presets["k50-Plugins"]}
        chat = await new_chat(http)
        ok(await http.post(f"/chats/{chat}/messages", json=chosen | {"model_config_name": ECHO}))


async def test_a_new_question_ends_only_this_chats_other_answers(mesh: Mesh) -> None:
    async with await mesh.client("asker") as http:
        chat, other = await new_chat(http), await new_chat(http)
        root = await answer(http, chat, "root")
        elsewhere = await ask(http, other, "/repeat elsewhere", model=SLOW)
        old = await ask(http, chat, "/repeat old", parent=root["id"], model=SLOW)
        retry = {"parent_id": old["prompter_message"]["id"], "model_config_name": SLOW}
        sibling = ok(await http.post(f"/chats/{chat}/assistant_message", json=retry))
        reading = [
            asyncio.create_task(events(http, chat, message))
            for message in (old["assistant_message"]["id"], sibling["id"])
        ]
        new = await ask(http, chat, "/repeat new", parent=root["id"], model=SLOW)
        for ended in await asyncio.gather(*reading):
            assert ended[-1].data["message"]["state"] == "cancelled"
        for asked, where in ((elsewhere, other), (new, chat)):
            message = asked["assistant_message"]["id"]
            assert await events(http, where, message, most=3)
            assert (await get_message(http, where, message))["state"] == "in_progress"
            ok(await http.post(f"/chats/{where}/messages/{message}/cancel"))


async def test_a_retry_leaves_its_running_siblings_alone(mesh: Mesh) -> None:
    async with await mesh.client("drafts") as http:
        chat = await new_chat(http)
        first = await ask(http, chat, "/repeat x", model=SLOW)
        body = {"parent_id": first["prompter_message"]["id"], "model_config_name": SLOW}
        drafts = [first["assistant_message"]["id"]]
        for _ in range(2):
            draft = await http.post(f"/chats/{chat}/assistant_message", json=body)
            drafts.append(ok(draft)["id"])
        for draft in drafts:
            assert len(tokens(await events(http, chat, draft, most=2))) == 2
            assert (await get_message(http, chat, draft))["state"] == "in_progress"
        for draft in drafts:
            ok(await http.post(f"/chats/{chat}/messages/{draft}/cancel"))


async def test_cancelling_is_acknowledged_with_the_count(mesh: Mesh) -> None:
    async with await mesh.client("stopper") as http:
        chat = await new_chat(http)
        message = (await ask(http, chat, "/repeat x", model=SLOW))["assistant_message"]["id"]
        reading = asyncio.create_task(events(http, chat, message))
        read = await events(http, chat, message, most=3)
        assert len(tokens(read)) == 3
        stopped = ok(await http.post(f"/chats/{chat}/messages/{message}/cancel"))
        assert (stopped["cancelled"], stopped["state"]) == (True, "cancelled")
        assert stopped["tokens"] == len(tokens(await reading)) >= 3
        again = ok(await http.post(f"/chats/{chat}/messages/{message}/cancel"))
        assert again == stopped
        kept = await get_message(http, chat, message)
        assert (kept["state"], kept["content"]) == ("cancelled", "".join(tokens(await reading)))
        assert (await answer(http, chat, "on", parent=message))["state"] == "complete"


async def test_cancelling_what_has_ended_changes_nothing(mesh: Mesh) -> None:
    async with await mesh.client("late stopper") as http:
        chat = await new_chat(http)
        done = await answer(http, chat, "one two")
        stopped = ok(await http.post(f"/chats/{chat}/messages/{done['id']}/cancel"))
        assert stopped == {"cancelled": False, "state": "complete", "tokens": 2}
        url = f"/chats/{chat}/messages/{done['parent_id']}/cancel"
        refusal(await http.post(url), 400, "bad_request")


async def test_a_post_repeated_with_its_key_is_done_once(mesh: Mesh) -> None:
    async with await mesh.client("repeater") as http:
        chat = await new_chat(http)
        same = await asyncio.gather(*(ask(http, chat, "one two", key="k1") for _ in range(4)))
        assert len({asked["assistant_message"]["id"] for asked in same}) == 1
        assert len({asked["prompter_message"]["id"] for asked in same}) == 1
        await events(http, chat, same[0]["assistant_message"]["id"])
        late = await ask(http, chat, "one two", key="k1")
        assert late["assistant_message"]["content"] == "one two"
        assert len(await messages(http, chat)) == 2
        other = {"content": "three", "model_config_name": ECHO}
        response = await http.post(
            f"/chats/{chat}/messages", json=other, headers={"Idempotency-Key": "k1"}
        )
        refusal(response, 422, "conflict")
        long = {"Idempotency-Key": "x" * 256}
        response = await http.post(f"/chats/{chat}/messages", json=other, headers=long)
        refusal(response, 400, "bad_request")


async def test_another_answer_repeated_with_its_key_is_begun_once(mesh: Mesh) -> None:
    async with await mesh.client("answer repeater") as http:
        chat = await new_chat(http)
        first = await answer(http, chat, "one two")
        body = {"parent_id": first["parent_id"], "model_config_name": ECHO}
        url, key = f"/chats/{chat}/assistant_message", {"Idempotency-Key": "again"}
        begun = [ok(await http.post(url, json=body, headers=key))["id"] for _ in range(2)]
        assert begun[0] == begun[1] != first["id"]


async def test_one_users_key_is_not_anothers(mesh: Mesh) -> None:
    async with await mesh.client("key one") as one, await mesh.client("key two") as two:
        asked = [await ask(http, await new_chat(http), "hello", key="same") for http in (one, two)]
        assert asked[0]["assistant_message"]["id"] != asked[1]["assistant_message"]["id"]


async def test_the_whole_tree_of_a_long_chat_is_read(mesh: Mesh) -> None:
    async with await mesh.client("long chat") as http:
        chat = await new_chat(http)
        root = await answer(http, chat, "root")
        url = f"/chats/{chat}/prompter_message"
        for number in range(25):
            body = {"content": f"{number} " + "x" * 90_000, "parent_id": root["id"]}
            ok(await http.post(url, json=body))
        found = await messages(http, chat)
        assert len(found) == 27
        assert [m["content"].split()[0] for m in found[2:]] == [str(n) for n in range(25)]


async def test_ids_tell_nothing(mesh: Mesh) -> None:
    async with await mesh.client("guesser") as http:
        chat = await new_chat(http)
        asked = await ask(http, chat, "hello")
        ids = [chat] + [asked[name]["id"] for name in ("prompter_message", "assistant_message")]
        assert all(re.fullmatch("[0-9a-f]{32}", id) for id in ids) and len(set(ids)) == 3


async def test_cors_is_off_and_foreign_pages_are_turned_away(mesh: Mesh) -> None:
    async with await mesh.client("browser") as http:
        response = await http.get("/chats", headers={"Origin": "http://evil.example"})
        refusal(response, 403, "forbidden")
        response = await http.get("/chats", headers={"Host": "evil.example"})
        refusal(response, 403, "forbidden")
        own = await http.get("/chats", headers={"Origin": mesh.url})
        assert "access-control-allow-origin" not in own.headers


async def test_cancelling_at_the_moment_of_the_claim_is_heard(mesh: Mesh) -> None:
    late = 0
    async with await mesh.client("hasty") as http:
        for _ in range(30):
            chat = await new_chat(http)
            message = (await ask(http, chat, "/repeat x", model=SLOW))["assistant_message"]["id"]
            began = time.monotonic()
            stopped = ok(await http.post(f"/chats/{chat}/messages/{message}/cancel"))
            assert stopped["cancelled"] is True
            late += time.monotonic() - began > 2.0
    assert late <= 3, "a busy machine may be late now and then"


async def test_the_workers_are_shown_to_those_who_signed_in(mesh: Mesh) -> None:
    async with await mesh.client("watcher") as http, mesh.anonymous() as nobody:
        refusal(await nobody.get("/workers"), 403, "not_authenticated")
        present = ok(await http.get("/workers"))["workers"]
        assert [worker["name"] for worker in present] == sorted([ECHO, FAILING, SINGLE, SLOW])
        single = next(worker for worker in present if worker["name"] == SINGLE)
        assert (single["models"], single["slots"], single["draining"]) == ([SINGLE], 1, False)


async def test_the_shipped_client_understands_every_answer(mesh: Mesh) -> None:
    async with AsyncClient(mesh.url, username="shipped", store=MemoryStore()) as client:
        chat = await client.new_chat()
        answer = await chat.ask("one two three", model=ECHO, system="Be brief.")
        assert (await answer.wait()).content == "one two three"
        assert {worker.name for worker in await client.workers()} >= {ECHO, SLOW}
        assert {model.id for model in await client.models()} >= {ECHO, SLOW}
        assert [chat.title async for chat in client.chats()] == ["one two three"]
