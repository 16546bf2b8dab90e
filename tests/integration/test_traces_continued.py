"""A caller's own trace: what is done for its request stands there, wherever it is done."""

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from secrets import token_hex
from typing import Any

import httpx
import pytest
from msgspec import Struct
from nats.aio.msg import Msg

from mesh.bus.connection import Bus
from mesh.bus.trace import asked_for
from mesh.protocol.tools import CallTool
from mesh.settings import WorkerSettings
from mesh.worker import app as worker
from tests.calling import CALL, WEATHER, settled
from tests.collector import Collector, about
from tests.collector import collector as collector
from tests.conftest import Broker
from tests.fleet import wait_until
from tests.whole_mesh import ECHO, READY, Mesh

SPAN = "00f067aa0ba902b7"


def told(trace: str, flags: str = "01") -> dict[str, str]:
    """The headers of a caller who tells of a trace."""
    return {"traceparent": f"00-{trace}-{SPAN}-{flags}", "tracestate": "vendor=value"}


def ask(mesh: Mesh, headers: dict[str, str], model: str = ECHO) -> httpx.Response:
    body = {"model": model, "messages": [{"role": "user", "content": "hello"}]}
    url = f"{mesh.url}/v1/chat/completions"
    return httpx.post(url, json=body, headers=headers, timeout=60).raise_for_status()


def named(spans: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {span["name"]: span for span in spans}


def test_what_a_caller_traces_is_told_as_a_part_of_its_trace(
    new_mesh: Callable[..., Mesh], collector: Collector
) -> None:
    mesh = new_mesh(otlp=collector.url)
    mesh.start("store", "gateway", ECHO)
    trace, unsampled = token_hex(16), token_hex(16)
    ask(mesh, told(trace))
    ask(mesh, told(trace))  # one trace may lead to many requests, each a span of its own
    wait_until("both were told", lambda: len(collector.spans(trace)) == 10)
    spans = collector.spans(trace)
    assert len({span["spanId"] for span in spans}) == 10
    assert {span["traceState"] for span in spans} == {"vendor=value"}
    http = [span for span in spans if span["name"] == "POST /v1/chat/completions"]
    assert [span["parentSpanId"] for span in http] == [SPAN, SPAN]
    chats = [span for span in spans if span["name"] == f"chat {ECHO}"]
    assert {chat["parentSpanId"] for chat in chats} == {span["spanId"] for span in http}
    steps = [span for span in spans if span["name"] in ("queue", "prefill", "generate")]
    assert {step["parentSpanId"] for step in steps} == {chat["spanId"] for chat in chats}

    ask(mesh, told(unsampled, "00"))
    invalid = ask(mesh, {"traceparent": f"00-{trace}-{'0' * 16}-01"})
    request_id = invalid.headers["x-request-id"]
    wait_until("it has a trace of its own", lambda: len(collector.trace_with(request_id)) == 5)
    assert collector.trace_with(request_id)[0]["traceId"] != trace
    posts = [span for span in collector.spans() if span["name"] == http[0]["name"]]
    assert len(posts) == 3, "of a trace that is not sampled nothing is told"
    assert not collector.spans(unsampled)


async def test_a_run_stays_in_its_caller_s_trace_whoever_goes_on_with_it(
    new_mesh: Callable[..., Mesh], collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    called: list[tuple[str, dict[str, str]]] = []
    plain = Bus.ask

    async def noticed(bus: Bus, subject: str, question: Struct, timeout: float = 2.0) -> Msg:
        if isinstance(question, CallTool):  # of another mesh of these tests', too
            called.append((question.id, asked_for() or {}))
        return await plain(bus, subject, question, timeout)

    monkeypatch.setattr(Bus, "ask", noticed)
    mesh = new_mesh(otlp=collector.url)
    await asyncio.to_thread(mesh.start, "store", "gateway", ECHO)
    trace = token_hex(16)
    body = {
        "model": ECHO,
        "messages": [{"role": "user", "content": CALL}],
        "tools": [WEATHER],
    }
    async with await mesh.client("traced") as http:
        begun = await http.post("/v1/runs", json=body, headers=told(trace))
        run = await settled(http, begun.raise_for_status().json()["id"])
        await asyncio.to_thread(wait_until, "it was told", lambda: len(collector.spans(trace)) == 5)
        before = named(collector.spans(trace))
        await asyncio.to_thread(mesh.stop, "gateway")
        count = len(of_run(called, run["id"]))
        await asyncio.to_thread(mesh.start, "gateway")
        again = lambda: len(of_run(called, run["id"])) > count  # noqa: E731
        await asyncio.to_thread(wait_until, "the tool is asked again", again)
        said = [{"tool_call_id": run["actions"][0]["tool_call_id"], "output": "It rains."}]
        url = f"/v1/runs/{run['id']}/submit_tool_outputs"
        (await http.post(url, json={"tool_outputs": said})).raise_for_status()
        assert (await settled(http, run["id"]))["status"] == "completed"
    await asyncio.to_thread(wait_until, "all was told", lambda: len(collector.spans(trace)) == 9)
    later = [span for span in collector.spans(trace) if span["name"] == f"chat {ECHO}"]
    http_span = before["POST /v1/runs"]["spanId"]
    assert [each["parentSpanId"] for each in later] == [http_span] * 2
    headers = {"traceparent": f"00-{trace}-{http_span}-01", "tracestate": "vendor=value"}
    found = of_run(called, run["id"])
    assert found and all(headers.items() <= each.items() for each in found)


def of_run(called: list[tuple[str, dict[str, str]]], run: str) -> list[dict[str, str]]:
    """The headers of the calls of a run's tools."""
    return [headers for call, headers in called if call.startswith(f"{run.removeprefix('run_')}.")]


@pytest.fixture
def above(tmp_path: Path, collector: Collector) -> Iterator[Mesh]:
    """A mesh on a broker of its own that another asks."""
    broker = Broker(tmp_path / "above")
    broker.start()
    mesh = Mesh(broker, otlp=collector.url)
    try:
        mesh.start("gateway", ECHO)
        yield mesh
    finally:
        try:
            mesh.close()
        finally:
            broker.kill()


async def test_a_trace_goes_through_an_upstream(
    new_mesh: Callable[..., Mesh], above: Mesh, collector: Collector
) -> None:
    below = new_mesh(otlp=collector.url)
    await asyncio.to_thread(below.start, "store", "gateway")
    settings = WorkerSettings(
        engine="openai",
        model=ECHO,
        model_name="relayed",
        upstream=f"{above.url}/v1",
        upstream_key="guest",
        data_dir=str(below.broker.data_dir),
        nats=below.broker.url,
        grace=0.0,
    )
    stop = asyncio.Event()
    password = below.broker.credentials("cloud").password
    working = asyncio.create_task(worker.run(settings, "cloud", password, stop))
    try:
        async with below.anonymous() as http, asyncio.timeout(READY):
            while not (await http.get("/v1/health")).json()["workers"]:
                await asyncio.sleep(0.05)
        trace = token_hex(16)
        await asyncio.to_thread(ask, below, told(trace), "relayed")
        await asyncio.to_thread(wait_until, "both told", lambda: len(collector.spans(trace)) == 10)
    finally:
        stop.set()
        await asyncio.wait_for(working, READY)
    http_spans = [span for span in collector.spans(trace) if "http.route" in about(span)]
    first, second = sorted(http_spans, key=lambda span: span["parentSpanId"] != SPAN)
    assert (first["parentSpanId"], second["parentSpanId"]) == (SPAN, first["spanId"])
    assert second["traceState"] == "vendor=value"
