"""instructor: typed answers, in each of its ways to ask for them."""

from collections.abc import Iterator

import instructor
import pytest
from openai import OpenAI
from pydantic import BaseModel

CLIENT, SHOWS = "instructor", "chat: JSON Schema"


class Person(BaseModel):
    name: str
    age: int


@pytest.fixture(params=[instructor.Mode.TOOLS, instructor.Mode.JSON, instructor.Mode.JSON_SCHEMA])
def client(request: pytest.FixtureRequest, url: str) -> Iterator[instructor.Instructor]:
    with OpenAI(base_url=url, api_key="guest") as plain:
        yield instructor.from_openai(plain, mode=request.param)


def test_an_answer_has_its_type(client: instructor.Instructor) -> None:
    found = client.create(
        model="scripted",
        response_model=Person,
        max_retries=0,
        messages=[{"role": "user", "content": "Ada is 36 years old"}],
    )
    assert (found.name, found.age) == ("Ada", 36)


@pytest.mark.shows("chat: JSON Schema", "chat: streams")
def test_an_answer_comes_piece_by_piece(client: instructor.Instructor) -> None:
    *_, last = client.create_partial(
        model="scripted",
        response_model=Person,
        max_retries=0,
        messages=[{"role": "user", "content": "Ada is 36 years old"}],
    )
    assert (last.name, last.age) == ("Ada", 36)
