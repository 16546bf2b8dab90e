"""One request, many services: its `x-request-id` is in the lines that each of them logs of it."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.fleet import Fleet, fleet, wait_until
from tests.whole_mesh import Mesh

SERVICES = ("gateway", "store", "w1")


@pytest.fixture(scope="module")
def talkative(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """Real processes whose every line is an object; the engine fails after three tokens."""
    with fleet(tmp_path_factory.mktemp("talkative")) as found:
        found.environment |= {"MESH_LOG_FORMAT": "json", "MESH_LOG_LEVEL": "debug"}
        found.gateway()
        found.store()
        found.worker("w1", "--echo-fail-after", "3")
        yield found


def lines(mesh: Fleet, service: str, request_id: str) -> list[dict[str, Any]]:
    """What a service has logged of a request."""
    whole = [line for line in mesh.log(service).splitlines(keepends=True) if line.endswith("\n")]
    found = [json.loads(line) for line in whole if line.startswith("{")]
    return [line for line in found if line.get("request_id") == request_id]


def await_lines(mesh: Fleet, service: str, request_id: str) -> None:
    wait_until(f"{service} speaks of it", lambda: lines(mesh, service, request_id) != [])


def ask(mesh: Fleet, words: str, request_id: str, stream: bool = False) -> httpx.Response:
    body = {"messages": [{"role": "user", "content": words}], "stream": stream}
    headers = {"x-request-id": request_id}
    return httpx.post(f"{mesh.url}/v1/chat/completions", json=body, headers=headers, timeout=30)


def test_an_answer_has_its_id_in_the_lines_of_every_service(talkative: Fleet) -> None:
    answer = ask(talkative, "one umbrella", "from-our-proxy.1")
    assert answer.status_code == 200 and answer.headers["x-request-id"] == "from-our-proxy.1"
    other = ask(talkative, "three", "another-request").headers["x-request-id"]
    for service in SERVICES:
        await_lines(talkative, service, "from-our-proxy.1")
        await_lines(talkative, service, other)
        said = [line["message"] for line in lines(talkative, service, "from-our-proxy.1")]
        assert not any(other in message for message in said)
    assert "umbrella" not in "".join(map(talkative.log, SERVICES)), "nobody's words are logged"


def test_a_failure_is_said_by_every_service_without_asking_for_more(talkative: Fleet) -> None:
    answer = ask(talkative, "/repeat one two three four five", "it-fails", stream=True)
    assert answer.status_code == 200 and "engine_failed" in answer.text

    def quiet() -> list[str]:
        """The services that have said nothing of it but what few ask for."""
        heard = {name: lines(talkative, name, "it-fails") for name in SERVICES}
        return [n for n in SERVICES if all(line["level"] == "debug" for line in heard[n])]

    wait_until("all speak of it", lambda: quiet() == [])


def test_a_failure_that_is_a_status_is_logged_with_its_reason(talkative: Fleet) -> None:
    answer = ask(talkative, "/repeat one two three four five", "it-fails-whole")
    assert answer.status_code == 500

    def reasons() -> list[str]:
        found = lines(talkative, "gateway", "it-fails-whole")
        return [line["message"] for line in found if line["level"] == "error"]

    wait_until("the gateway says why", lambda: reasons() != [])
    detail = answer.json()["error"]["message"]
    assert reasons() == [f"it-fails-whole: 500 engine_failed: {detail}"]


def test_what_is_asked_of_the_store_alone_has_the_id_there(talkative: Fleet) -> None:
    headers = {"x-request-id": "looks-for-nothing"}
    login = httpx.get(f"{talkative.url}/auth/callback/debug", params={"code": "ada"}, timeout=60)
    headers["Authorization"] = f"Bearer {login.json()['access_token']['access_token']}"
    missing = httpx.get(f"{talkative.url}/chats/nobodys", headers=headers, timeout=60)
    assert missing.status_code == 404

    def of_store() -> list[str]:
        return [line["message"] for line in lines(talkative, "store", "looks-for-nothing")]

    wait_until("the store speaks of it", lambda: of_store() == ["get_chat: not_found"])
    of_gateway = [line["message"] for line in lines(talkative, "gateway", "looks-for-nothing")]
    assert any(message.startswith("GET /chats/{chat_id}: 404") for message in of_gateway)


@pytest.mark.parametrize("given", ["", "two words", "x" * 65, "nope\u00e9", "a;b"])
def test_an_id_that_is_none_is_replaced(mesh: Mesh, given: str) -> None:
    headers = {b"x-request-id": given.encode("latin-1")}
    answer = httpx.get(f"{mesh.url}/v1/health", headers=headers, timeout=60)
    made = answer.headers["x-request-id"]
    assert made != given and len(made) == 16 and int(made, 16) >= 0
