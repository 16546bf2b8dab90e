"""What `POST /v1/ask` reads, and how much of a history it keeps."""

from datetime import date
from typing import Any

import msgspec
import pytest

from mesh.gateway.ask.body import Said, newest, read
from mesh.protocol.errors import ErrorCode, MeshError
from mesh.protocol.request import Charge, Message

WHOLE: dict[str, Any] = {"question": "why?", "client_id": "c", "user_id": "u", "stream": False}


def test_what_was_said_before_stands_between_the_system_message_and_the_question() -> None:
    history = [{"role": "user", "content": "hello."}, {"role": "assistant", "content": "Hi."}]
    question = read(msgspec.json.encode(WHOLE | {"history": history}), 3000)
    system, *said = question.messages(date(2026, 11, 21))
    assert system.role == "system"
    assert "Saturday, 2026-11-21" in system.content
    assert said == [
        Message(role="user", content="hello."),
        Message(role="assistant", content="Hi."),
        Message(role="user", content="why?"),
    ]
    assert question.charge == Charge(client="c", user="u")


@pytest.mark.parametrize("name", sorted(WHOLE))
@pytest.mark.parametrize("value", [None, "", "left out"])
def test_what_is_missing_is_named(name: str, value: str | None) -> None:
    body = {key: given for key, given in WHOLE.items() if key != name}
    if value != "left out":
        body |= {name: None if name == "stream" else value}
    with pytest.raises(MeshError, match="^Missing required parameters, .*there is no " + name):
        read(msgspec.json.encode(body), 3000)


@pytest.mark.parametrize(
    "body",
    [
        WHOLE | {"stream": "no"},
        WHOLE | {"question": 1},
        WHOLE | {"client_id": "c" * 201},
        WHOLE | {"history": [{"role": "tool", "content": "x"}]},
        WHOLE | {"history": [{"role": "user"}]},
        WHOLE | {"history": [{"role": "user", "content": "x", "name": "ada"}]},
        WHOLE | {"history": "hello"},
        [],
    ],
)
def test_what_is_wrongly_typed_is_refused(body: object) -> None:
    with pytest.raises(MeshError) as refused:
        read(msgspec.json.encode(body), 3000)
    assert refused.value.code is ErrorCode.BAD_REQUEST


def test_the_newest_turns_that_fit_are_kept_whole() -> None:
    history = [Said("user", "a" * 3000), Said("assistant", "b" * 1999), Said("user", "c" * 1001)]
    assert [said.content[0] for said in newest(history, 3000)] == ["b", "c"]
    assert [said.content[0] for said in newest(history, 2999)] == ["c"]
    assert newest(history, 1000) == ()
    assert [said.content[0] for said in newest(history, 6000)] == ["a", "b", "c"]
