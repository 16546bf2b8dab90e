"""What OpenAI's client raises where the mesh is busy: its exception, and the error's fields."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import openai
import pytest
from openai.types.shared import ErrorObject

from tests.openai_client import connected
from tests.whole_mesh import ECHO, SINGLE, Mesh


def asked(http: openai.OpenAI, model: str) -> None:
    http.chat.completions.create(model=model, messages=[{"role": "user", "content": "one"}])


@contextmanager
def refusal(kind: type[openai.APIStatusError], status: int, *fields: str | None) -> Iterator[None]:
    """What is asked within it is refused so. fields: type, code, param."""
    with pytest.raises(openai.APIStatusError) as error:
        yield
    found = error.value
    assert (type(found), found.status_code) == (kind, status)
    assert (found.type, found.code, found.param) == fields
    assert int(found.response.headers["retry-after"]) >= 1
    (name, said), *more = found.response.json().items()
    assert (name, more) == ("error", []) and said.keys() == {"message", "type", "code", "param"}
    assert ErrorObject.model_validate(said, strict=True).message


def test_too_many_requests_are_the_client_s_own_error(new_mesh: Callable[..., Mesh]) -> None:
    mesh = new_mesh(limit_requests=1)
    mesh.start("store", "gateway", ECHO)
    with connected(mesh) as http:
        asked(http, ECHO)
        with refusal(openai.RateLimitError, 429, "rate_limit_error", "rate_limited", None):
            asked(http, ECHO)


def test_a_full_queue_and_a_model_that_nobody_serves_are_the_server_s(
    new_mesh: Callable[..., Mesh],
) -> None:
    mesh = new_mesh(req_max_msgs=2, req_max_per_tenant=3, worker_wait=0.5)
    mesh.start("store", "gateway", SINGLE, ECHO)
    with connected(mesh) as http:
        answers = [
            http.responses.create(model=SINGLE, input="/repeat x", background=True)
            for _ in range(2)
        ]
        with refusal(openai.InternalServerError, 503, "server_error", "queue_full", None):
            asked(http, SINGLE)
        for answer in answers:
            http.responses.cancel(answer.id)
        mesh.stop(ECHO)
        with refusal(openai.InternalServerError, 503, "server_error", "no_worker", None):
            asked(http, ECHO)
