"""Workers as operators see them, and models as clients choose them (A20, A25)."""

import asyncio
from collections.abc import Callable

from tests.chatting import ok, refusal
from tests.integration.test_accounts import admin
from tests.integration.test_generate import events
from tests.whole_mesh import ECHO, SINGLE, Mesh

LOREM = "_lorem"


async def test_a_session_has_hardware_and_load(mesh: Mesh) -> None:
    async with admin(mesh) as http:
        sessions = ok(await http.get("/workers/sessions"))
        (session,) = [each for each in sessions if each["worker_id"] == SINGLE]
        config = session["worker_info"]["config"]
        assert config["max_parallel_requests"] == 1
        assert config["model_config"]["model_id"] == SINGLE
        assert config["model_config"]["max_total_length"] == 8192
        hardware, metrics = session["worker_info"]["hardware_info"], session["metrics"]
        assert hardware["cpu_count_logical"] >= 1 and hardware["mem_total"] > 1 << 28
        assert len(hardware["gpus"]) == len(metrics["gpus"])
        assert 0 <= metrics["cpu_usage"] <= 100 and 0 < metrics["mem_usage"] <= 100
        assert metrics["process_memory"] > 1 << 20
        assert session["requests_in_flight"] >= 0 and session["id"]
        told = ok(await http.get("/workers/events", params={"worker": SINGLE}))["events"]
        (started,) = [each for each in told if each["kind"] == "started"]
        assert f"{hardware['cpu_count_logical']} cores" in started["detail"]


async def test_sessions_are_for_operators(mesh: Mesh) -> None:
    async with await mesh.client("no operator") as http:
        refusal(await http.get("/workers/sessions"), 403, "forbidden")
    async with mesh.anonymous() as http:
        refusal(await http.get("/workers/sessions"), 403, "forbidden")


async def test_each_model_has_its_own_configuration(mesh: Mesh) -> None:
    async with mesh.anonymous() as http:
        configs = {each["name"]: each for each in ok(await http.get("/configs/model_configs"))}
    echo = configs[ECHO]
    assert echo["model_config"] == {
        "model_id": ECHO,
        "max_input_length": 8191,
        "max_total_length": 8192,
        "quantized": None,
    }
    assert echo["workers"] == 1 and echo["compat_hash"] == "echo-1"
    assert "echo" in echo["description"] and len(echo["parameter_configs"]) == 8


async def test_the_model_of_load_tests_says_filler_text_at_its_own_pace(
    new_mesh: Callable[..., Mesh],
) -> None:
    mesh = new_mesh()
    mesh.start("gateway", LOREM)
    async with mesh.anonymous() as http:
        body = {"prompt": "anything", "model": LOREM, "params": {"max_tokens": 4}}
        clock = asyncio.get_running_loop().time
        began = clock()
        *words, done = events(await http.post("/generate", json=body))
        assert clock() - began >= 0.55, "0.2 s a word"
    assert "".join(word["token"] for word in words) == "Lorem ipsum dolor sit "
    assert done["total_tokens"] == 4
