"""pydantic-ai: agents with tools and with typed answers, on chat completions and on responses."""

import pytest
from pydantic import BaseModel
from pydantic_ai import Agent, NativeOutput, ToolOutput
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
from pydantic_ai.providers.openai import OpenAIProvider

CLIENT = "pydantic-ai-slim"


class Person(BaseModel):
    name: str
    age: int


@pytest.fixture(params=[OpenAIChatModel, OpenAIResponsesModel], ids=["chat", "responses"])
def model(request: pytest.FixtureRequest, url: str) -> OpenAIChatModel | OpenAIResponsesModel:
    made: OpenAIChatModel | OpenAIResponsesModel = request.param(
        "scripted", provider=OpenAIProvider(base_url=url, api_key="guest")
    )
    return made


@pytest.mark.shows("{route}: whole answers")
async def test_an_answer(model: OpenAIChatModel) -> None:
    found = await Agent(model, instructions="Be an echo.").run("one two")
    assert found.output == "one two"


@pytest.mark.shows("{route}: streams")
async def test_a_stream(model: OpenAIChatModel) -> None:
    async with Agent(model).run_stream("one two three") as found:
        pieces = [piece async for piece in found.stream_text(delta=True, debounce_by=None)]
    assert "".join(pieces) == "one two three"


@pytest.mark.shows("{route}: tools")
async def test_a_tool(model: OpenAIChatModel) -> None:
    agent = Agent(model)
    asked: list[str] = []

    @agent.tool_plain  # type: ignore[untyped-decorator]
    def get_weather(city: str) -> str:
        """Tell the weather."""
        asked.append(city)
        return f"Rain in {city}."

    found = await agent.run("What is the weather in Oslo?")
    assert (asked, found.output) == (["Oslo"], "Rain in Oslo.")


@pytest.mark.shows("{route}: JSON Schema")
@pytest.mark.parametrize("form", [ToolOutput, NativeOutput])
async def test_a_typed_answer(
    model: OpenAIChatModel, form: type[ToolOutput[Person]] | type[NativeOutput[Person]]
) -> None:
    found = await Agent(model, output_type=form(Person)).run("Ada is 36 years old")
    assert found.output == Person(name="Ada", age=36)
