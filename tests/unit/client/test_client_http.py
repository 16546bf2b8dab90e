"""Both clients over real sockets: signing in, reading, cutting, resuming, cancelling."""

import asyncio
import inspect
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

import mesh_client
from mesh_client import (
    AsyncClient,
    BadAddress,
    BadReply,
    Client,
    Event,
    Failed,
    Finished,
    GenerationFailed,
    MemoryStore,
    NotFound,
    Pending,
    Reconnecting,
    Refused,
    Retry,
    Token,
    Unreachable,
)
from mesh_client.credentials import Credentials
from tests.unit.client.conftest import QUICK
from tests.unit.client.scripted_gateway import Answer, Connection, ScriptedGateway


def tokens(events: list[Event]) -> list[str]:
    return [event.text for event in events if isinstance(event, Token)]


def losses(events: list[Event]) -> int:
    return sum(isinstance(event, Reconnecting) for event in events)


# --- reading ----------------------------------------------------------------------------------


def test_an_answer_is_read_as_typed_events(client: Client, gateway: ScriptedGateway) -> None:
    events = list(client.new_chat().ask("Hello?"))
    assert events[0] == Pending(2, 3)
    assert tokens(events) == gateway.pieces
    end = events[-1]
    assert isinstance(end, Finished) and end.text == gateway.text and end.message is not None
    assert end.message.worker == "w1"


async def test_the_async_client_reads_the_same(
    async_client: AsyncClient, gateway: ScriptedGateway
) -> None:
    answer = await (await async_client.new_chat()).ask("Hello?")
    events = [event async for event in answer]
    assert events[0] == Pending(2, 3)
    assert tokens(events) == gateway.pieces
    assert isinstance(events[-1], Finished)


def test_an_answer_may_be_read_twice(client: Client, gateway: ScriptedGateway) -> None:
    answer = client.new_chat().ask("Hello?")
    assert tokens(list(answer)) == tokens(list(answer)) == gateway.pieces


def test_options_travel_under_the_names_of_the_route(
    client: Client, gateway: ScriptedGateway
) -> None:
    client.new_chat().ask("Hi", model="echo", system="Be brief.", temperature=0.0, max_tokens=9)
    assert gateway.requests("/messages")[0].json() == {
        "content": "Hi",
        "model_config_name": "echo",
        "system_prompt": "Be brief.",
        "sampling_parameters": {"temperature": 0.0, "max_new_tokens": 9},
    }


def test_the_next_question_goes_under_the_last_answer(
    client: Client, gateway: ScriptedGateway
) -> None:
    chat = client.new_chat()
    chat.ask("One?").wait()
    chat.ask("Two?").wait()
    assert [m.id for m in chat.messages] == ["question-1", "answer-1", "question-2", "answer-2"]


def test_a_retry_is_an_answer_beside_the_first(client: Client, gateway: ScriptedGateway) -> None:
    chat = client.new_chat()
    chat.ask("One?").wait()
    chat.retry(temperature=1.0).wait()
    assert [message.id for message in chat.messages] == ["question-1", "answer-2"]


def test_a_failed_answer_raises_when_it_is_waited_for(
    client: Client, gateway: ScriptedGateway
) -> None:
    gateway.error = {"event_type": "error", "error": "Out of memory.", "code": "engine_failed"}
    answer = client.new_chat().ask("Hello?")
    with pytest.raises(GenerationFailed, match="Out of memory") as caught:
        answer.wait()
    assert (caught.value.code, caught.value.text) == ("engine_failed", gateway.text)


def test_a_late_reader_gets_the_text_of_a_finished_answer(
    client: Client, gateway: ScriptedGateway
) -> None:
    gateway.finished_already = True
    events = list(client.new_chat().ask("Hello?"))
    assert tokens(events) == [gateway.text]
    assert isinstance(events[-1], Finished)


# --- cutting ----------------------------------------------------------------------------------


@pytest.mark.parametrize("finish", [True, False], ids=["ended", "torn"])
@pytest.mark.parametrize("cut", range(0, 560, 37))
def test_a_stream_cut_at_any_byte_goes_on_exactly(
    client: Client, gateway: ScriptedGateway, cut: int, finish: bool
) -> None:
    gateway.connections = [Connection(cut_after=cut, finish=finish)]
    events = list(client.new_chat().ask("Hello?"))
    assert tokens(events) == gateway.pieces
    assert losses(events) == 1


async def test_the_async_client_survives_many_cuts(
    async_client: AsyncClient, gateway: ScriptedGateway
) -> None:
    gateway.connections = [Connection(cut_after=cut) for cut in (0, 10, 150, 150, 70, 1)]
    answer = await (await async_client.new_chat()).ask("Hello?")
    events = [event async for event in answer]
    assert tokens(events) == gateway.pieces
    assert losses(events) == 6


def test_a_store_that_is_away_for_a_moment_is_waited_for(
    client: Client, gateway: ScriptedGateway
) -> None:
    gateway.connections = [Connection(status=503), Connection(status=502)]
    events = list(client.new_chat().ask("Hello?"))
    assert tokens(events) == gateway.pieces
    assert losses(events) == 2


def test_a_gateway_that_restarts_in_mid_answer_is_found_again(
    client: Client, gateway: ScriptedGateway
) -> None:
    gateway.hold_before = 2
    events: list[Event] = []
    for event in client.new_chat().ask("Hello?"):
        events.append(event)
        if isinstance(event, Token) and event.index == 1:
            gateway.stop()
            gateway.hold_before = None
        if isinstance(event, Reconnecting) and event.attempt == 2:
            assert event.reason == "nothing listens there"
            gateway.start()
    assert tokens(events) == gateway.pieces
    assert losses(events) >= 2


def test_patience_with_a_gateway_that_stays_away_ends(gateway: ScriptedGateway) -> None:
    retry = Retry(stream_patience=0.1, first=0.01, longest=0.02)
    with Client(gateway.url, username="ada", store=MemoryStore(), retry=retry) as client:
        answer = client.new_chat().ask("Hello?")
        gateway.stop()
        with pytest.raises(Unreachable, match="mesh up"):
            list(answer)


def test_a_gateway_that_never_was_is_reported_at_once() -> None:
    began, patient = time.monotonic(), Retry(call_patience=120.0)
    with (
        Client("http://127.0.0.1:9", store=MemoryStore(), retry=patient) as client,
        pytest.raises(Unreachable, match="http://127.0.0.1:9"),
    ):
        client.models()
    assert time.monotonic() - began < 30


def test_a_question_whose_reply_was_lost_is_asked_once(
    client: Client, gateway: ScriptedGateway
) -> None:
    chat = client.new_chat()
    gateway.drop_replies = {"messages": 1}
    assert chat.ask("Hello?").wait().content == gateway.text
    assert len(gateway.requests("/messages")) == 2
    assert len(gateway.asked) == 1


def test_what_may_not_be_repeated_is_not(client: Client, gateway: ScriptedGateway) -> None:
    client.models()
    gateway.drop_replies = {"chats": 1}
    with pytest.raises(Unreachable):
        client.new_chat()
    assert len([seen for seen in gateway.requests("/chats") if "authorization" in seen.headers]) < 3


# --- cancelling -------------------------------------------------------------------------------


def test_a_cancel_is_acknowledged_and_ends_the_stream(
    client: Client, gateway: ScriptedGateway
) -> None:
    gateway.hold_before = 3
    answer = client.new_chat().ask("Hello?")
    events: list[Event] = []
    for event in answer:
        events.append(event)
        if isinstance(event, Token) and event.index == 2:
            stop = answer.cancel()
    assert (stop.tokens, stop.state) == (214, "cancelled")
    assert 0 < stop.seconds < 5
    end = events[-1]
    assert isinstance(end, Finished) and end.state == "cancelled"
    assert end.text == "".join(gateway.pieces[:3])


# --- signing in -------------------------------------------------------------------------------


def test_the_first_call_signs_in(client: Client, gateway: ScriptedGateway) -> None:
    gateway.tokens_accepted = {"a1"}
    assert client.user() == "user-1"
    assert gateway.requests("/debug")[0].path.endswith("?code=ada")


def test_a_token_that_ran_out_is_renewed_in_mid_use(
    client: Client, gateway: ScriptedGateway
) -> None:
    client.login("ada")
    gateway.tokens_accepted = set()
    assert tokens(list(client.new_chat().ask("Hello?"))) == gateway.pieces
    assert len(gateway.requests("/refresh")) == 1


def test_each_renewal_uses_the_token_that_the_last_one_gave(
    client: Client, gateway: ScriptedGateway
) -> None:
    client.login("ada")
    for _ in range(3):
        gateway.tokens_accepted = set()
        assert client.user() == "user-1"
    assert [seen.headers["refresh"] for seen in gateway.requests("/refresh")] == ["r1", "r2", "r3"]
    assert len(gateway.requests("/debug")) == 1


def test_who_signed_in_with_a_password_is_never_signed_in_by_name_alone(
    client: Client, gateway: ScriptedGateway
) -> None:
    client.login("ada", "correct horse")
    gateway.tokens_accepted = set()
    assert client.user() == "user-1"
    over = Answer(401, {"detail": "Sign in again.", "code": "token_expired", "request_id": "r"})
    gateway.tokens_accepted, gateway.refusals = set(), {"refresh": [over]}
    with pytest.raises(mesh_client.NotSignedIn):
        client.user()
    assert gateway.requests("/debug") == []


async def test_the_async_client_renews_its_token_too(
    async_client: AsyncClient, gateway: ScriptedGateway
) -> None:
    await async_client.login("ada")
    gateway.tokens_accepted = set()
    assert await async_client.user() == "user-1"


async def test_many_calls_at_once_sign_in_once(
    async_client: AsyncClient, gateway: ScriptedGateway
) -> None:
    gateway.tokens_accepted = set()
    for _ in range(2):
        assert set(await asyncio.gather(*(async_client.user() for _ in range(20)))) == {"user-1"}
        gateway.tokens_accepted = set()  # they have run out
    assert len(gateway.requests("/debug")) == len(gateway.requests("/refresh")) == 1


def test_many_threads_at_once_sign_in_once(client: Client, gateway: ScriptedGateway) -> None:
    gateway.tokens_accepted = set()
    for _ in range(2):
        with ThreadPoolExecutor(8) as threads:
            asked = [threads.submit(client.user) for _ in range(8)]
        assert {each.result() for each in asked} == {"user-1"}
        gateway.tokens_accepted = set()  # they have run out
    assert len(gateway.requests("/debug")) == len(gateway.requests("/refresh")) == 1


def test_a_renewal_by_another_process_is_used(gateway: ScriptedGateway) -> None:
    class Shared(MemoryStore):
        """Another process saves a new token after the first look."""

        looks = 0

        def load(self) -> Credentials | None:
            self.looks += 1
            token = "stale" if self.looks == 1 else "a1"
            return Credentials(username="ada", access_token=token, refresh_token="r1")

    with Client(gateway.url, store=Shared(), retry=QUICK) as client:
        assert client.user() == "user-1"
    assert gateway.requests("/refresh") == []


def test_without_a_name_nobody_is_signed_in(gateway: ScriptedGateway) -> None:
    with (
        Client(gateway.url, store=MemoryStore(), retry=QUICK) as client,
        pytest.raises(mesh_client.NotSignedIn) as caught,
    ):
        client.user()
    assert (caught.value.code, caught.value.request_id) == ("invalid_token", "req-7")


def test_forgetting_the_tokens_signs_out(gateway: ScriptedGateway) -> None:
    with Client(gateway.url, store=MemoryStore(), retry=QUICK) as client:
        client.login("ada")
        client.logout()
        with pytest.raises(mesh_client.NotSignedIn):
            client.user()


# --- the rest ---------------------------------------------------------------------------------


def test_chats_are_listed_over_all_pages(client: Client) -> None:
    assert [chat.id for chat in client.chats()] == ["chat-1", "chat-0"]


def test_a_chat_is_opened_with_its_messages(client: Client) -> None:
    client.new_chat().ask("Hello?")
    chat = client.chat("chat-1")
    assert [message.content for message in chat.messages][0] == "Hello?"
    running = chat.running()
    assert running is not None and running.wait().state == "complete"


def test_a_chat_is_changed_and_deleted(client: Client, gateway: ScriptedGateway) -> None:
    chat = client.new_chat()
    chat.rename("Numbers")
    chat.hide()
    chat.delete()
    changes = [seen for seen in gateway.requests("/chat-1") if "authorization" in seen.headers]
    assert [(seen.method, seen.body) for seen in changes] == [
        ("PUT", b'{"title":"Numbers"}'),
        ("PUT", b'{"hidden":true}'),
        ("DELETE", b""),
    ]


def test_models_and_workers_are_listed(client: Client) -> None:
    assert [model.id for model in client.models()] == ["echo"]
    assert [(worker.name, worker.speed) for worker in client.workers()] == [("w1", 31.5)]


def test_generate_streams_without_a_chat(client: Client, gateway: ScriptedGateway) -> None:
    events = list(client.generate("Hello", max_tokens=5))
    assert tokens(events) == gateway.pieces
    assert events[-1] == Finished(gateway.text, 5)
    assert gateway.requests("/generate")[0].json() == {
        "prompt": "Hello",
        "params": {"max_tokens": 5},
    }


async def test_a_generate_stream_that_is_cut_ends_as_failed(
    async_client: AsyncClient, gateway: ScriptedGateway
) -> None:
    gateway.connections = [Connection(cut_after=60)]
    events = [event async for event in async_client.generate("Hello")]
    last = events[-1]
    assert isinstance(last, Failed) and last.code == "unreachable" and last.text == "One "


def test_an_unknown_chat_is_not_found_and_its_id_cannot_leave_the_path(
    client: Client, gateway: ScriptedGateway
) -> None:
    with pytest.raises(NotFound):
        client.chat("../auth/check")
    assert gateway.seen[-1].path == "/chats/..%2Fauth%2Fcheck"


def test_a_full_mesh_refuses_with_the_time_to_wait(
    client: Client, gateway: ScriptedGateway
) -> None:
    chat = client.new_chat()
    body = {"detail": "Busy.", "code": "queue_full", "request_id": "r"}
    gateway.refusals = {"messages": [Answer(503, body, {"Retry-After": "7"})]}
    with pytest.raises(Refused) as caught:
        chat.ask("Hello?")
    assert (caught.value.retry_after, caught.value.code) == (7.0, "queue_full")


def test_something_that_is_not_a_gateway_is_a_bad_reply(
    client: Client, gateway: ScriptedGateway
) -> None:
    gateway.refusals = {"models": [Answer(200, ["hello"])]}
    with pytest.raises(BadReply, match="is this a mesh gateway"):
        client.models()


def test_what_is_no_address_is_refused() -> None:
    with pytest.raises(BadAddress, match="looks like"):
        Client("localhost:8000")


def test_one_client_serves_many_threads(client: Client, gateway: ScriptedGateway) -> None:
    client.login("ada")
    texts: list[str | None] = []
    chat = client.new_chat()
    threads = [
        threading.Thread(target=lambda: texts.append(chat.ask("Hello?").wait().content))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert texts == [gateway.text] * 8


@pytest.mark.parametrize("name", ["Client", "Chat", "Answer"])
def test_both_clients_have_the_same_names_and_the_same_words(name: str) -> None:
    blocking, awaiting = getattr(mesh_client, name), getattr(mesh_client, f"Async{name}")
    names = {n for n in vars(blocking) if not n.startswith("_")}
    assert names == {n for n in vars(awaiting) if not n.startswith("_")}
    for method in names:
        one, two = getattr(blocking, method), getattr(awaiting, method)
        assert inspect.getdoc(one) == inspect.getdoc(two), method
        if callable(one):
            assert list(inspect.signature(one).parameters) == list(
                inspect.signature(two).parameters
            )
