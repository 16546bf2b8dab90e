"""Several answers, texts and probabilities on the OpenAI routes, through OpenAI's own client."""

import asyncio

import httpx
import openai
import pytest
from openai.types import Completion
from openai.types.chat import ChatCompletionChunk, ChatCompletionMessageParam

from tests.chatting import ok
from tests.whole_mesh import ECHO, FAILING, SLOW, Mesh

TEXT = "one two\n three"
HELLO: list[ChatCompletionMessageParam] = [{"role": "user", "content": TEXT}]


def test_several_answers_are_whole_and_counted_together(client: openai.OpenAI) -> None:
    one = client.chat.completions.create(model=ECHO, messages=HELLO)
    answer = client.chat.completions.create(model=ECHO, messages=HELLO, n=3)
    assert [choice.index for choice in answer.choices] == [0, 1, 2]
    assert {choice.message.content for choice in answer.choices} == {TEXT}
    assert one.usage is not None and answer.usage is not None
    assert answer.usage.prompt_tokens == 3 * one.usage.prompt_tokens, "each is read and charged"
    assert answer.usage.completion_tokens == 3 * one.usage.completion_tokens


async def test_the_usage_of_several_answers_is_what_is_charged(mesh: Mesh) -> None:
    body = {"model": ECHO, "messages": HELLO, "n": 4}
    async with await mesh.client("several") as http:
        used = ok(await http.post("/v1/chat/completions", json=body))["usage"]
        assert used["prompt_tokens"] % 4 == 0
        async with asyncio.timeout(60):
            while not (rows := ok(await http.get("/account/usage"))["usage"]):
                await asyncio.sleep(0.05)
            while rows[0]["requests"] < 4:
                rows = ok(await http.get("/account/usage"))["usage"]
    charged = rows[0]["prompt_tokens"], rows[0]["completion_tokens"]
    assert charged == (used["prompt_tokens"], used["completion_tokens"])


def test_several_answers_stream_together_under_one_id(client: openai.OpenAI) -> None:
    chunks: list[ChatCompletionChunk] = list(
        client.chat.completions.create(
            model=SLOW, messages=HELLO, n=2, stream=True, stream_options={"include_usage": True}
        )
    )
    assert len({chunk.id for chunk in chunks}) == 1
    texts = {0: "", 1: ""}
    order = []
    for chunk in chunks:
        for choice in chunk.choices:
            texts[choice.index] += choice.delta.content or ""
            order.append(choice.index)
    assert texts == {0: TEXT, 1: TEXT}
    assert order != sorted(order), "they come as they are made"
    assert chunks[-1].choices == [] and chunks[-1].usage is not None
    assert [chunk.usage for chunk in chunks[:-1]] == [None] * (len(chunks) - 1)


def test_one_failure_of_several_answers_ends_them_all(client: openai.OpenAI) -> None:
    long: list[ChatCompletionMessageParam] = [{"role": "user", "content": "/repeat a b"}]
    with pytest.raises(openai.APIError) as failed:
        for _ in client.chat.completions.create(
            model=FAILING, messages=long, n=2, stream=True, max_tokens=200
        ):
            pass
    assert failed.value.code == "engine_failed"


def test_several_answers_under_one_key_are_the_same_again(mesh: Mesh) -> None:
    body = {"model": ECHO, "messages": HELLO, "n": 2}
    with httpx.Client(
        base_url=mesh.url, headers={"Idempotency-Key": "two-of-them"}, timeout=60
    ) as http:
        first, again = (http.post("/v1/chat/completions", json=body).json() for _ in range(2))
        assert first == again
        other = http.post("/v1/chat/completions", json=body | {"n": 3})
        assert other.status_code == 422
        read_on = http.post(
            "/v1/chat/completions",
            json=body | {"stream": True},
            headers={"Last-Event-ID": "1"},
        )
        assert read_on.json()["error"]["param"] == "Last-Event-ID"


def test_a_text_is_gone_on_with(client: openai.OpenAI) -> None:
    text: Completion = client.completions.create(model=ECHO, prompt=["a b", "c"], n=2, echo=True)
    assert [choice.text for choice in text.choices] == ["a ba b", "a ba b", "cc", "cc"]
    assert text.object == "text_completion" and text.id.startswith("cmpl-")
    assert text.usage is not None
    assert text.usage.prompt_tokens == 2 * 3, "no template stands around a text"


def test_a_text_streams(client: openai.OpenAI) -> None:
    chunks = list(client.completions.create(model=ECHO, prompt=TEXT, echo=True, stream=True))
    assert "".join(chunk.choices[0].text for chunk in chunks) == TEXT * 2
    assert chunks[-1].choices[0].finish_reason == "stop"


def test_the_likely_tokens_of_an_answer_are_its_text(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(
        model=ECHO, messages=HELLO, logprobs=True, top_logprobs=2
    )
    assert answer.choices[0].logprobs is not None
    content = answer.choices[0].logprobs.content or []
    assert "".join(each.token for each in content) == TEXT
    assert bytes(byte for each in content for byte in each.bytes or []) == TEXT.encode()
    assert [len(each.top_logprobs) for each in content] == [2] * len(content)
    assert all(each.logprob == each.top_logprobs[0].logprob <= 0 for each in content)
    streamed = [
        likely
        for chunk in client.chat.completions.create(
            model=ECHO, messages=HELLO, logprobs=True, top_logprobs=2, stream=True
        )
        for choice in chunk.choices
        if choice.logprobs
        for likely in choice.logprobs.content or []
    ]
    assert streamed == content


def test_a_stop_string_cuts_the_likely_tokens_too(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(model=ECHO, messages=HELLO, logprobs=True, stop="o\n")
    assert answer.choices[0].logprobs is not None
    tokens = [each.token for each in answer.choices[0].logprobs.content or []]
    assert "".join(tokens) == answer.choices[0].message.content == "one tw"


def test_the_tokens_of_a_text_are_counted_as_the_model_does(
    mesh: Mesh, client: openai.OpenAI
) -> None:
    body = {"model": ECHO, "prompt": TEXT}
    found = httpx.post(f"{mesh.url}/tokenize", json=body, timeout=60).json()
    text = client.completions.create(model=ECHO, prompt=TEXT)
    assert text.usage is not None
    assert found["count"] == len(found["tokens"]) == text.usage.prompt_tokens == 3
    assert found["max_model_len"] == 8192
    unknown = httpx.post(f"{mesh.url}/tokenize", json=body | {"model": "nobody"}, timeout=60)
    assert unknown.status_code == 404
    assert set(unknown.json()["error"]) == {"message", "type", "param", "code"}
    assert httpx.post(f"{mesh.url}/tokenize", json={}, timeout=60).status_code == 400


def test_a_text_whose_tokens_are_more_than_one_message_holds_is_too_large(mesh: Mesh) -> None:
    body = {"model": ECHO, "prompt": "a " * 2_000_000}
    told = httpx.post(f"{mesh.url}/tokenize", json=body, timeout=120)
    assert told.status_code == 413, told.text[:300]
    error = told.json()["error"]
    assert (error["code"], error["param"]) == ("too_large", "prompt")


def test_likely_tokens_of_texts_say_where_they_stand(client: openai.OpenAI) -> None:
    text = client.completions.create(model=ECHO, prompt=TEXT, logprobs=1)
    likely = text.choices[0].logprobs
    assert likely is not None and likely.tokens is not None and likely.text_offset is not None
    assert "".join(likely.tokens) == TEXT
    starts = likely.text_offset
    assert [
        TEXT[at : at + len(token)] for at, token in zip(starts, likely.tokens, strict=True)
    ] == (likely.tokens)
