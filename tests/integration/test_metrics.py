"""`GET /metrics`: what Prometheus reads, as Prometheus' own parser reads it (A30)."""

import asyncio
from collections.abc import Callable

import httpx
from prometheus_client.parser import text_string_to_metric_families

from tests.chatting import answer, new_chat, ok, refusal
from tests.integration.test_accounts import PASSWORD, admin, make_key
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


async def test_requests_tokens_and_times_are_counted(new_mesh: Callable[..., Mesh]) -> None:
    mesh = new_mesh()
    mesh.start("store", "gateway", ECHO, FAILING)
    async with await mesh.client("measured") as http:
        chat = await new_chat(http)
        await answer(http, chat, "one two three")
        assert (await http.get("/chats/nobody")).status_code == 404
        assert (await http.get("/no/such/path")).status_code == 404
        await http.post("/generate", json={"prompt": "/repeat a", "model": FAILING})
        async with asyncio.timeout(20):
            found = await scraped(http)
            while not value(
                found,
                "mesh_requests_ended_total",
                model=FAILING,
                end="failed",
                code="engine_failed",
            ):
                await asyncio.sleep(0.05)
                found = await scraped(http)
    assert value(found, "mesh_requests_total", model=ECHO) == 1
    assert value(found, "mesh_requests_ended_total", model=ECHO, end="done", code="") == 1
    assert value(found, "mesh_tokens_total", model=ECHO, kind="completion") == 3
    assert value(found, "mesh_tokens_total", model=ECHO, kind="prompt") > 3
    for name in ("mesh_first_token_seconds", "mesh_queue_seconds", "mesh_token_gap_seconds"):
        assert value(found, f"{name}_count", model=ECHO) == 1, name
    route = "/chats/{chat_id}"
    http_requests = "mesh_http_requests_total"
    assert value(found, http_requests, method="GET", route=route, status="404") == 1
    assert value(found, http_requests, method="GET", route="(none)", status="404") == 1
    assert value(found, http_requests, method="POST", route="/chats", status="200") == 1
    assert value(found, "mesh_http_seconds_count", method="GET", route=route) == 1
    assert value(found, "mesh_workers", model=ECHO, state="serving") == 1
    assert value(found, "mesh_slots", model=ECHO) > 1
    assert value(found, "mesh_broker_connected") == 1
    assert value(found, "process_resident_memory_bytes") > 0


async def test_who_waits_is_seen(new_mesh: Callable[..., Mesh]) -> None:
    mesh = new_mesh()
    mesh.start("gateway", SINGLE)
    async with mesh.anonymous() as http:
        asking = [
            asyncio.create_task(
                http.post("/generate", json={"prompt": "/repeat a", "params": {"max_tokens": 40}})
            )
            for _ in range(3)
        ]
        async with asyncio.timeout(20):
            while value(await scraped(http), "mesh_queue_depth", model=SINGLE) != 2:
                await asyncio.sleep(0.05)
            while value(await scraped(http), "mesh_slots_busy", model=SINGLE) != 1:
                await asyncio.sleep(0.05)
        for task in asking:
            task.cancel()
        await asyncio.gather(*asking, return_exceptions=True)
        async with asyncio.timeout(20):
            while value(await scraped(http), "mesh_queue_depth", model=SINGLE):
                await asyncio.sleep(0.05)


async def test_a_request_that_another_worker_goes_on_with_is_a_take_over(
    new_mesh: Callable[..., Mesh],
) -> None:
    mesh = new_mesh()
    mesh.start("gateway", SINGLE)
    async with mesh.anonymous() as http:
        body = {"prompt": "/repeat a", "params": {"max_tokens": 60}}
        asking = asyncio.create_task(http.post("/generate", json=body))
        async with asyncio.timeout(30):
            while value(await scraped(http), "mesh_slots_busy", model=SINGLE) != 1:
                await asyncio.sleep(0.05)
        await asyncio.to_thread(mesh.stop, SINGLE)
        await asyncio.to_thread(mesh.start, SINGLE)
        assert '"done":true' in (await asking).text
        assert value(await scraped(http), "mesh_takeovers_total", model=SINGLE) == 1


async def test_on_a_network_they_are_for_who_is_signed_in(new_mesh: Callable[..., Mesh]) -> None:
    mesh = new_mesh(allowed_hosts="127.0.0.1")
    mesh.start("store", "gateway")
    async with mesh.anonymous() as http:
        refusal(await http.get("/metrics"), 401, "not_authenticated")
    async with admin(mesh) as http:
        _, looks = await make_key(http, scopes=["mesh"])
        _, asks = await make_key(http, scopes=["ask"])
        assert PASSWORD not in (await http.get("/metrics")).text
    async with mesh.anonymous() as http:
        found = await http.get("/metrics", headers={"Authorization": f"Bearer {looks}"})
        assert found.status_code == 200
        refused = await http.get("/metrics", headers={"Authorization": f"Bearer {asks}"})
        refusal(refused, 403, "forbidden")
        assert ok(await http.get("/openapi.json"))["paths"]["/metrics"]["get"]["security"]
