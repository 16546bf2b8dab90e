"""A name that stands twice in a body is refused; JSON in a text that nobody can read is a text."""

from collections.abc import Callable

import msgspec
import pytest

from mesh.gateway.openai import chat_body
from mesh.gateway.openai.aside import weight
from mesh.gateway.openai.responses import body as responses_body
from mesh.gateway.runs import body as runs_body
from mesh.protocol.errors import ErrorCode, MeshError
from mesh.worker.tools import as_object

CHAT = b'{"messages":[{"role":"user","content":"hi"}],'
DEEP = ["[" * 20_000 + "]" * 20_000, '{"a":' * 20_000 + "1" + "}" * 20_000]

Read = Callable[[bytes], object]


@pytest.mark.parametrize("last", [b'"s"', b"[]", b"[1]", b"{}", b"null", b"7", b'[{"type":7}]'])
@pytest.mark.parametrize(
    ("read", "begins", "name", "param"),
    [
        (chat_body.read, CHAT, b'"tools":[{"type":"x","foo":1}]', "tools[0].foo"),
        (runs_body.read, CHAT, b'"tools":[{"type":"x","foo":1}]', "tools[0].foo"),
        (responses_body.read, b'{"input":"hi",', b'"tools":[{"type":"x","y":1}]', "tools[0].y"),
        (responses_body.read, b"{", b'"input":[{"type":"x","y":1}]', "input[0].y"),
    ],
)
def test_of_a_name_that_stands_twice_what_is_wrong_with_the_first_is_told(
    read: Read, begins: bytes, name: bytes, param: str, last: bytes
) -> None:
    again = name.partition(b":")[0] + b":" + last
    with pytest.raises(MeshError) as refused:
        read(begins + name + b"," + again + b"}")
    assert (refused.value.code, refused.value.param) == (ErrorCode.BAD_REQUEST, param)


@pytest.mark.parametrize("text", DEEP, ids=["list", "object"])
def test_arguments_nested_beyond_reading_are_a_text_as_any(text: str) -> None:
    """They are not read here: of a call that was cut off they are no JSON either."""
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": text}}
    said = [{"role": "user", "content": "hi"}, {"role": "assistant", "tool_calls": [call]}]
    item = {"type": "function_call", "call_id": "c", "name": "f", "arguments": text}
    chat = chat_body.read(msgspec.json.encode({"messages": said}))
    run, _ = runs_body.read(msgspec.json.encode({"messages": said}))
    _, response, _ = responses_body.read(msgspec.json.encode({"input": [said[0], item]}))
    for asked in (chat, run, response):
        (called,) = asked.prompts[0][1].tool_calls
        assert called.arguments == text
        assert as_object(text) == text, "nor does a worker read it"


def test_a_body_that_is_no_utf8_weighs_nothing() -> None:
    """It is refused when it is read."""
    assert weight(b'{"tools":"\xff"}') == 0
