"""`/metrics` of the services without HTTP of their own: store and workers, as real processes."""

import re
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.conftest import free_port
from tests.fleet import Fleet, fleet, wait_until
from tests.unit.test_dashboard import documented

AT = re.compile(r"Metrics at (http://127\.0\.0\.1:[0-9]+/metrics)")
MODEL = "echo"

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


@pytest.fixture
def measured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """Gateway, store and two slow workers; the first of their ports is somebody else's."""
    with fleet(tmp_path_factory.mktemp("measured")) as found, socket.socket() as taken:
        taken.bind(("127.0.0.1", free_port()))
        taken.listen()
        found.environment["MESH_METRICS_PORT"] = str(taken.getsockname()[1])
        found.gateway()
        found.store()
        for name in ("w1", "w2"):
            found.worker(name, "--echo-rate", "20")
        yield found


def scraped(mesh: Fleet, service: str) -> Samples:
    (url,) = AT.findall(mesh.log(service))
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(httpx.get(url, timeout=30).text)
        for sample in family.samples
    }


def value(mesh: Fleet, service: str, name: str, **labels: str) -> float:
    return scraped(mesh, service).get((name, tuple(sorted(labels.items()))), 0.0)


def of_worker(mesh: Fleet, name: str, metric: str, **labels: str) -> float:
    return value(mesh, name, metric, worker=name, model=MODEL, **labels)


def ask(mesh: Fleet, words: str) -> httpx.Response:
    body = {"messages": [{"role": "user", "content": words}]}
    return httpx.post(f"{mesh.url}/v1/chat/completions", json=body, timeout=60)


def test_store_and_workers_tell_what_they_do(measured: Fleet) -> None:
    urls = {AT.findall(measured.log(name))[0] for name in ("store", "w1", "w2")}
    assert len(urls) == 3, "each has a port of its own"
    words = " ".join(["word"] * 60)
    with ThreadPoolExecutor() as threads:
        answering = threads.submit(ask, measured, words)

        def busy() -> list[str]:
            of = {n: of_worker(measured, n, "mesh_worker_slots_busy") for n in ("w1", "w2")}
            return [name for name, count in of.items() if count]

        wait_until("a worker is at it", lambda: busy() != [])
        (first,) = busy()
        (second,) = {"w1", "w2"} - {first}
        assert of_worker(measured, first, "mesh_worker_claims_total") == 1
        measured.kill(first)
        assert answering.result().json()["choices"][0]["message"]["content"].strip() == words

    assert of_worker(measured, second, "mesh_worker_takeovers_total") == 1
    done = {"end": "done", "code": ""}
    wait_until(
        "its end is counted",
        lambda: of_worker(measured, second, "mesh_worker_requests_ended_total", **done) == 1,
    )
    assert of_worker(measured, second, "mesh_worker_tokens_total", kind="completion") >= 60
    assert of_worker(measured, second, "mesh_worker_slots") > 1
    assert of_worker(measured, second, "mesh_worker_slots_busy") == 0
    assert of_worker(measured, second, "mesh_worker_prefill_seconds_count") == 1
    gaps = of_worker(measured, second, "mesh_worker_token_gap_seconds_count")
    assert 1 < gaps < 60, "one from each of its own tokens to the next"
    assert 0 < of_worker(measured, second, "mesh_worker_token_gap_seconds_sum") < 60

    missing = httpx.get(f"{measured.url}/v1/responses/resp_nobodys", timeout=60).status_code
    assert missing in (401, 404)
    wait_until(
        "the log is applied", lambda: value(measured, "store", "mesh_store_events_total") > 3
    )
    wait_until("all of it", lambda: value(measured, "store", "mesh_store_lag") == 0)
    found = scraped(measured, "store")
    assert found["mesh_store_rows", (("table", "runs"),)] == 1
    assert found["mesh_store_applied", ()] > 0 == found["mesh_store_failures_total", ()]
    assert found["mesh_database_free_bytes", ()] > 0 < found["mesh_database_max_bytes", ()]
    healthy = (("code", ""), ("query", "get_health"))
    assert found["mesh_store_queries_total", healthy] >= 1
    assert found["mesh_store_query_seconds_count", (("query", "get_health"),)] >= 1
    assert found["process_resident_memory_bytes", ()] > 0


def labelled(url: str) -> dict[str, set[str]]:
    """The mesh's own metrics there, and their labels as far as something was counted."""
    return {
        family.name + "_total" * (family.type == "counter"): {
            label for sample in family.samples for label in sample.labels if label != "le"
        }
        for family in text_string_to_metric_families(httpx.get(url, timeout=30).text)
        if family.name.startswith("mesh_") and not family.name.endswith("_created")
    }


def test_the_operations_page_has_every_metric_that_there_is_and_no_other(measured: Fleet) -> None:
    assert ask(measured, "one two three").status_code == 200
    (store,), (worker,) = (AT.findall(measured.log(name)) for name in ("store", "w1"))
    page, told = documented(), set[str]()
    for url in (store, worker, f"{measured.url}/metrics"):
        for name, labels in labelled(url).items():
            assert name in page, f"{name} of {url}"
            assert labels <= page[name], f"{name} of {url}"
            told.add(name)
    assert set(page) == told


def test_nothing_listens_where_nobody_asked_for_it(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    with fleet(tmp_path_factory.mktemp("plain")) as mesh:
        mesh.gateway()
        mesh.store()
        mesh.worker("w1")
        assert not AT.search(mesh.log("store") + mesh.log("w1"))


def test_a_port_that_cannot_be_had_is_said(tmp_path_factory: pytest.TempPathFactory) -> None:
    with fleet(tmp_path_factory.mktemp("taken")) as mesh, socket.socket() as last:
        try:
            last.bind(("127.0.0.1", 65_535))
            last.listen()
        except OSError:
            pytest.skip("somebody else has the last port of all")
        mesh.gateway()
        told = mesh.run("store", metrics_port="65535")
        assert told.returncode == 78 and "Set MESH_METRICS_PORT" in told.stderr
        assert "Traceback" not in told.stderr
