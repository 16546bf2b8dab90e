"""OpenAI's own client: what it raises for each status, and what it says of it; every error held to
OpenAI's shape, in a refusal and in mid-stream."""

import json
import os
from collections.abc import Callable
from typing import Any
from urllib.request import Request, urlopen

import openai
import pytest
from openai import OpenAI
from openai_held import (  # type: ignore[import-not-found]
    ECHO,
    ENDLESS,
    FAILING,
    HELLO,
    SLOW,
    TINY,
    broken_off,
    refused,
)

CLIENT = "openai"

OF_REQUEST, OF_SERVER = "invalid_request_error", "server_error"

LONG: Any = [{"role": "user", "content": "a fox and a dog " * 1000}]
KEY = {"Idempotency-Key": "an-answer-of-another-body"}


def chat(**options: Any) -> Callable[[OpenAI], object]:
    asked = {"model": ECHO, "messages": HELLO} | options
    return lambda client: client.chat.completions.create(**asked)


def another_body(client: OpenAI) -> None:
    for said in ("one", "two"):
        client.chat.completions.create(
            model=ECHO, messages=[{"role": "user", "content": said}], extra_headers=KEY
        )


REFUSED: list[tuple[Callable[[OpenAI], object], tuple[object, ...]]] = [
    (
        chat(messages=7),
        (400, "BadRequestError", OF_REQUEST, "bad_request", "messages"),
    ),
    (
        chat(extra_body={"frobnicate": 1}),
        (400, "BadRequestError", OF_REQUEST, "unsupported", "frobnicate"),
    ),
    (
        chat(messages=[{"role": "user", "content": " "}]),
        (400, "BadRequestError", OF_REQUEST, "empty_prompt", "messages"),
    ),
    (
        chat(model=TINY, messages=LONG),
        (400, "BadRequestError", OF_REQUEST, "context_overflow", "messages"),
    ),
    (
        lambda client: client.with_options(api_key="a.b.c").models.list(),
        (401, "AuthenticationError", "authentication_error", "invalid_token", None),
    ),
    (
        chat(extra_headers={"X-Priority": "high"}),
        (403, "PermissionDeniedError", "permission_error", "forbidden", None),
    ),
    (
        lambda client: client.models.retrieve("nobody"),
        (404, "NotFoundError", OF_REQUEST, "model_not_found", "model"),
    ),
    (
        chat(model="nobody"),
        (404, "NotFoundError", OF_REQUEST, "model_not_found", "model"),
    ),
    (
        lambda client: client.responses.retrieve("resp_0"),
        (404, "NotFoundError", OF_REQUEST, "not_found", "response_id"),
    ),
    (
        lambda client: client.images.generate(prompt="a fox"),
        (404, "NotFoundError", OF_REQUEST, "not_found", None),
    ),
    (
        lambda client: client.put("/models", cast_to=object),
        (405, "APIStatusError", OF_REQUEST, "bad_request", None),
    ),
    (
        chat(messages=[{"role": "user", "content": "a" * 9_000_000}]),
        (413, "APIStatusError", OF_REQUEST, "too_large", None),
    ),
    (
        another_body,
        (422, "UnprocessableEntityError", OF_REQUEST, "conflict", None),
    ),
    (
        lambda client: client.embeddings.create(model=ECHO, input=["a", " "]),
        (400, "BadRequestError", OF_REQUEST, "bad_request", "input[1]"),
    ),
    (
        lambda client: client.completions.create(model=ECHO, prompt="a", best_of=2),
        (400, "BadRequestError", OF_REQUEST, "unsupported", "best_of"),
    ),
    (
        chat(model=FAILING, messages=ENDLESS),
        (500, "InternalServerError", OF_SERVER, "engine_failed", None),
    ),
    (
        lambda client: client.chat.completions.list(),
        (501, "InternalServerError", OF_SERVER, "not_implemented", None),
    ),
]
"""What is asked, and how it is refused: status, the client's exception, type, code and param."""


@pytest.mark.shows("errors, as the client's exceptions")
@pytest.mark.parametrize(("ask", "expected"), REFUSED)
def test_errors(
    client: OpenAI, ask: Callable[[OpenAI], object], expected: tuple[object, ...]
) -> None:
    with pytest.raises(openai.APIStatusError) as error:
        ask(client)
    assert refused(error.value) == expected


@pytest.mark.shows("errors, as the client's exceptions")
def test_what_has_run_is_not_repeated_by_the_client(client: OpenAI) -> None:
    with pytest.raises(openai.InternalServerError) as error:
        chat(model=FAILING, messages=ENDLESS)(client)
    assert error.value.response.headers["x-should-retry"] == "false"


@pytest.mark.shows("errors in mid-stream")
def test_errors_in_mid_stream(client: OpenAI) -> None:
    stream = client.chat.completions.create(model=FAILING, messages=ENDLESS, stream=True)
    chunks, error = broken_off(stream)
    assert chunks and (error.type, error.code, error.param) == (OF_SERVER, "engine_failed", None)


@pytest.mark.shows("errors in mid-stream")
def test_an_answer_that_somebody_stops(client: OpenAI, mesh: str, admin: str) -> None:
    def stop(first: Any) -> None:
        rid = first.id.removeprefix("chatcmpl-")
        headers = {"Authorization": f"Bearer {admin}"}
        cancel = Request(f"{mesh}/mesh/requests/{rid}/cancel", method="POST", headers=headers)
        with urlopen(cancel):
            pass

    stream = client.chat.completions.create(model=SLOW, messages=ENDLESS, stream=True)
    chunks, error = broken_off(stream, at_first=stop)
    assert chunks and (error.type, error.code, error.param) == (OF_REQUEST, "cancelled", None)


@pytest.fixture(scope="session")
def admin(mesh: str) -> str:
    """An access token of the mesh's own admin."""
    body = {"username": "admin", "password": os.environ["CONFORMANCE_ADMIN"]}
    login = Request(
        f"{mesh}/auth/login",
        json.dumps(body).encode(),
        headers={"Content-Type": "application/json"},
    )
    with urlopen(login) as answer:
        found: str = json.load(answer)["access_token"]["access_token"]
    return found
