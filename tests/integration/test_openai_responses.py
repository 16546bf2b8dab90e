"""Responses, through OpenAI's own client: stored, in the background, read on, called, cancelled."""

from secrets import token_hex
from typing import Any

import httpx
import openai
import pytest
from openai.types.responses import Response, ResponseStreamEvent

from tests.fleet import wait_until
from tests.whole_mesh import ECHO, FAILING, SLOW, Mesh

TEXT = "one two three four five six"
TOOL: Any = {
    "type": "function",
    "name": "get_weather",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    "strict": True,
}
ODD = {"type": "object", "pattern": "x"}
"""A schema that nothing can be held to."""

CALL = '/call get_weather {"city": "Oslo"}'


def events_of(stream: Any) -> list[ResponseStreamEvent]:
    return list(stream)


def strict(response: Response) -> None:
    """Held to the client's own type, which it does not do by itself."""
    shown = response.model_dump(exclude_unset=True, warnings=False)
    Response.model_validate(shown, strict=False)


def test_a_response_is_whole_and_found_again(client: openai.OpenAI) -> None:
    made = client.responses.create(
        model=ECHO, input=TEXT, instructions="Be an echo.", metadata={"for": "a test"}
    )
    strict(made)
    assert (made.status, made.output_text) == ("completed", TEXT)
    assert made.usage is not None and made.usage.output_tokens == 6
    assert (made.instructions, made.metadata) == ("Be an echo.", {"for": "a test"})
    again = client.responses.retrieve(made.id)
    assert again.model_dump() == made.model_dump()


def test_the_events_of_a_stream_are_numbered_and_whole(client: openai.OpenAI) -> None:
    events = events_of(client.responses.create(model=ECHO, input=TEXT, stream=True))
    assert [event.sequence_number for event in events] == list(range(len(events)))
    kinds = [event.type.removeprefix("response.") for event in events]
    assert kinds == [
        "created",
        "in_progress",
        "output_item.added",
        "content_part.added",
        *["output_text.delta"] * 6,
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "completed",
    ]
    last = events[-1]
    assert last.type == "response.completed"
    strict(last.response)
    assert last.response.output_text == TEXT
    assert client.responses.retrieve(last.response.id).output == last.response.output


def test_the_client_s_own_reader_of_streams_understands_it(client: openai.OpenAI) -> None:
    with client.responses.stream(model=ECHO, input=TEXT) as stream:
        assert stream.get_final_response().output_text == TEXT


def test_a_stream_is_read_on_behind_any_event(client: openai.OpenAI) -> None:
    made = client.responses.create(model=SLOW, input=TEXT, background=True)
    whole = events_of(client.responses.retrieve(made.id, stream=True))
    for after in (0, 4, len(whole) - 2):
        rest = events_of(client.responses.retrieve(made.id, stream=True, starting_after=after))
        assert rest == whole[after + 1 :]


def test_a_stream_is_not_read_on_behind_what_it_never_has(client: openai.OpenAI) -> None:
    made = client.responses.create(model=ECHO, input=TEXT)
    whole = events_of(client.responses.retrieve(made.id, stream=True))
    last = len(whole) - 1
    assert events_of(client.responses.retrieve(made.id, stream=True, starting_after=last)) == []
    with pytest.raises(openai.BadRequestError) as refused:
        client.responses.retrieve(made.id, stream=True, starting_after=last + 1)
    assert refused.value.param == "starting_after"


def test_who_asks_for_more_than_there_will_be_is_told_how_it_ended(client: openai.OpenAI) -> None:
    made = client.responses.create(model=SLOW, input=TEXT, background=True)
    (last,) = events_of(client.responses.retrieve(made.id, stream=True, starting_after=5000))
    assert last.type == "response.completed"


def test_a_response_in_the_background_comes_to_its_end_alone(client: openai.OpenAI) -> None:
    made = client.responses.create(model=SLOW, input=TEXT, background=True)
    assert made.status in ("queued", "in_progress") and made.background
    wait_until("it has ended", lambda: client.responses.retrieve(made.id).status == "completed")
    assert client.responses.retrieve(made.id).output_text == TEXT


def test_a_response_in_the_background_is_cancelled(client: openai.OpenAI) -> None:
    made = client.responses.create(model=SLOW, input="/repeat a b", background=True)
    stopped = client.responses.cancel(made.id)
    assert stopped.status == "cancelled"
    assert client.responses.retrieve(made.id).status == "cancelled"
    assert client.responses.cancel(made.id).status == "cancelled"
    *_, last = events_of(client.responses.retrieve(made.id, stream=True))
    assert last.type == "response.failed" and last.response.status == "cancelled"
    other = client.responses.create(model=ECHO, input="x")
    with pytest.raises(openai.BadRequestError):
        client.responses.cancel(other.id)


def test_a_deleted_response_is_found_no_more_by_anybody_nor_after_a_restart(
    mesh: Mesh, client: openai.OpenAI
) -> None:
    made = client.responses.create(model=ECHO, input=TEXT)
    other = client.responses.create(model=ECHO, input=TEXT)
    client.responses.delete(made.id)
    for _ in range(2):
        for look in (client.responses.retrieve, client.responses.delete, client.responses.cancel):
            with pytest.raises(openai.NotFoundError):
                look(made.id)
        with pytest.raises(openai.NotFoundError):
            client.responses.input_items.list(made.id)
        with pytest.raises(openai.BadRequestError) as refused:
            client.responses.create(model=ECHO, input="x", previous_response_id=made.id)
        assert refused.value.param == "previous_response_id"
        assert client.responses.retrieve(other.id).output_text == TEXT
        mesh.stop("gateway")
        mesh.start("gateway")
    said = httpx.delete(f"{mesh.url}/v1/responses/{other.id}", timeout=60).json()
    assert said == {"id": other.id, "object": "response.deleted", "deleted": True}


def test_what_is_being_written_is_stopped_and_deleted(mesh: Mesh, client: openai.OpenAI) -> None:
    made = client.responses.create(model=SLOW, input="/repeat a b", background=True)
    stream = client.responses.retrieve(made.id, stream=True)
    client.responses.delete(made.id)
    with pytest.raises(openai.NotFoundError):  # whoever reads it sees its end
        client.responses.retrieve(made.id)
    assert events_of(stream)[-1].type == "response.failed"


def test_a_key_whose_response_was_deleted_does_not_bring_it_back(client: openai.OpenAI) -> None:
    key = {"Idempotency-Key": token_hex(8)}
    made = client.responses.create(model=ECHO, input=TEXT, extra_headers=key)
    assert client.responses.create(model=ECHO, input=TEXT, extra_headers=key).id == made.id
    client.responses.delete(made.id)
    with pytest.raises(openai.UnprocessableEntityError) as refused:
        client.responses.create(model=ECHO, input=TEXT, extra_headers=key)
    assert refused.value.code == "conflict"


def test_a_conversation_goes_on_from_a_response(client: openai.OpenAI) -> None:
    first = client.responses.create(model=ECHO, input="one", instructions="Old.")
    second = client.responses.create(model=ECHO, input="two", previous_response_id=first.id)
    alone = client.responses.create(
        model=ECHO,
        input=[
            {"role": "user", "content": "one"},
            {"role": "assistant", "content": "one"},
            {"role": "user", "content": "two"},
        ],
    )
    assert second.output_text == "two"
    assert second.usage is not None and alone.usage is not None
    assert second.usage.input_tokens == alone.usage.input_tokens
    with pytest.raises(openai.BadRequestError) as refused:
        client.responses.create(model=ECHO, input="x", previous_response_id="resp_nobody")
    assert refused.value.param == "previous_response_id"


def test_a_function_is_called_and_its_outcome_answered(client: openai.OpenAI) -> None:
    events = events_of(client.responses.create(model=SLOW, input=CALL, tools=[TOOL], stream=True))
    assert {"response.function_call_arguments.delta", "response.function_call_arguments.done"} <= {
        event.type for event in events
    }
    last = events[-1]
    assert last.type == "response.completed"
    (call,) = last.response.output
    assert call.type == "function_call"
    assert (call.name, call.arguments) == ("get_weather", '{"city": "Oslo"}')
    answer = client.responses.create(
        model=ECHO,
        tools=[TOOL],
        previous_response_id=last.response.id,
        input=[{"type": "function_call_output", "call_id": call.call_id, "output": "It rains."}],
    )
    assert answer.output_text == "It rains."


def test_an_outcome_needs_its_call_here_or_in_what_it_follows(client: openai.OpenAI) -> None:
    made = client.responses.create(model=ECHO, input=CALL, tools=[TOOL])
    (call,) = made.output
    assert call.type == "function_call"
    told: Any = {"type": "function_call_output", "call_id": call.call_id, "output": "It rains."}
    said: Any = {"type": "function_call", "call_id": call.call_id} | {
        name: getattr(call, name) for name in ("name", "arguments")
    }
    with_it = client.responses.create(model=ECHO, input=[said, told])
    assert with_it.output_text == "It rains."
    after_that = client.responses.create(
        model=ECHO, previous_response_id=with_it.id, input=[told | {"output": "It pours."}]
    )
    assert after_that.output_text == "It pours.", "made before what it follows"
    other = client.responses.create(model=ECHO, input="hello").id
    wrong: list[tuple[str | None, list[Any], int]] = [
        (None, [told], 0),
        (None, [told, said], 0),
        (other, [{"role": "user", "content": "So?"}, told], 1),
        (made.id, [told | {"call_id": "call_other"}], 0),
    ]
    for follows, items, at in wrong:
        with pytest.raises(openai.BadRequestError) as refused:
            client.responses.create(model=ECHO, input=items, previous_response_id=follows)
        assert refused.value.param == f"input[{at}].call_id"


def test_what_a_response_answers_is_listed_page_by_page(client: openai.OpenAI) -> None:
    first = client.responses.create(model=ECHO, input="one", instructions="Be an echo.")
    second = client.responses.create(model=ECHO, input="two", previous_response_id=first.id)
    listed = client.responses.input_items.list(second.id, limit=2)
    assert [item.type for item in listed.data] == ["message", "message"] and listed.has_more
    texts = [item.content[0].text for item in listed if item.type == "message"]  # type: ignore[union-attr]
    assert texts == ["two", "one", "one"]
    oldest = client.responses.input_items.list(second.id, order="asc").data[0]
    assert oldest.type == "message" and oldest.role == "user"
    with pytest.raises(openai.BadRequestError) as refused:
        client.responses.input_items.list(second.id, after="nothing")
    assert refused.value.param == "after"
    with pytest.raises(openai.NotFoundError):
        client.responses.input_items.list("resp_nobody")


def said_to(client: openai.OpenAI, response_id: str) -> list[tuple[str, str]]:
    """Who said what of what a response answers."""
    items: Any = client.responses.input_items.list(response_id, order="asc")
    return [(item.role, item.content[0].text) for item in items if item.type == "message"]


@pytest.mark.parametrize("before", ["", "Be an echo."])
@pytest.mark.parametrize("then", ["", "Be brief."])
def test_what_a_developer_said_is_given_back_as_a_developer_s(
    client: openai.OpenAI, before: str, then: str
) -> None:
    call: Any = {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}
    first = client.responses.create(
        model=ECHO,
        instructions=before or None,
        input=[
            {"role": "system", "content": "Speak."},
            call,
            call | {"call_id": "d"},
            {"role": "developer", "content": "Be kind."},
            {"role": "user", "content": "one"},
        ],
    )
    asked = [("system", "Speak."), ("developer", "Be kind."), ("user", "one")]
    assert said_to(client, first.id) == asked
    second = client.responses.create(
        model=ECHO,
        instructions=then or None,
        previous_response_id=first.id,
        input=[
            {"role": "user", "content": "two"},
            {"role": "developer", "content": "Louder."},
            {"role": "user", "content": "three"},
        ],
    )
    more = [("user", "two"), ("developer", "Louder."), ("user", "three")]
    assert said_to(client, second.id) == [*asked, ("assistant", first.output_text), *more]


def test_thoughts_and_formats_are_items_of_their_own(client: openai.OpenAI) -> None:
    made = client.responses.create(model=ECHO, input="<think>\nhm</think>\n\nYes.")
    assert [item.type for item in made.output] == ["reasoning", "message"]
    assert made.output_text == "Yes."
    format: Any = {"format": {"type": "json_schema", "name": "x", "schema": {"type": "object"}}}
    assert client.responses.create(model=ECHO, input="x", text=format).output_text == "{}"


def test_an_answer_that_was_cut_off_is_incomplete(client: openai.OpenAI) -> None:
    made = client.responses.create(model=ECHO, input="/repeat a b", max_output_tokens=3)
    assert made.status == "incomplete" and made.incomplete_details is not None
    assert made.incomplete_details.reason == "max_output_tokens"


def test_a_failure_ends_the_stream_with_a_reason(client: openai.OpenAI) -> None:
    stream = client.responses.create(
        model=FAILING, input="/repeat a b", stream=True, max_output_tokens=200
    )
    *_, last = events_of(stream)
    assert last.type == "response.failed"
    assert last.response.error is not None and last.response.error.code == "server_error"


def test_what_was_accepted_and_refused_is_not_to_be_tried_again(mesh: Mesh) -> None:
    body = {"model": ECHO, "input": "word " * 9000}
    refused = httpx.post(f"{mesh.url}/v1/responses", json=body, timeout=60)
    error = refused.json()["error"]
    assert (error["code"], error["param"]) == ("context_overflow", "input")
    assert (refused.status_code, refused.headers["x-should-retry"]) == (400, "false")


async def test_nobody_finds_another_s_response(mesh: Mesh) -> None:
    body = {"model": ECHO, "input": "hello"}
    async with await mesh.client("ada") as ada, await mesh.client("bob") as bob:
        made = (await ada.post("/v1/responses", json=body)).json()["id"]
        assert (await ada.get(f"/v1/responses/{made}")).status_code == 200
        for path in (f"/v1/responses/{made}", "/v1/responses/resp_x", "/v1/responses/a.b"):
            assert (await bob.get(path)).status_code == 404
        assert (await bob.post(f"/v1/responses/{made}/cancel")).status_code == 404
        assert (await bob.delete(f"/v1/responses/{made}")).status_code == 404
        assert (await ada.get(f"/v1/responses/{made}")).status_code == 200
        assert (await bob.get(f"/v1/responses/{made}/input_items")).status_code == 404
        hidden = (await ada.post("/v1/responses", json=body | {"store": False})).json()["id"]
        assert (await ada.get(f"/v1/responses/{hidden}")).status_code == 404


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"input": ""}, "input"),
        ({"input": []}, "input"),
        ({"input": "x", "background": True, "store": False}, "background"),
        ({"input": [{"type": "image_generation_call"}]}, "input[0].type"),
        (
            {"input": [{"role": "user", "content": [{"type": "input_image"}]}]},
            "input[0].content[0].type",
        ),
        ({"input": [{"type": "function_call_output", "output": "x"}]}, "input[0].call_id"),
        ({"input": "x", "tools": [{"type": "web_search"}]}, "tools[0].type"),
        ({"input": "x", "tools": [{"type": "function", "name": "a b"}]}, "tools[0].name"),
        ({"input": "x", "tools": [TOOL | {"parameters": ODD}]}, "tools[0].parameters.pattern"),
        ({"input": "x", "text": {"format": {"type": "foo"}}}, "text.format.type"),
        ({"input": "x", "text": {"format": {"type": "json_schema"}}}, "text.format.schema"),
        (
            {"input": "x", "text": {"format": {"type": "json_schema", "name": "x", "schema": ODD}}},
            "text.format.schema.pattern",
        ),
        ({"input": "x", "truncation": "auto"}, "truncation"),
        ({"input": "x", "frobnicate": 1}, "frobnicate"),
    ],
)
def test_what_cannot_be_done_is_refused_by_name(mesh: Mesh, body: object, param: str) -> None:
    refused = httpx.post(f"{mesh.url}/v1/responses", json=body, timeout=60)
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, param)
