"""OpenAI's own client: responses, in whatever way they end, as objects, events and lists of items;
every one held to its types."""

import json
from typing import Annotated, Any

import openai
import pytest
from openai import OpenAI
from openai.types.responses import ResponseItemList
from openai_held import (  # type: ignore[import-not-found]
    ECHO,
    FAILING,
    FLAT,
    MODEL,
    SLOW,
    WEATHER,
    checked,
    held,
    refused,
    strict,
)
from pydantic import BaseModel, Field

CLIENT = "openai"


class Person(BaseModel):
    name: Annotated[str, Field(max_length=20)]
    age: Annotated[int, Field(ge=0, le=150)]


@pytest.mark.shows("responses: whole answers")
def test_a_response(client: OpenAI) -> None:
    made = strict(
        client.responses.with_raw_response.create(
            model=ECHO, input="one two", instructions="Be an echo.", metadata={"a": "b"}
        )
    )
    assert (made.status, made.output_text) == ("completed", "one two")
    assert strict(client.responses.with_raw_response.retrieve(made.id)).output == made.output


@pytest.mark.shows("responses: streams, read on")
def test_a_streamed_response(client: OpenAI) -> None:
    events = checked(client.responses.create(model=ECHO, input="one two", stream=True))
    assert [event.sequence_number for event in events] == list(range(len(events)))
    kept = events[-1].response.id
    rest = checked(client.responses.retrieve(kept, stream=True, starting_after=3))
    assert rest == events[4:]


@pytest.mark.shows("responses: in the background")
def test_a_response_in_the_background(client: OpenAI) -> None:
    made = client.responses.create(model=SLOW, input="/repeat a", background=True)
    assert made.status in ("queued", "in_progress")
    stopped = strict(client.responses.with_raw_response.cancel(made.id))
    assert stopped.status == "cancelled"


# --- ends that are none ---------------------------------------------------------------------------


def items_are(response: Any, status: str) -> bool:
    return bool(response.output) and {item.status for item in response.output} == {status}


def as_kept(client: OpenAI, response: Any) -> Any:
    """The same response, read again as an object and as events."""
    again = strict(client.responses.with_raw_response.retrieve(response.id))
    events = checked(client.responses.retrieve(response.id, stream=True))
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert events[-1].response == again == response
    assert [event.type for event in events][:2] == ["response.created", "response.in_progress"]
    return events[-1]


@pytest.mark.shows("responses: cancelled, failed, cut off")
def test_a_cancelled_response(client: OpenAI) -> None:
    raw = client.responses.with_raw_response.create(model=SLOW, input="/repeat a", background=True)
    made = strict(raw)
    events = client.responses.retrieve(made.id, stream=True)
    for event in events:
        if event.type == "response.output_text.delta":
            break
    events.close()
    stopped = strict(client.responses.with_raw_response.cancel(made.id))
    assert stopped.status == "cancelled" and items_are(stopped, "incomplete")
    assert (stopped.error, stopped.incomplete_details) == (None, None)
    assert as_kept(client, stopped).type == "response.failed"
    assert strict(client.responses.with_raw_response.cancel(made.id)) == stopped


@pytest.mark.shows("responses: cancelled, failed, cut off")
def test_a_failed_response(client: OpenAI) -> None:
    asked: Any = {"model": FAILING, "input": "/repeat a b"}
    failed = strict(client.responses.with_raw_response.create(**asked))
    assert failed.status == "failed" and items_are(failed, "incomplete")
    assert failed.error.code == "server_error" and failed.error.message
    assert as_kept(client, failed).type == "response.failed"
    *_, last = checked(client.responses.create(**asked, stream=True))
    assert (last.type, last.response.status) == ("response.failed", "failed")


@pytest.mark.shows("responses: cancelled, failed, cut off")
def test_a_response_that_is_cut_off(client: OpenAI) -> None:
    asked: Any = {"model": ECHO, "input": "one two three", "max_output_tokens": 2}
    cut = strict(client.responses.with_raw_response.create(**asked))
    assert cut.status == "incomplete" and items_are(cut, "incomplete")
    assert cut.incomplete_details.reason == "max_output_tokens" and cut.error is None
    assert as_kept(client, cut).type == "response.incomplete"
    *_, last = checked(client.responses.create(**asked, stream=True))
    assert (last.type, last.response.status) == ("response.incomplete", "incomplete")


@pytest.mark.shows("responses: deleted")
def test_a_deleted_response(client: OpenAI) -> None:
    made = client.responses.create(model=ECHO, input="one")
    sent = json.loads(client.responses.with_raw_response.delete(made.id).text)
    assert sent == {"id": made.id, "object": "response.deleted", "deleted": True}
    found: Any = client.responses
    for ask in (found.retrieve, found.delete, found.cancel, found.input_items.list):
        with pytest.raises(openai.NotFoundError) as gone:
            ask(made.id)
        assert refused(gone.value)[3:] == ("not_found", "response_id")


@pytest.mark.shows("responses: conversations")
def test_a_conversation(client: OpenAI) -> None:
    first = client.responses.create(model=ECHO, input="one", instructions="Be an echo.")
    asked: Any = [{"role": "developer", "content": "Be loud."}, {"role": "user", "content": "two"}]
    second = client.responses.create(model=ECHO, input=asked, previous_response_id=first.id)
    items = items_of(client, second.id)
    said = [(item.role, item.content[0].text) for item in items]
    answered = [("user", "one"), ("assistant", "one")]
    assert said == [*answered, ("developer", "Be loud."), ("user", "two")]
    newest = client.responses.input_items.with_raw_response.list(second.id)
    assert held(ResponseItemList, newest.text).data == items[::-1]


def items_of(client: OpenAI, response_id: str) -> list[Any]:
    """The items that a response answers, the oldest first, one page after the other."""
    found: list[Any] = []
    page = None
    while page is None or page.has_more:
        after: Any = {"after": page.last_id} if page is not None else {}
        raw = client.responses.input_items.with_raw_response.list(
            response_id, order="asc", limit=1, **after
        )
        page = held(ResponseItemList, raw.text)
        assert [page.first_id, page.last_id] == [item.id for item in page.data] * 2
        found += page.data
    assert list(client.responses.input_items.list(response_id, order="asc", limit=1)) == found
    return found


@pytest.mark.shows("responses: tools")
def test_a_response_that_calls(client: OpenAI) -> None:
    raw = client.responses.with_raw_response.create(model=MODEL, input=WEATHER, tools=[FLAT])
    made = strict(raw)
    (call,) = made.output
    assert json.loads(call.arguments) == {"city": "Oslo"}
    outcome: Any = {"type": "function_call_output", "call_id": call.call_id, "output": "Rain."}
    told = client.responses.create(
        model=MODEL, input=[outcome], previous_response_id=made.id, tools=[FLAT]
    )
    assert told.output_text == "Rain."
    items = items_of(client, told.id)
    assert [item.type for item in items] == ["message", "function_call", "function_call_output"]


@pytest.mark.shows("responses: JSON Schema")
def test_a_parsed_response(client: OpenAI) -> None:
    made = client.responses.parse(model=MODEL, input="Ada is 36 years old", text_format=Person)
    assert made.output_parsed == Person(name="Ada", age=36)
    turns: Any = [
        {"role": "user", "content": "Ada is 36 years old"},
        *(item.model_dump() for item in made.output),
        {"role": "user", "content": "Thanks."},
    ]
    assert client.responses.create(model=MODEL, input=turns).output_text == "Thanks."
    turns[1:-1] = made.output
    assert client.responses.create(model=MODEL, input=turns).output_text == "Thanks."
