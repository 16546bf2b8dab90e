"""Embeddings, through OpenAI's own client: vectors of echo workers, and what is refused."""

import asyncio
from base64 import b64decode
from collections.abc import Callable, Coroutine
from secrets import token_hex
from struct import unpack
from typing import Any

import httpx
import openai
import pytest

from mesh.gateway.abreast import AT_ONCE
from mesh.settings import WorkerSettings
from mesh.worker import app as worker
from tests.conftest import Broker
from tests.fleet import wait_until
from tests.whole_mesh import ECHO, SLOW, Mesh

FAR = "far"


class WithUpstream(Mesh):
    """A mesh with a worker that makes no embeddings: an upstream's, under any name."""

    offered = FAR

    def _runner(self, name: str) -> Callable[[asyncio.Event], Coroutine[Any, Any, None]]:
        if name != FAR:
            return super()._runner(name)
        password = self.broker.credentials(name).password
        settings = WorkerSettings(
            engine="openai",
            upstream="http://127.0.0.1:1/v1",
            model=FAR,
            model_name=self.offered,
            grace=0.0,
            data_dir=str(self.broker.data_dir),
            nats=self.broker.url,
        )
        return lambda stop: worker.run(settings, name, password, stop)


def likeness(one: list[float], other: list[float]) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True))


def test_texts_become_vectors_in_their_order(client: openai.OpenAI) -> None:
    texts = ["a fox and a dog", "A dog and a fox", "rain", *["more"] * 30]
    found = client.embeddings.create(model=ECHO, input=texts, encoding_format="float")
    assert [each.index for each in found.data] == list(range(len(texts)))
    fox, same, rain, *more = [each.embedding for each in found.data]
    assert likeness(fox, fox) == pytest.approx(1)
    assert likeness(fox, same) == pytest.approx(1) and likeness(fox, rain) < 0.9
    assert {tuple(each) for each in more} == {tuple(more[0])}
    assert found.usage.prompt_tokens == found.usage.total_tokens == 5 + 5 + 1 + 30
    assert found.model == ECHO


def test_base64_is_of_the_same_numbers(mesh: Mesh, client: openai.OpenAI) -> None:
    body = {"model": ECHO, "input": "one two", "encoding_format": "base64"}
    found = httpx.post(f"{mesh.url}/v1/embeddings", json=body, timeout=60).json()
    data = b64decode(found["data"][0]["embedding"])
    plain = client.embeddings.create(model=ECHO, input="one two", encoding_format="float")
    assert list(unpack(f"<{len(data) // 4}f", data)) == plain.data[0].embedding


def test_it_answers_while_every_slot_is_busy(mesh: Mesh, client: openai.OpenAI) -> None:
    """The log is not asked, nor is there a queue."""
    endless: Any = [{"role": "user", "content": "/repeat a"}]
    with client.chat.completions.create(model=SLOW, messages=endless, stream=True):
        assert client.embeddings.create(model=SLOW, input="x").data


@pytest.mark.parametrize(
    ("body", "status", "param"),
    [
        ({"input": ""}, 400, "input"),
        ({"input": []}, 400, "input"),
        ({"input": " "}, 400, "input"),
        ({"input": ["a", " "]}, 400, "input[1]"),
        ({"input": [1, 2]}, 400, "input[0]"),
        ({"input": [[1, 2]]}, 400, "input[0]"),
        ({"input": ["x"] * 2049}, 400, "input"),
        ({"input": 3}, 400, "input"),
        ({}, 400, "input"),
        ({"input": "x", "dimensions": 8}, 400, "dimensions"),
        ({"input": "x", "encoding_format": "int8"}, 400, "encoding_format"),
        ({"input": "x", "frobnicate": 1}, 400, "frobnicate"),
        ({"input": "x", "model": "nobody"}, 404, "model"),
        ({"input": "word " * 9000}, 400, "input"),
    ],
)
def test_what_cannot_be_done_is_refused_by_name(
    mesh: Mesh, body: dict[str, Any], status: int, param: str | None
) -> None:
    refused = httpx.post(f"{mesh.url}/v1/embeddings", json={"model": ECHO} | body, timeout=60)
    assert refused.status_code == status, refused.text
    assert refused.json()["error"]["param"] == param


def test_limits_hold_for_them_too(new_mesh: Callable[..., Mesh]) -> None:
    mesh = new_mesh(limit_requests=2)
    mesh.start("store", "gateway", ECHO)
    body = {"model": ECHO, "input": "hello"}
    answers = [httpx.post(f"{mesh.url}/v1/embeddings", json=body, timeout=60) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert answers[1].headers["x-ratelimit-remaining-requests"] == "0"


def test_so_do_those_of_tokens(new_mesh: Callable[..., Mesh]) -> None:
    mesh = new_mesh(limit_tokens=5)
    mesh.start("store", "gateway", ECHO)
    body = {"model": ECHO, "input": ["one two three", "four five six"]}
    answers = [httpx.post(f"{mesh.url}/v1/embeddings", json=body, timeout=60) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 429]


def test_what_they_took_is_used_at_every_gateway_and_after_a_restart(
    new_mesh: Callable[..., Mesh],
) -> None:
    limits = {"limit_requests": 3, "limit_daily_tokens": 10**6}
    one, two = new_mesh(**limits), new_mesh(gateway_name="gw2", **limits)
    one.start("store", "gateway", ECHO)
    two.start("gateway")

    def left(mesh: Mesh) -> tuple[int, int]:
        headers = httpx.get(f"{mesh.url}/account/limits", headers=signed, timeout=60).headers
        of = ("requests", "daily-tokens")
        first, second = (int(headers[f"x-ratelimit-remaining-{name}"]) for name in of)
        return first, second

    pair = httpx.get(
        f"{one.url}/auth/callback/debug", params={"code": "vectors"}, timeout=60
    ).json()
    signed = {"Authorization": f"Bearer {pair['access_token']['access_token']}"}
    body = {"model": ECHO, "input": ["one two three", "four five"]}
    made = httpx.post(f"{one.url}/v1/embeddings", json=body, headers=signed, timeout=60).json()
    tokens = made["usage"]["total_tokens"]
    assert tokens > 0 and left(one) == (2, 10**6 - tokens)
    wait_until("the other has heard of it", lambda: left(two) == (2, 10**6 - tokens))
    two.stop("gateway")
    two.start("gateway")
    wait_until("it knows what was before", lambda: left(two) == (2, 10**6 - tokens))

    def usage() -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = httpx.get(
            f"{two.url}/account/usage", headers=signed, timeout=60
        ).json()["usage"]
        return rows

    wait_until("the store has counted it", lambda: bool(usage()))
    (row,) = usage()
    assert (row["model"], row["requests"], row["failed"]) == (ECHO, 1, 0)
    assert (row["prompt_tokens"], row["completion_tokens"]) == (tokens, 0)
    exported = httpx.get(f"{one.url}/account/export", headers=signed, timeout=60).text
    assert "three" not in exported


@pytest.mark.parametrize(("first", "made"), [(False, 20), (True, AT_ONCE - 1)])
def test_what_was_made_before_a_text_was_refused_is_used(
    mesh: Mesh, first: bool, made: int
) -> None:
    """Of a long text that comes first the others are not made, but for those asked for with it."""
    name = f"refused-{first}-{token_hex(4)}"
    params = {"code": name}
    pair = httpx.get(f"{mesh.url}/auth/callback/debug", params=params, timeout=60).json()
    signed = {"Authorization": f"Bearer {pair['access_token']['access_token']}"}
    texts, long = ["one two three"] * 20, "word " * 9000
    body = {"model": ECHO, "input": [long, *texts] if first else [*texts, long]}
    refused = httpx.post(f"{mesh.url}/v1/embeddings", json=body, headers=signed, timeout=60)
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "input")

    def usage() -> list[dict[str, Any]]:
        said = httpx.get(f"{mesh.url}/account/usage", headers=signed, timeout=60).json()
        rows: list[dict[str, Any]] = said["usage"]
        return rows

    wait_until("the store has counted it", lambda: bool(usage()))
    (row,) = usage()
    assert row["requests"] == 1
    assert 3 * made <= row["prompt_tokens"] <= 3 * len(texts)


def test_a_model_that_makes_none_says_so(broker: Broker) -> None:
    mesh = WithUpstream(broker)
    try:
        mesh.start("store", "gateway", FAR)
        body = {"model": FAR, "input": "hello"}
        refused = httpx.post(f"{mesh.url}/v1/embeddings", json=body, timeout=60)
    finally:
        mesh.close()
    assert refused.status_code == 400
    assert refused.json()["error"]["message"] == "The model 'far' makes no embeddings; ask another."


def test_of_those_who_serve_a_model_they_are_asked_who_make_them(broker: Broker) -> None:
    """Whoever came last: neighbours of another engine, or version, may not."""
    mesh = WithUpstream(broker)
    mesh.offered = ECHO
    try:
        mesh.start("store", "gateway", ECHO)
        mesh.start(FAR)
        answers = [
            httpx.post(
                f"{mesh.url}/v1/embeddings", json={"model": ECHO, "input": ["a", "b"]}, timeout=60
            )
            for _ in range(2)
        ]
    finally:
        mesh.close()
    assert [answer.status_code for answer in answers] == [200, 200], answers[0].text
