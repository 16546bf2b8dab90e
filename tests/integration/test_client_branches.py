"""Branches by the Python client against a whole mesh: edit, switch; the token of a Stop button."""

import httpx
import pytest

from mesh_client import Client, Finished, MemoryStore, Rejected, Token
from tests.whole_mesh import ECHO, SLOW, Mesh


def test_an_edit_stands_beside_what_it_replaces_and_one_can_go_back(mesh: Mesh) -> None:
    with Client(mesh.url, username="editor", store=MemoryStore()) as client:
        chat = client.new_chat()
        chat.ask("zero", model=ECHO).wait()
        first = chat.ask("one", model=ECHO).wait()
        chat.edit("two", model=ECHO).wait()
        assert [message.content for message in chat.messages][-2:] == ["two", "two"]
        assert first.parent_id is not None
        assert [m.content for m in chat.thread.siblings(first.parent_id)] == ["one", "two"]
        chat.switch(first.id)
        same = client.chat(chat.id)
        assert [message.content for message in same.messages][-2:] == ["one", "one"]
        same.ask("three", model=ECHO).wait()
        assert [message.content for message in same.messages][-2:] == ["three", "three"]


def test_the_first_question_can_be_edited_and_others_see_the_branch_one_is_on(mesh: Mesh) -> None:
    with Client(mesh.url, username="editor", store=MemoryStore()) as client:

        def seen() -> list[str | None]:
            return [message.content for message in client.chat(chat.id).messages]

        chat = client.new_chat()
        first = chat.ask("one", model=ECHO).wait()
        chat.edit("two", model=ECHO).wait()
        assert seen() == ["two", "two"]
        chat.switch(first.id)
        again = chat.retry(model=ECHO).wait()
        assert chat.messages[-1].id == again.id == client.chat(chat.id).messages[-1].id
        assert seen() == ["one", "one"]
        chat.edit("three", model=ECHO).wait()
        assert seen() == ["three", "three"]


def test_a_cancel_token_of_the_client_stops_its_answer(mesh: Mesh) -> None:
    with Client(mesh.url, username="editor", store=MemoryStore()) as client:
        answer = client.new_chat().ask("/repeat one two", model=SLOW)
        events = iter(answer)
        next(event for event in events if isinstance(event, Token))
        token = answer.cancel_token().cancel_token
        httpx.post(
            f"{mesh.url}/cancel", json={"cancel_token": token}, timeout=60
        ).raise_for_status()
        *_, end = events
        assert isinstance(end, Finished) and end.state == "cancelled"
        with pytest.raises(Rejected, match="has ended"):
            answer.cancel_token()


def test_what_happened_to_workers_is_told(mesh: Mesh) -> None:
    with Client(mesh.url, username="editor", store=MemoryStore()) as client:
        (event,) = client.worker_events(limit=1)
        assert event.worker and event.kind
