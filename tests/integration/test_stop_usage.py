"""What an answer that a stop string ended has used: all that was generated."""

from collections.abc import Iterator

import httpx
import pytest

from tests.fleet import Fleet, fleet

WORDS = "the quick brown fox jumps over the lazy dog"


@pytest.fixture(scope="module")
def mesh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    with fleet(tmp_path_factory.mktemp("stop-usage")) as found:
        found.gateway()
        found.worker("says", "--model-name", "echo")
        yield found


@pytest.mark.parametrize(
    ("stop", "said", "tokens"),
    [
        pytest.param("e", "th", 1, id="within the first token"),
        pytest.param("ick br", "the qu", 3, id="over two tokens"),
        pytest.param("ox", "the quick brown f", 4, id="within a token"),
        pytest.param("cat", WORDS, 9, id="nowhere"),
    ],
)
def test_a_token_that_a_stop_string_cut_is_counted_and_told(
    mesh: Fleet, stop: str, said: str, tokens: int
) -> None:
    messages = [{"role": "user", "content": WORDS}]
    body = {"model": "echo", "messages": messages, "stop": [stop], "logprobs": True}
    answer = httpx.post(f"{mesh.url}/v1/chat/completions", json=body, timeout=60).json()
    (choice,), usage = answer["choices"], answer["usage"]
    assert (choice["message"]["content"], choice["finish_reason"]) == (said, "stop")
    assert usage["completion_tokens"] == tokens
    spoken = len(said.split())
    assert len(choice["logprobs"]["content"]) == spoken <= tokens
