"""What is thought and what is said is told apart in one way, whoever serves the model by then."""

import asyncio
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from secrets import token_hex
from typing import Any

import httpx
import msgspec

from mesh.settings import WorkerSettings
from mesh.worker import app as worker
from tests.calling import WEATHER, settled
from tests.fleet import wait_until
from tests.whole_mesh import ECHO, Mesh

SAID: Any = [{"role": "user", "content": "<think>One.</think>\n\nTwo."}]
LATE = "late"
GUEST = {"Authorization": "Bearer guest"}


class LateMesh(Mesh):
    """One whose worker takes its time before the first token. delay: seconds."""

    delay = 600.0

    def _runner(self, name: str) -> Callable[[asyncio.Event], Coroutine[Any, Any, None]]:
        if name != LATE:
            return super()._runner(name)
        settings = WorkerSettings(
            engine="echo",
            model=LATE,
            echo_delay=self.delay,
            grace=0.0,
            data_dir=str(self.broker.data_dir),
            nats=self.broker.url,
        )
        password = self.broker.credentials(name).password
        return lambda stop: worker.run(settings, name, password, stop)


def served(mesh: Mesh, model: str) -> bool:
    listed = httpx.get(f"{mesh.url}/v1/models", headers=GUEST).json()
    return any(each["id"] == model and each["available"] for each in listed["data"])


def leaves(mesh: Mesh, model: str) -> None:
    """Nobody serves a model any more."""
    mesh.stop(model)
    wait_until("it has left", lambda: not served(mesh, model))


def leaves_at_work(mesh: Mesh, model: str) -> None:
    """It leaves with an answer that it has begun."""

    login = httpx.get(f"{mesh.url}/auth/callback/debug", params={"code": "ada"}).json()
    headers = {"Authorization": f"Bearer {login['access_token']['access_token']}"}

    def at_work() -> bool:
        present = httpx.get(f"{mesh.url}/workers", headers=headers).json()["workers"]
        return any(each["running"] for each in present)

    wait_until("it is at work", at_work)
    leaves(mesh, model)


def ask(mesh: Mesh, **asked: Any) -> httpx.Response:
    url = f"{mesh.url}/v1/chat/completions"
    headers = GUEST | {"Idempotency-Key": asked.pop("key")}
    body = {"model": ECHO, "messages": SAID} | asked
    return httpx.post(url, json=body, headers=headers, timeout=60.0).raise_for_status()


def told(events: str) -> tuple[str, str]:
    """The thoughts of a stream of chunks, and its content."""
    thought = content = ""
    for line in events.splitlines():
        if line.startswith("data: {"):
            for choice in msgspec.json.decode(line.removeprefix("data: "))["choices"]:
                thought += choice["delta"].get("reasoning_content") or ""
                content += choice["delta"].get("content") or ""
    return thought, content


def test_an_answer_is_the_same_when_its_worker_has_left(new_mesh: Callable[..., Mesh]) -> None:
    mesh, key = new_mesh(), token_hex(8)
    mesh.start("store", "gateway", ECHO)
    whole = ask(mesh, key=key)
    message = whole.json()["choices"][0]["message"]
    assert (message["reasoning_content"], message["content"]) == ("One.", "Two.")
    stream = ask(mesh, key=key, stream=True)
    assert told(stream.text) == ("One.", "Two.")
    leaves(mesh, ECHO)
    assert ask(mesh, key=key).json() == whole.json()
    assert ask(mesh, key=key, stream=True).text == stream.text


def test_a_stream_that_begins_while_its_worker_is_away_tells_thoughts_apart(broker: Any) -> None:
    mesh = LateMesh(broker, hold_headers=3.0)
    try:
        mesh.start("store", "gateway", LATE)
        body = {"model": LATE, "messages": SAID, "stream": True}
        with ThreadPoolExecutor() as beside, httpx.Client(headers=GUEST, timeout=120.0) as http:
            left = beside.submit(leaves_at_work, mesh, LATE)
            with http.stream("POST", f"{mesh.url}/v1/chat/completions", json=body) as answer:
                left.result()
                mesh.delay = 0.0
                mesh.start(LATE)
                answer.read()
        assert told(answer.text) == ("One.", "Two.")
    finally:
        mesh.close()


async def test_what_a_run_tells_is_the_same_when_its_worker_has_left(
    new_mesh: Callable[..., Mesh],
) -> None:
    mesh = new_mesh()
    await asyncio.to_thread(mesh.start, "store", "gateway", ECHO)
    async with await mesh.client("runs-thoughts") as http:
        body = {"model": ECHO, "messages": SAID, "tools": [WEATHER]}
        begun = (await http.post("/v1/runs", json=body)).raise_for_status().json()
        run = await settled(http, begun["id"])
        assert run["content"] == "Two."

        async def events() -> list[str]:
            told = (await http.get(f"/v1/runs/{begun['id']}/events")).raise_for_status().text
            return [line for line in told.splitlines() if "content" in line]

        before = await events()
        assert any("One." in line and "reasoning" in line for line in before)
        await asyncio.to_thread(leaves, mesh, ECHO)
        await asyncio.to_thread(mesh.stop, "gateway")
        await asyncio.to_thread(mesh.start, "gateway")
        assert await events() == before
