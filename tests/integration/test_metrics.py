"""`GET /metrics`: what Prometheus reads, as Prometheus' own parser reads it (A30)."""

import asyncio
from collections.abc import AsyncIterator, Callable

import httpx
from prometheus_client.parser import text_string_to_metric_families

from tests.chatting import answer, new_chat, refusal
from tests.integration.test_accounts import make_key
from tests.whole_mesh import ECHO, FAILING, SINGLE, Mesh

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


async def scraped(http: httpx.AsyncClient) -> Samples:
    response = await http.get("/metrics")
    assert response.status_code == 200, response.text
    assert response.headers["content-type"].startswith("text/plain; version=")
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(response.text)
        for sample in family.samples
    }


def value(samples: Samples, name: str, **labels: str) -> float:
    return samples.get((name, tuple(sorted(labels.items()))), 0.0)


async def test_requests_tokens_and_times_are_counted(mesh: Mesh) -> None:
    failed = {"model": FAILING, "end": "failed", "code": "engine_failed"}
    async with await mesh.client("measured") as http:
        before = await scraped(http)

        def more(found: Samples, name: str, **labels: str) -> float:
            return value(found, name, **labels) - value(before, name, **labels)

        chat = await new_chat(http)
        await answer(http, chat, "one two three")
        assert (await http.get("/chats/nobody")).status_code == 404
        assert (await http.get("/no/such/path")).status_code == 404
        await http.post("/generate", json={"prompt": "/repeat a", "model": FAILING})
        async with asyncio.timeout(60):
            while not more(found := await scraped(http), "mesh_requests_ended_total", **failed):
                await asyncio.sleep(0.05)
    assert more(found, "mesh_requests_total", model=ECHO) >= 1
    assert more(found, "mesh_requests_ended_total", model=ECHO, end="done", code="") >= 1
    assert more(found, "mesh_tokens_total", model=ECHO, kind="completion") >= 3
    assert more(found, "mesh_tokens_total", model=ECHO, kind="prompt") > 3
    for name in ("first_token", "queue", "mean_token_gap", "longest_token_gap"):
        assert more(found, f"mesh_{name}_seconds_count", model=ECHO) >= 1, name
    route, http_requests = "/chats/{chat_id}", "mesh_http_requests_total"
    assert more(found, http_requests, method="GET", route=route, status="404") == 1
    assert more(found, http_requests, method="GET", route="(none)", status="404") == 1
    assert more(found, http_requests, method="POST", route="/chats", status="200") == 1
    assert more(found, "mesh_http_seconds_count", method="GET", route=route) == 1
    assert value(found, "mesh_workers", model=ECHO, state="serving") == 1
    assert value(found, "mesh_slots", model=ECHO) > 1
    assert value(found, "mesh_broker_connected") == value(found, "mesh_store_up") == 1
    assert value(found, "mesh_store_applied") > 0 and value(found, "mesh_database_bytes") > 0
    assert 0 < value(found, "mesh_worker_memory_ratio", worker=ECHO) <= 1
    assert value(found, "process_resident_memory_bytes") > 0


async def test_who_waits_is_seen(new_mesh: Callable[..., Mesh]) -> None:
    mesh = new_mesh()
    mesh.start("gateway", SINGLE)
    async with mesh.anonymous() as http:
        asking = [
            asyncio.create_task(
                http.post("/generate", json={"prompt": "/repeat a", "params": {"max_tokens": 200}})
            )
            for _ in range(3)
        ]
        async with asyncio.timeout(60):
            while value(await scraped(http), "mesh_queue_depth", model=SINGLE) != 2:
                await asyncio.sleep(0.05)
            while value(await scraped(http), "mesh_slots_busy", model=SINGLE) != 1:
                await asyncio.sleep(0.05)
        for task in asking:
            task.cancel()
        await asyncio.gather(*asking, return_exceptions=True)
        async with asyncio.timeout(60):
            while value(found := await scraped(http), "mesh_queue_depth", model=SINGLE):
                await asyncio.sleep(0.05)
        assert value(found, "mesh_store_up") == 0, "there is none here"


async def test_a_request_that_another_worker_goes_on_with_is_a_take_over(
    new_mesh: Callable[..., Mesh],
) -> None:
    mesh = new_mesh()
    mesh.start("gateway", SINGLE)
    async with mesh.anonymous() as http:
        body = {"prompt": "/repeat a", "params": {"max_tokens": 60}}
        async with http.stream("POST", "/generate", json=body) as response:
            lines = response.aiter_lines()
            assert '"index":0' in [line async for line in _until(lines, "data: ")][-1]
            await asyncio.to_thread(mesh.stop, SINGLE)
            await asyncio.to_thread(mesh.start, SINGLE)
            assert '"done":true' in [line async for line in _until(lines, 'data: {"done"')][-1]
        assert value(await scraped(http), "mesh_takeovers_total", model=SINGLE) == 1


async def _until(lines: AsyncIterator[str], beginning: str) -> AsyncIterator[str]:
    """The lines up to one that begins so."""
    async for line in lines:
        yield line
        if line.startswith(beginning):
            return


async def test_what_a_proxy_hands_on_needs_a_sign_in(mesh: Mesh) -> None:
    """That it does on a network, and which keys do, `test_authorisation.py` asks of every route."""
    elsewhere = {"X-Forwarded-For": "192.0.2.7"}
    async with mesh.anonymous() as http:
        assert (await http.get("/metrics")).status_code == 200
        refusal(await http.get("/metrics", headers=elsewhere), 403, "not_authenticated")
    async with await mesh.client("looks at metrics") as http:
        _, key = await make_key(http, scopes=["mesh"])
    async with mesh.anonymous() as http:
        signed = elsewhere | {"Authorization": f"Bearer {key}"}
        assert (await http.get("/metrics", headers=signed)).status_code == 200
