"""`POST /generate`: its events, its refusals, its stop strings, and what hanging up does."""

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.whole_mesh import ECHO, FAILING, SINGLE, Mesh


def events(response: httpx.Response) -> list[dict[str, Any]]:
    lines = response.text.splitlines()
    return [json.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data: ")]


async def generate(mesh: Mesh, body: object, **headers: str) -> httpx.Response:
    async with mesh.anonymous() as http:
        return await http.post("/generate", json=body, headers=headers)


async def test_each_token_is_an_event_with_its_index(mesh: Mesh) -> None:
    response = await generate(mesh, {"prompt": "one two three", "model": ECHO})
    assert response.status_code == 200
    assert response.headers["content-type"].startswith("text/event-stream")
    assert events(response) == [
        {"token": "one ", "index": 0},
        {"token": "two ", "index": 1},
        {"token": "three", "index": 2},
        {"done": True, "total_tokens": 3},
    ]


async def test_256_tokens_are_generated_unless_told_otherwise(mesh: Mesh) -> None:
    response = await generate(mesh, {"prompt": "/repeat a", "model": ECHO})
    assert events(response)[-1] == {"done": True, "total_tokens": 256}


async def test_no_more_tokens_than_asked_for(mesh: Mesh) -> None:
    body = {"prompt": "/repeat a b", "model": ECHO, "params": {"max_tokens": 7}}
    assert events(await generate(mesh, body))[-1] == {"done": True, "total_tokens": 7}


async def test_a_stop_string_is_never_seen_across_tokens(mesh: Mesh) -> None:
    body = {"prompt": "one two three four", "model": ECHO, "params": {"stop": ["o th"]}}
    *tokens, last = events(await generate(mesh, body))
    assert "".join(event["token"] for event in tokens) == "one tw"
    assert last["done"] is True


@pytest.mark.parametrize("prompt", ["", "  \n"])
async def test_an_empty_prompt_is_one_error_event(mesh: Mesh, prompt: str) -> None:
    response = await generate(mesh, {"prompt": prompt})
    assert response.status_code == 200
    assert events(response) == [{"error": "prompt must not be empty"}]


async def test_a_body_beyond_the_limit_is_one_error_event(mesh: Mesh) -> None:
    response = await generate(mesh, {"prompt": "x" * (5 << 20)})
    assert response.status_code == 413
    (event,) = events(response)
    assert "at most" in event["error"]


async def test_a_prompt_beyond_the_context_is_refused_and_not_cut(mesh: Mesh) -> None:
    response = await generate(mesh, {"prompt": "word " * 9000, "model": ECHO})
    assert response.status_code == 400
    (event,) = events(response)
    assert "context" in event["error"]


async def test_a_model_that_nobody_serves_is_not_offered(new_mesh: Callable[..., Mesh]) -> None:
    mesh = new_mesh()
    mesh.start("gateway")
    response = await generate(mesh, {"prompt": "hello", "model": "x"})
    unavailable = "requested model `x` is unavailable, none is loaded"
    assert events(response) == [{"error": unavailable}]


async def test_an_unknown_model_is_one_error_event_that_names_the_others(mesh: Mesh) -> None:
    response = await generate(mesh, {"prompt": "hello", "model": "none"})
    assert response.status_code == 200
    ((_, error),) = events(response)[0].items()
    assert error.startswith("requested model `none` is unavailable")
    assert f"`{ECHO}`" in error


async def test_a_failing_engine_is_an_error_behind_what_there_was(mesh: Mesh) -> None:
    *tokens, last = events(await generate(mesh, {"prompt": "/repeat a", "model": FAILING}))
    assert [event["index"] for event in tokens] == list(range(len(tokens)))
    assert tokens
    assert set(last) == {"error"}


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"prompt": 1}, "prompt"),
        ({"prompt": "a", "params": {"max_tokens": 0}}, "max_tokens"),
        ({"prompt": "a", "params": {"max_tokens": 1 << 40}}, "<= 2147483648"),
        ({"prompt": "a", "params": {"top_k": 1 << 40}}, "<= 2147483648"),
        ({"prompt": "a", "params": {"seed": 1 << 63}}, "<= 9223372036854775807"),
        ({"prompt": "a", "params": {"seed": -(1 << 70)}}, "seed"),
        ({"prompt": "a", "params": {"top_k": -1}}, "top_k"),
        ({"prompt": "a", "params": {"top_p": 1.1}}, "top_p"),
        ({"prompt": "a", "params": {"temperature": -1}}, "temperature"),
        ({"prompt": "a", "params": {"temperature": 5.1}}, "temperature"),
        ({"prompt": "a", "params": {"stop": "\n"}}, "stop"),
        ({"prompt": "a", "params": {"stop": [""]}}, "stop"),
        ({"prompt": "a", "params": {"stop": ["x"] * 5}}, "stop"),
        ({"prompt": "a", "params": {"stop": ["x" * 1001]}}, "stop"),
        ({"prompt": "a", "model": "m", "params": {"stop": [1]}}, "stop"),
        ({"prompt": "a", "params": []}, "params"),
        ({"prompt": "a", "model": 7}, "model"),
        ([], "Expected `object`"),
    ],
)
async def test_what_is_wrongly_typed_is_refused_by_name(
    mesh: Mesh, body: object, param: str
) -> None:
    response = await generate(mesh, body)
    assert response.status_code == 400
    ((_, error),) = events(response)[0].items()
    assert param in error


async def test_what_is_just_within_the_bounds_is_taken(mesh: Mesh) -> None:
    widest = {
        "temperature": 5,
        "top_k": 0,
        "top_p": 1,
        "seed": -(1 << 63),
        "stop": ["x" * 1000] * 4,
    }
    response = await generate(mesh, {"prompt": "a b", "model": ECHO, "params": widest})
    assert events(response)[-1] == {"done": True, "total_tokens": 2}


async def test_a_long_name_that_no_model_has_is_not_said_back_whole(mesh: Mesh) -> None:
    response = await generate(mesh, {"prompt": "a", "model": "m" * 100_000})
    assert len(response.content) < 1000 and "unavailable" in events(response)[0]["error"]


async def test_a_forged_token_is_refused(mesh: Mesh) -> None:
    response = await generate(mesh, {"prompt": "a"}, Authorization="Bearer forged")
    assert response.status_code == 401


async def test_hanging_up_while_waiting_in_the_queue_takes_the_request_out(mesh: Mesh) -> None:
    """The one slot is taken; who waits leaves; the next one's turn comes all the same."""
    holding = {"prompt": "/repeat a", "model": SINGLE, "params": {"max_tokens": 30}}
    async with mesh.anonymous() as http:
        async with http.stream("POST", "/generate", json=holding) as response:
            lines = response.aiter_lines()
            await anext(lines)
            with pytest.raises(httpx.ReadTimeout):
                await http.post(
                    "/generate",
                    json={**holding, "params": {"max_tokens": 500}},
                    timeout=httpx.Timeout(30.0, read=0.3),
                )
            after = http.build_request("POST", "/generate", json={"prompt": "b", "model": SINGLE})
            await response.aclose()
            assert events(await http.send(after))[-1] == {"done": True, "total_tokens": 1}
