"""The OpenAI routes, as the real openai SDK sees them: real broker, gateway and echo worker."""

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import msgspec
import openai
import pytest

from tests.conftest import free_port
from tests.fleet import Fleet, fleet, wait_until

REPEAT = "/repeat lorem ipsum dolor"
ENDLESS = [{"role": "user", "content": REPEAT}]
SLOTS = 4


@pytest.fixture(scope="module")
def mesh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """A gateway with two echo workers: `quick`, and `fails`, whose model breaks off."""
    with fleet(tmp_path_factory.mktemp("openai")) as found:
        found.gateway("--worker-wait", "0.3", "--hold-headers", "1", "--max-body", "200000")
        found.worker("quick", "--model-name", "echo", "--echo-rate", "100", "--slots", str(SLOTS))
        found.worker("failing", "--model-name", "fails/early", "--echo-fail-after", "1")
        found.worker("late", "--model-name", "late", "--echo-delay", "60")
        yield found


@pytest.fixture
def http(mesh: Fleet) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=mesh.url, timeout=60.0) as client:
        yield client


def events(response: httpx.Response) -> list[tuple[str, str]]:
    """The events of a stream as (id, data); an event without an id line has ""."""
    found = []
    for block in response.read().decode().split("\n\n"):
        lines = dict(line.split(": ", 1) for line in block.split("\n") if line[:1] not in ":")
        if "data" in lines:
            found.append((lines.get("id", ""), lines["data"]))
    return found


# --- models ---------------------------------------------------------------------------------------


def test_models_are_listed_with_what_the_mesh_knows_of_them(client: openai.OpenAI) -> None:
    listed = {model.id: model for model in client.models.list()}
    assert set(listed) == {"echo", "fails/early", "late"}
    extras = listed["echo"].model_dump()
    assert (extras["object"], extras["owned_by"], extras["available"]) == ("model", "mesh", True)
    assert (extras["engine"], extras["context_length"]) == ("echo", 8192)
    assert extras["created"] > 0


def test_a_model_is_found_by_a_name_with_slashes(client: openai.OpenAI) -> None:
    assert client.models.retrieve("fails/early").id == "fails/early"


def test_an_unknown_model_is_not_found(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as refused:
        client.models.retrieve("gpt-4o")
    assert refused.value.code == "model_not_found"
    with pytest.raises(openai.NotFoundError) as refused:
        client.chat.completions.create(
            model="gpt-4o", messages=[{"role": "user", "content": "hello"}]
        )
    assert (refused.value.code, refused.value.param) == ("model_not_found", "model")
    assert refused.value.type == "invalid_request_error"


# --- answers --------------------------------------------------------------------------------------


def test_a_completion_is_whole(client: openai.OpenAI, http: httpx.Client) -> None:
    answer = client.chat.completions.create(
        model="echo",
        messages=[
            {"role": "developer", "content": "Be an echo."},
            {"role": "user", "content": [{"type": "text", "text": "one two "}]},
            {"role": "assistant", "content": "one two"},
            {"role": "user", "content": "three four"},
        ],
    )
    assert answer.choices[0].message.content == "three four"
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage is not None
    assert answer.usage.completion_tokens == 2
    assert answer.usage.prompt_tokens > 4
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + 2
    assert (answer.model, answer.system_fingerprint) == ("echo", "echo-1")


def test_required_keys_are_there_even_when_null(http: httpx.Client) -> None:
    body = {"model": "echo", "messages": [{"role": "user", "content": "hello"}]}
    response = http.post("/v1/chat/completions", json=body)
    answer = response.json()
    assert answer["id"].startswith("chatcmpl-")
    assert answer["object"] == "chat.completion"
    assert answer["choices"] == [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "hello", "refusal": None},
            "logprobs": None,
            "finish_reason": "stop",
        }
    ]
    assert response.headers["x-request-id"]


def test_an_answer_that_was_cut_off_says_so(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(model="echo", messages=ENDLESS, max_tokens=3)  # type: ignore[arg-type]
    assert answer.choices[0].finish_reason == "length"
    assert answer.choices[0].message.content == "lorem ipsum dolor "


def test_a_stop_string_ends_an_answer_and_is_not_part_of_it(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(model="echo", messages=ENDLESS, stop=["sum do"])  # type: ignore[arg-type]
    assert answer.choices[0].message.content == "lorem ip"
    assert answer.choices[0].finish_reason == "stop"


def test_a_stream_has_the_form_that_clients_expect(http: httpx.Client) -> None:
    body = {
        "messages": [{"role": "user", "content": "a b \n c"}],
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    response = http.post("/v1/chat/completions", json=body | {"model": "echo"})
    assert response.headers["content-type"].startswith("text/event-stream")
    assert response.headers["cache-control"] == "no-cache"
    found = events(response)
    ids, (*data, last) = [at for at, _ in found], [data for _, data in found]
    assert last == "[DONE]"
    chunks = [msgspec.json.decode(chunk) for chunk in data]
    first, *content, over, usage = chunks
    assert ids == ["", *(str(at) for at in range(len(content))), "", "", ""]
    delta = {"role": "assistant", "content": "", "refusal": None}
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": None}
    assert first["choices"] == [choice]
    assert "".join(chunk["choices"][0]["delta"]["content"] for chunk in content) == "a b \n c"
    assert over["choices"] == [choice | {"delta": {}, "finish_reason": "stop"}]
    assert usage["choices"] == []
    assert usage["usage"]["completion_tokens"] == len(content)
    assert all(chunk["usage"] is None for chunk in chunks[:-1])
    heads = ("id", "object", "created", "model", "system_fingerprint")
    assert len({tuple(chunk[key] for key in heads) for chunk in chunks}) == 1


def test_without_include_usage_no_chunk_speaks_of_it(http: httpx.Client) -> None:
    body = {"messages": [{"role": "user", "content": "a b"}], "stream": True, "model": "echo"}
    found = events(http.post("/v1/chat/completions", json=body))
    assert not any("usage" in data for _, data in found)
    assert found[-1] == ("", "[DONE]")


def test_an_event_stays_on_one_line_for_clients_that_know_more_ends_of_lines(
    http: httpx.Client,
) -> None:
    said = "a\u2028b \u2029c \x85d \u2026"
    body = {"messages": [{"role": "user", "content": said}], "stream": True, "model": "echo"}
    response = http.post("/v1/chat/completions", json=body)
    data = [line[6:] for line in response.iter_lines() if line.startswith("data: {")]
    deltas = [msgspec.json.decode(chunk)["choices"][0]["delta"] for chunk in data]
    assert "".join(delta.get("content", "") for delta in deltas) == said


async def test_the_async_sdk_streams(mesh: Fleet) -> None:
    async with openai.AsyncOpenAI(base_url=f"{mesh.url}/v1", api_key="guest") as client:
        stream = await client.chat.completions.create(
            model="echo", messages=[{"role": "user", "content": "so it is said"}], stream=True
        )
        said = [chunk.choices[0].delta.content or "" async for chunk in stream]
    assert "".join(said) == "so it is said"


async def test_the_sdks_own_accumulator_understands_the_stream(mesh: Fleet) -> None:
    async with openai.AsyncOpenAI(base_url=f"{mesh.url}/v1", api_key="guest") as client:
        manager = client.chat.completions.stream(
            model="echo", messages=[{"role": "user", "content": "so it is said"}]
        )
        async with manager as stream:
            answer = await stream.get_final_completion()
    assert answer.choices[0].message.content == "so it is said"


# --- failures -------------------------------------------------------------------------------------


def test_a_stream_that_fails_raises(client: openai.OpenAI) -> None:
    stream = client.chat.completions.create(
        model="fails/early",
        messages=[{"role": "user", "content": "one two three four five six seven eight"}],
        stream=True,
    )
    said = []
    with pytest.raises(openai.APIError, match="echo_fail_after") as failed:
        for chunk in stream:
            said.append(chunk.choices[0].delta.content or "")
    assert "one two three four five six seven".startswith("".join(said).strip())
    assert len(said) > 1
    assert failed.value.code == "engine_failed"
    assert failed.value.type == "server_error"


def test_an_answer_that_fails_is_a_status_and_not_to_be_tried_again(http: httpx.Client) -> None:
    body = {"model": "fails/early", "messages": [{"role": "user", "content": "1 2 3 4 5 6 7 8"}]}
    response = http.post("/v1/chat/completions", json=body)
    assert response.status_code == 500
    assert response.headers["x-should-retry"] == "false"
    assert set(response.json()["error"]) == {"message", "type", "param", "code"}


@pytest.mark.parametrize("stream", [False, True])
def test_a_conversation_that_does_not_fit_is_refused(client: openai.OpenAI, stream: bool) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        client.chat.completions.create(
            model="echo", messages=[{"role": "user", "content": "word " * 9000}], stream=stream
        )
    assert (refused.value.code, refused.value.param) == ("context_overflow", "messages")


@pytest.mark.parametrize("stream", [False, True])
def test_a_text_that_does_not_fit_is_refused(client: openai.OpenAI, stream: bool) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        client.completions.create(model="echo", prompt="word " * 9000, stream=stream)
    assert (refused.value.code, refused.value.param) == ("context_overflow", "prompt")


def test_what_is_not_supported_is_refused_by_name(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        client.chat.completions.create(
            model="echo", messages=[{"role": "user", "content": "hello"}], modalities=["audio"]
        )
    assert (refused.value.code, refused.value.param) == ("unsupported", "modalities")


BODY = {"model": "echo", "messages": [{"role": "user", "content": "hello"}]}


@pytest.mark.parametrize(
    ("data", "status", "param"),
    [
        (b"", 400, "messages"),
        (b"[]", 400, None),
        (b"nonsense", 400, None),
        (b'{"messages": [{"role": "user", "content": "\xff"}]}', 400, None),
        (b'{"messages": ' + b"[" * 90_000, 400, None),
        (b'{"user": ' + b"[" * 90_000 + b"]" * 90_000 + b"}", 400, None),
        (b'{"messages": [{"role": "user", "content": "\\ud800"}]}', 400, None),
        (b'{"messages": "hello"}', 400, "messages"),
        (b'{"messages": []}', 400, "messages"),
        (b'{"messages": [{"role": "user", "content": " "}]}', 400, "messages"),
        (b'{"messages": [{"role": "user", "content": 3}]}', 400, "messages[0].content"),
        (b'{"model": 3, "messages": []}', 400, "model"),
        (b'{"messages": [{"role": "user", "content": "%b"}]}' % (b"x" * 300_000), 413, None),
    ],
)
def test_bad_input_is_a_clear_refusal(
    http: httpx.Client, data: bytes, status: int, param: str | None
) -> None:
    response = http.post("/v1/chat/completions", content=data)
    error = response.json()["error"]
    assert (response.status_code, error["param"]) == (status, param), error
    assert set(error) == {"message", "type", "param", "code"}
    assert error["message"]


def test_a_forged_key_is_refused(mesh: Fleet) -> None:
    with openai.OpenAI(base_url=f"{mesh.url}/v1", api_key="sk-forged") as client:
        with pytest.raises(openai.AuthenticationError) as refused:
            client.models.list()
    assert refused.value.code == "invalid_token"


def test_headers_are_not_held_back_for_ever(http: httpx.Client) -> None:
    body = {"model": "late", "messages": [{"role": "user", "content": "hello"}], "stream": True}
    with http.stream("POST", "/v1/chat/completions", json=body) as response:
        assert response.status_code == 200  # the first token is a minute away


# --- idempotency ----------------------------------------------------------------------------------


def keyed(key: str, last: str = "") -> dict[str, str]:
    return {"Idempotency-Key": key} | ({"Last-Event-ID": last} if last else {})


def test_one_key_is_one_answer(client: openai.OpenAI) -> None:
    def ask() -> openai.types.chat.ChatCompletion:
        return client.chat.completions.create(
            model="echo",
            messages=[{"role": "user", "content": "once only"}],
            temperature=0.5,
            extra_headers=keyed("one"),
        )

    first, second = ask(), ask()
    assert first == second


def test_one_key_with_another_body_is_a_conflict(client: openai.OpenAI) -> None:
    messages = [{"role": "user", "content": "this"}]
    client.chat.completions.create(model="echo", messages=messages, extra_headers=keyed("two"))  # type: ignore[arg-type]
    with pytest.raises(openai.UnprocessableEntityError) as refused:
        client.chat.completions.create(model="echo", messages=ENDLESS, extra_headers=keyed("two"))  # type: ignore[arg-type]
    assert refused.value.code == "conflict"


def test_two_readers_of_one_running_answer_read_the_same(http: httpx.Client) -> None:
    body = BODY | {"messages": ENDLESS, "max_tokens": 50, "stream": True}
    with http.stream("POST", "/v1/chat/completions", json=body, headers=keyed("three")) as first:
        lines = first.iter_lines()
        assert next(lines).startswith("data: ")
        second = http.post("/v1/chat/completions", json=body, headers=keyed("three"))
        rest = [line for line in lines if line.startswith("data: ")]
    both = [data for _, data in events(second)]
    assert [line.removeprefix("data: ") for line in rest] == both[1:]
    assert len(both) == 53


async def test_a_key_that_comes_many_times_at_once_is_one_answer(mesh: Fleet) -> None:
    body = BODY | {"messages": ENDLESS, "max_tokens": 20}
    async with httpx.AsyncClient(base_url=mesh.url, timeout=60.0) as client:
        answers = await asyncio.gather(
            *(
                client.post("/v1/chat/completions", json=body, headers=keyed("at once"))
                for _ in range(8)
            )
        )
    assert [answer.status_code for answer in answers] == [200] * 8
    assert len({answer.content for answer in answers}) == 1


def test_a_reader_that_comes_back_reads_on_behind_its_last_event(http: httpx.Client) -> None:
    body = BODY | {"messages": ENDLESS, "max_tokens": 40, "stream": True}
    with http.stream("POST", "/v1/chat/completions", json=body, headers=keyed("four")) as first:
        for line in first.iter_lines():
            if line == "id: 9":
                break
    again = events(http.post("/v1/chat/completions", json=body, headers=keyed("four", "9")))
    assert [at for at, _ in again] == [*(str(at) for at in range(10, 40)), "", ""]
    assert again[-1][1] == "[DONE]"


@pytest.mark.parametrize("headers", [{"Last-Event-ID": "3"}, keyed("five", "x"), keyed("y" * 300)])
def test_resuming_what_cannot_be_resumed_is_refused(
    http: httpx.Client, headers: dict[str, str]
) -> None:
    response = http.post("/v1/chat/completions", json=BODY | {"stream": True}, headers=headers)
    assert response.status_code == 400
    assert response.json()["error"]["param"] in ("Last-Event-ID", "Idempotency-Key")


# --- hanging up -----------------------------------------------------------------------------------


def slots_are_free(http: httpx.Client) -> None:
    """Pass if the worker can take as many requests as it has slots: none is lost to the past."""
    with ThreadPoolExecutor(SLOTS) as pool:
        answers = pool.map(
            lambda _: http.post("/v1/chat/completions", json=BODY, timeout=5.0), range(SLOTS)
        )
    assert [answer.status_code for answer in answers] == [200] * SLOTS


def test_closing_a_stream_frees_its_slot(client: openai.OpenAI, http: httpx.Client) -> None:
    for _ in range(SLOTS):
        with client.chat.completions.create(
            model="echo",
            messages=[{"role": "user", "content": REPEAT}],
            stream=True,
        ) as stream:
            next(iter(stream))
    slots_are_free(http)


def test_hanging_up_on_a_whole_answer_frees_its_slot(mesh: Fleet, http: httpx.Client) -> None:
    for _ in range(SLOTS):
        with pytest.raises(httpx.ReadTimeout):
            httpx.post(
                f"{mesh.url}/v1/chat/completions",
                json=BODY | {"messages": ENDLESS},
                timeout=httpx.Timeout(30.0, read=0.3),
            )
    slots_are_free(http)


def test_hanging_up_with_a_key_leaves_the_answer_going_on(mesh: Fleet, http: httpx.Client) -> None:
    body = BODY | {"messages": ENDLESS, "max_tokens": 60}
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(
            f"{mesh.url}/v1/chat/completions",
            json=body,
            headers=keyed("six"),
            timeout=httpx.Timeout(30.0, read=0.2),
        )
    answer = http.post("/v1/chat/completions", json=body, headers=keyed("six")).json()
    assert answer["usage"]["completion_tokens"] == 60


# --- two gateways ---------------------------------------------------------------------------------


@pytest.fixture
def other(mesh: Fleet) -> Iterator[httpx.Client]:
    """A second gateway of the same mesh."""
    port = free_port()
    process = mesh.spawn("gateway", "--gateway-name", "gw2", "--port", str(port))
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60.0) as client:
        wait_until("the second gateway answers", lambda: answers(client))
        yield client
    process.terminate()
    process.communicate()


def answers(client: httpx.Client) -> bool:
    try:
        return client.get("/v1/health").status_code == 200
    except httpx.TransportError:
        return False


def test_another_gateway_reads_on_where_the_first_was_left(
    http: httpx.Client, other: httpx.Client
) -> None:
    body = BODY | {"messages": ENDLESS, "max_tokens": 60, "stream": True}
    with http.stream("POST", "/v1/chat/completions", json=body, headers=keyed("two gws")) as first:
        for line in first.iter_lines():
            if line == "id: 9":
                break
    again = events(other.post("/v1/chat/completions", json=body, headers=keyed("two gws", "9")))
    assert [at for at, _ in again] == [*(str(at) for at in range(10, 60)), "", ""]


def test_one_key_at_two_gateways_at_once_is_one_answer(
    http: httpx.Client, other: httpx.Client
) -> None:
    body = BODY | {"messages": ENDLESS, "max_tokens": 10}
    for attempt in range(5):
        with ThreadPoolExecutor(4) as pool:
            asked = [
                pool.submit(
                    client.post, "/v1/chat/completions", json=body, headers=keyed(f"both {attempt}")
                )
                for client in (http, other, http, other)
            ]
        contents = {one.result().content for one in asked}
        assert len(contents) == 1
        assert b'"finish_reason":"length"' in contents.pop()


# --- a gateway that stops -------------------------------------------------------------------------


def test_a_stream_that_a_stopping_gateway_breaks_off_is_no_whole_answer(tmp_path: Path) -> None:
    with fleet(tmp_path) as mesh:
        mesh.gateway()
        mesh.worker("slow", "--echo-rate", "20")
        client = openai.OpenAI(base_url=f"{mesh.url}/v1", api_key="guest", max_retries=0)
        with client, ThreadPoolExecutor(1) as pool:
            whole = pool.submit(
                httpx.post,
                f"{mesh.url}/v1/chat/completions",
                json=BODY | {"messages": ENDLESS},
                timeout=60,
            )
            with client.chat.completions.create(
                model="echo", messages=[{"role": "user", "content": REPEAT}], stream=True
            ) as stream:
                chunks = iter(stream)
                next(chunks)
                wait_until("both run", lambda: mesh.run("ps").stdout.count("running") == 2)
                assert mesh.stop("gateway") == 0
                with pytest.raises(openai.APIError, match="has to stop"):
                    list(chunks)
            refused = whole.result()
            assert refused.status_code == 503 and "retry-after" in refused.headers
