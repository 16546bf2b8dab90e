"""A conversation goes on from a call that was cut off, or is refused: no engine fails of it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import openai
import pytest

from mesh.worker.engines import echo
from tests.calling import CALL
from tests.whole_mesh import ECHO, Mesh

SHOWS_TOOLS = """\
{% if tools %}{{ tools | tojson }} are called in <tool_call>{% endif %}
{% for message in messages %}{{ message.role }}: {{ message.content }}
{% for call in message.tool_calls %}{{ call.function.name }} ARGUMENTS
{% endfor %}{% endfor %}assistant:"""
AS_TEXT = SHOWS_TOOLS.replace(
    "ARGUMENTS",
    "{% if call.function.arguments is string %}{{ call.function.arguments }}"
    "{% else %}{{ call.function.arguments | tojson }}{% endif %}",
)
AS_PAIRS = SHOWS_TOOLS.replace(
    "ARGUMENTS", "{% for name, value in call.function.arguments.items() %}{{ name }}{% endfor %}"
)
TOOL: Any = {"type": "function", "name": "get_weather", "parameters": {"type": "object"}}


@contextmanager
def cut_off(mesh: Mesh) -> Iterator[tuple[openai.OpenAI, str]]:
    """A client of the mesh, and the response that was cut within the arguments of its call."""
    mesh.start("store", "gateway", ECHO)
    with openai.OpenAI(base_url=f"{mesh.url}/v1", api_key="guest", max_retries=0) as client:
        cut = client.responses.create(model=ECHO, input=CALL, tools=[TOOL], max_output_tokens=5)
        assert cut.status == "incomplete"
        (call,) = cut.output
        assert call.type == "function_call" and call.arguments == '{"city": '
        yield client, cut.id


def test_its_text_is_shown_as_it_stands(
    new_mesh: Callable[..., Mesh], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(echo, "TEMPLATE", AS_TEXT)
    mesh = new_mesh()
    with cut_off(mesh) as (client, before):
        told = client.responses.create(
            model=ECHO, input="And then?", previous_response_id=before, tools=[TOOL]
        )
        assert (told.status, told.output_text) == ("completed", "And then?")


def test_a_template_that_cannot_show_it_is_the_request_s_failure_and_not_the_engine_s(
    new_mesh: Callable[..., Mesh], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(echo, "TEMPLATE", AS_PAIRS)
    mesh = new_mesh()
    with cut_off(mesh) as (client, before):
        with pytest.raises(openai.BadRequestError, match="chat template") as refused:
            client.responses.create(model=ECHO, input="And then?", previous_response_id=before)
        assert refused.value.code == "bad_request"
