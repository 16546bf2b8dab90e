"""Traces: what a collector of OpenTelemetry's hears of a request, and what it never does."""

from collections.abc import Callable
from typing import Any

import httpx

from tests.collector import Collector, about
from tests.collector import collector as collector
from tests.fleet import wait_until
from tests.whole_mesh import ECHO, FAILING, Mesh

WORDS = "umbrellas in the long november rain"


def test_a_request_is_told_of_from_http_to_the_engine(
    new_mesh: Callable[..., Mesh], collector: Collector
) -> None:
    mesh = new_mesh(otlp=collector.url)
    mesh.start("store", "gateway", ECHO, FAILING)
    body: dict[str, Any] = {"model": ECHO, "messages": [{"role": "user", "content": WORDS}]}
    answer = httpx.post(f"{mesh.url}/v1/chat/completions", json=body, timeout=60)
    request_id = answer.headers["x-request-id"]
    wait_until("all of it was told", lambda: len(collector.trace_with(request_id)) == 5)
    spans = {span["name"]: span for span in collector.trace_with(request_id)}
    http, chat = spans["POST /v1/chat/completions"], spans[f"chat {ECHO}"]
    assert "parentSpanId" not in http and chat["parentSpanId"] == http["spanId"]
    assert about(http)["http.response.status_code"] == "200"
    used = answer.json()["usage"]
    told = about(chat)
    assert told["gen_ai.usage.output_tokens"] == str(used["completion_tokens"])
    assert (told["mesh.end"], told["mesh.attempts"], told["mesh.worker"]) == ("done", "1", ECHO)
    before = int(chat["startTimeUnixNano"])
    for name in ("queue", "prefill", "generate"):
        step = spans[name]
        assert step["parentSpanId"] == chat["spanId"]
        assert before <= int(step["startTimeUnixNano"]) <= int(step["endTimeUnixNano"])
        before = int(step["endTimeUnixNano"])
    assert before == int(chat["endTimeUnixNano"])
    assert all(len(span["traceId"]) == 32 and len(span["spanId"]) == 16 for span in spans.values())

    body |= {"model": FAILING, "messages": [{"role": "user", "content": WORDS * 9}]}
    failing = httpx.post(f"{mesh.url}/v1/chat/completions", json=body, timeout=60)
    failed = failing.headers["x-request-id"]
    wait_until("the failure was told", lambda: len(collector.trace_with(failed)) >= 2)
    (chat,) = [span for span in collector.trace_with(failed) if span["name"].startswith("chat")]
    assert chat["status"] == {"code": 2, "message": "engine_failed"}
    assert int(about(chat)["mesh.attempts"]) > 1
    assert all(WORDS.split()[0].encode() not in heard for heard in collector.bodies)


def test_a_collector_that_is_away_keeps_nobody_waiting(new_mesh: Callable[..., Mesh]) -> None:
    mesh = new_mesh(otlp="http://127.0.0.1:1")
    mesh.start("store", "gateway", ECHO)
    for _ in range(2):
        body = {"prompt": "hello", "model": ECHO}
        assert httpx.post(f"{mesh.url}/generate", json=body, timeout=60).status_code == 200
