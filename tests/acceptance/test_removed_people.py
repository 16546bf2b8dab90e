"""Who is removed leaves nothing that goes on, whoever removes them, on a mesh of real processes."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from mesh.bus.connection import Bus
from mesh.bus.dlq import letters
from mesh.bus.jetstream import JetStream
from mesh.protocol import subjects
from mesh.protocol.codec import encode
from mesh.protocol.events import Cancelled
from mesh.protocol.letters import DeadLetter
from mesh.protocol.run import Run
from tests.acceptance.test_accounts_hold import add, is_up, log_in, mesh, with_key
from tests.calling import CALL, WEATHER
from tests.conftest import Broker, free_port
from tests.fleet import Fleet, fleet, wait_until
from tests.truth import truth_of
from tests.unit.store.story import queued

WORDS = "word " * 2000
"""At 20 tokens a second an answer of more than a minute."""


@pytest.fixture
def network(tmp_path: Path) -> Iterator[Fleet]:
    """Broker, gateway, store and a slow worker, on a network."""
    with fleet(tmp_path) as found:
        found.gateway("--allowed-hosts", "127.0.0.1")
        found.store()
        found.worker("w1", "--echo-rate", "20")
        yield found


class Owner:
    """Somebody with a key, an answer that is being written, a run that waits for what comes of a
    call, and a dead letter."""

    def __init__(self, network: Fleet, name: str) -> None:
        add(network, name)
        self.key = mesh(network, "key", "create", name).strip()
        self.pair = log_in(network, name).json()
        headers = {"Authorization": f"Bearer {self.pair['access_token']['access_token']}"}
        with httpx.Client(base_url=network.url, timeout=60, headers=headers) as http:
            self.id: str = http.get("/auth/check").raise_for_status().json()
            said = [{"role": "user", "content": CALL}]
            self.run: str = post(http, "/v1/runs", model="echo", messages=said, tools=[WEATHER])
            http.get(f"/v1/runs/{self.run}", params={"wait": 30}).raise_for_status()
            chat = post(http, "/chats")
            asked = {"content": WORDS, "parent_id": None, "model_config_name": "echo"}
            begun = http.post(f"/chats/{chat}/messages", json=asked).raise_for_status().json()
        self.answer: str = begun["assistant_message"]["id"]
        asyncio.run(keep_letter(network.broker, self.id))


def post(http: httpx.Client, path: str, **body: Any) -> str:
    """The id of what is made."""
    made: str = http.post(path, json=body).raise_for_status().json()["id"]
    return made


async def connected(broker: Broker) -> JetStream:
    return JetStream(
        await Bus.connect([broker.url], "gateway", broker.credentials("gateway").password)
    )


async def keep_letter(broker: Broker, tenant: str) -> None:
    js = await connected(broker)
    rid = tenant[:16].rjust(32, "0")
    letter = DeadLetter(request=queued(rid, tenant=tenant).request, at=0.0, why="It takes them.")
    await js.append(subjects.dead_letter("echo", rid), encode(letter))
    await js.bus.close()


async def owners_of_letters(broker: Broker) -> list[str]:
    js = await connected(broker)
    found = [letter.request.tenant for _, letter in await letters(js)]
    await js.bus.close()
    return found


def answer_of(network: Fleet, owner: Owner) -> Run:
    return truth_of(network.broker).runs[owner.answer]


def is_over(network: Fleet, run: str) -> bool:
    """Whether the log has the end of a run that calls tools."""

    async def events() -> list[str]:
        js = await connected(network.broker)
        last = await js.end(subjects.RUN_STREAM)
        address = subjects.log_of(subjects.TOOLS)
        found = [
            json.loads(stored.data)["type"]
            async for batch in js.read(subjects.RUN_STREAM, address, 1, last)
            for stored in batch
            if subjects.parse_run(stored.subject).rid == run.removeprefix("run_")
        ]
        await js.bus.close()
        return found

    return asyncio.run(events())[-1] == "run_over"


def check_all_is_over(network: Fleet, gone: Owner, stays: Owner) -> None:
    """Nothing of the one goes on, and all of the other does."""
    wait_until("the answer is stopped", lambda: answer_of(network, gone).end is not None, 20)
    assert isinstance(answer_of(network, gone).end, Cancelled)
    wait_until("the run is stopped", lambda: is_over(network, gone.run), 20)
    left = asyncio.run(owners_of_letters(network.broker))
    assert left == [stays.id]
    assert answer_of(network, stays).end is None and not is_over(network, stays.run)


@pytest.mark.parametrize("by", ["command", "route", "route by name"])
def test_who_is_removed_leaves_nothing_that_goes_on(network: Fleet, by: str) -> None:
    gone, stays = Owner(network, "ada"), Owner(network, "bob")
    port = free_port()
    words = ("gateway", "--gateway-name", "gw2", "--port", str(port))
    second = network.spawn(*words, "--allowed-hosts", "127.0.0.1")
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as other:
            wait_until("the second gateway answers", lambda: is_up(other))
            if by == "command":
                mesh(network, "user", "remove", "ada", "--yes")
            else:
                path = network.broker.data_dir / "admin-password"
                pair = log_in(network, "admin", path.read_text().strip()).json()
                boss = {"Authorization": f"Bearer {pair['access_token']['access_token']}"}
                named = gone.id if by == "route" else "ada"
                url = f"{network.url}/admin/users/{named}"
                httpx.delete(url, headers=boss, timeout=60).raise_for_status()
            check_all_is_over(network, gone, stays)
            for gateway in (network.url, str(other.base_url)):
                for word in (gone.key, gone.pair["access_token"]["access_token"]):
                    headers = {"Authorization": f"Bearer {word}"}
                    assert httpx.get(f"{gateway}/v1/models", headers=headers).status_code == 401
            refresh = {"Refresh": gone.pair["refresh_token"]["access_token"]}
            assert other.get("/auth/refresh", headers=refresh).status_code == 401
            assert with_key(network, stays.key) == 200
    finally:
        second.terminate()
        second.communicate(timeout=30)


def test_who_is_removed_while_no_gateway_is_there_is_seen_off_by_the_next(network: Fleet) -> None:
    gone, stays = Owner(network, "ada"), Owner(network, "bob")
    network.kill("gateway")
    mesh(network, "user", "remove", "ada", "--yes")
    assert asyncio.run(owners_of_letters(network.broker)) == [stays.id]
    network.gateway("--allowed-hosts", "127.0.0.1")
    check_all_is_over(network, gone, stays)
