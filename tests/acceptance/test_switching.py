"""A worker that is given another model: no request is lost, whatever happens on the way."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx

from mesh.worker.bundled import PATH as DEMO
from tests.acceptance.conftest import Process, Processes, until
from tests.acceptance.reading import LASTING, SLOW, Reading, said
from tests.truth import truth_of

A, B = ("--model", "a"), ("--model", "b")


def mesh(processes: Processes, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "mesh", *words],
        env=os.environ | processes.env,
        capture_output=True,
        text=True,
        timeout=60,
    )


def served(processes: Processes) -> dict[str, dict[str, Any]]:
    """Each worker's row of `mesh models`."""
    found = mesh(processes, "models", "--json")
    assert found.returncode == 0, found.stderr
    return {row["worker"]: row for row in json.loads(found.stdout)["served"]}


def state(processes: Processes, worker: str) -> str:
    return str(served(processes)[worker]["state"])


def reading(processes: Processes, tokens: int, model: str) -> Reading:
    """A reader that has begun."""
    found = Reading(processes.url, tokens, model=model)
    found.start()
    return found


def left_to_another(processes: Processes) -> tuple[Reading, Process]:
    """A reader and the slow worker that answers it; a quick one, `w2`, is to go on with it."""
    leaving = processes.worker("w1", *A, *SLOW)
    processes.await_workers(1)
    asked = reading(processes, LASTING, "a")
    asked.await_tokens(20)
    processes.worker("w2", *A)
    processes.await_workers(2)
    return asked, leaving


def test_several_models_are_served_in_one_mesh(processes: Processes) -> None:
    processes.gateway()
    processes.worker("w1", *A)
    processes.worker("w2", *B)
    processes.await_workers(2)
    for model in ("a", "b"):
        asked = reading(processes, 5, model)
        asked.finish()
        assert asked.texts == said(5)
    claims = sorted(truth_of(processes.broker).claims.values())
    assert claims == [["w1"], ["w2"]]
    assert httpx.get(f"{processes.url}/v1/models", timeout=60).json()["data"][1]["id"] == "b"


def test_a_switch_hands_answers_over_and_serves_the_other_model(processes: Processes) -> None:
    processes.gateway("--ack-wait", "30")
    asked, leaving = left_to_another(processes)
    told = mesh(processes, "switch", leaving.name, "b", "--grace", "0.3", "--json")
    assert told.returncode == 0, told.stderr
    outcome = json.loads(told.stdout)
    assert (outcome["models"], outcome["state"]) == (["b"], "serving")
    asked.finish()
    assert asked.texts == said(LASTING)
    new = reading(processes, 5, "b")
    new.finish()
    assert new.texts == said(5)
    truth = truth_of(processes.broker)
    truth.check()
    assert sorted(truth.claims.values()) == sorted([["w1", "w2"], ["w1"]])


def test_the_only_worker_of_a_model_finishes_before_it_switches(processes: Processes) -> None:
    processes.gateway("--worker-wait", "0.5")
    processes.worker("w1", *A, *SLOW)
    processes.await_workers(1)
    asked = reading(processes, LASTING, "a")
    asked.await_tokens(10)
    switching = subprocess.Popen(
        [sys.executable, "-m", "mesh", "switch", "w1", "b"], env=os.environ | processes.env
    )
    until("it is loading", lambda: state(processes, "w1") == "loading")
    asked.finish()
    assert asked.texts == said(LASTING)
    assert switching.wait(60) == 0
    nobody = reading(processes, 5, "a")
    nobody.finish()
    assert "No worker serves 'a'" in nobody.last["error"]
    assert list(truth_of(processes.broker).claims.values()) == [["w1"]]


def test_who_asks_while_a_model_comes_back_is_answered(processes: Processes) -> None:
    processes.gateway("--worker-wait", "60")
    processes.worker("w1", *A)
    processes.await_workers(1)
    assert mesh(processes, "switch", "w1", "b").returncode == 0
    asked = reading(processes, 5, "a")
    assert mesh(processes, "switch", "w1").returncode == 0
    asked.finish()
    assert asked.texts == said(5)


def test_an_unloaded_worker_stays_and_serves_again_when_told(processes: Processes) -> None:
    processes.gateway("--worker-wait", "0.5")
    processes.worker("w1", *A)
    processes.await_workers(1)
    told = mesh(processes, "unload", "w1")
    assert told.stdout.startswith("w1 serves nothing after")
    row = served(processes)["w1"]
    assert (row["state"], row["model"]) == ("unloaded", "")
    nobody = reading(processes, 5, "a")
    nobody.finish()
    assert "No worker serves 'a'" in nobody.last["error"]
    assert mesh(processes, "switch", "w1").returncode == 0
    asked = reading(processes, 5, "a")
    asked.finish()
    assert asked.texts == said(5)


def test_a_model_that_is_not_there_is_refused_and_nothing_changes(processes: Processes) -> None:
    processes.gateway()
    processes.worker("w1", *A)
    processes.await_workers(1)
    told = mesh(processes, "switch", "w1", "/nowhere/x.gguf", "--engine", "llamacpp")
    assert told.returncode == 78
    assert told.stderr.startswith("mesh: w1: There is no model at /nowhere/x.gguf")
    assert served(processes)["w1"]["model"] == "a"


def test_a_model_that_will_not_load_leaves_the_old_one_served(
    processes: Processes, tmp_path: Path
) -> None:
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(b"GGUF" + bytes(100))
    processes.gateway()
    processes.worker("w1", *A)
    processes.await_workers(1)
    told = mesh(processes, "switch", "w1", str(broken), "--engine", "llamacpp")
    assert told.returncode == 78
    assert "is not a GGUF file" in told.stderr and told.stderr.endswith("w1 serves a now.\n")
    row = served(processes)["w1"]
    assert (row["state"], row["model"]) == ("serving", "a")
    assert "is not a GGUF file" in row["trouble"]
    asked = reading(processes, 5, "a")
    asked.finish()
    assert asked.texts == said(5)


def test_a_worker_that_is_switching_takes_no_other_order(
    processes: Processes, tmp_path: Path
) -> None:
    """The model is a pipe that nobody writes into: loading it takes for ever."""
    endless = tmp_path / "endless.gguf"
    os.mkfifo(endless)
    processes.gateway()
    processes.worker("w1", *A)
    processes.await_workers(1)
    assert mesh(processes, "switch", "w1", str(endless), "--engine", "llamacpp", "--no-wait")
    told = mesh(processes, "switch", "w1", "b")
    assert told.returncode == 78
    assert "is loading" in told.stderr and str(endless) in told.stderr


def test_a_worker_killed_while_it_loads_has_lost_nothing(
    processes: Processes, tmp_path: Path
) -> None:
    endless = tmp_path / "endless.gguf"
    os.mkfifo(endless)
    processes.gateway("--ack-wait", "30")
    asked, leaving = left_to_another(processes)
    order = ("switch", leaving.name, str(endless), "--engine", "llamacpp", "--grace", "0")
    assert mesh(processes, *order, "--no-wait").returncode == 0
    until("it is loading", lambda: state(processes, leaving.name) == "loading")
    leaving.kill()
    asked.finish()
    assert asked.texts == said(LASTING)
    leaving.start()
    until("both are there", lambda: set(served(processes)) == {"w1", "w2"})
    until("it is as it was started", lambda: served(processes)[leaving.name]["model"] == "a")
    truth = truth_of(processes.broker)
    truth.check()
    assert len(truth.runs) == 1


def test_a_worker_killed_while_it_finishes_before_a_switch_has_lost_nothing(
    processes: Processes,
) -> None:
    processes.gateway("--ack-wait", "30")
    asked, leaving = left_to_another(processes)
    assert mesh(processes, "switch", leaving.name, "b", "--no-wait").returncode == 0
    until("it serves nothing now", lambda: served(processes)[leaving.name]["model"] == "")
    leaving.kill()
    asked.finish()
    assert asked.texts == said(LASTING)
    truth = truth_of(processes.broker)
    truth.check()
    assert list(truth.claims.values()) == [["w1", "w2"]]


def test_a_model_that_nobody_asks_for_rests_and_comes_back(processes: Processes) -> None:
    processes.gateway()
    demo = ("worker", "--worker-name", "w1", "--engine", "llamacpp", "--idle-unload", "0.5")
    worker = processes.process("w1", *demo)
    processes.await_workers(1)
    until("it rests", lambda: state(processes, "w1") == "resting")
    asked = Reading(processes.url, 8, prompt="Hello!")
    asked.start()
    asked.finish()
    assert asked.last.get("done"), asked.last
    until("it rests again", lambda: state(processes, "w1") == "resting")
    assert worker.log.read_text().count("again: it is asked for") == 1


def test_a_worker_goes_from_one_engine_to_another_and_back(processes: Processes) -> None:
    processes.gateway()
    processes.worker("w1", *A)
    processes.await_workers(1)
    for _ in range(2):
        told = mesh(processes, "switch", "w1", "mesh-demo", "--engine", "llamacpp")
        assert told.returncode == 0, told.stderr
        row = served(processes)["w1"]
        assert (row["model"], row["engine"]) == ("mesh-demo", "llamacpp")
        assert row["size"] == DEMO.stat().st_size and row["memory"] > 0
        asked = Reading(processes.url, 8, prompt="Hello!", model="mesh-demo")
        asked.start()
        asked.finish()
        assert asked.last.get("done"), asked.last
        assert mesh(processes, "switch", "w1").returncode == 0


def test_a_model_that_cannot_come_back_is_tried_again(processes: Processes, tmp_path: Path) -> None:
    model, away = tmp_path / "tiny.gguf", tmp_path / "away"
    model.write_bytes(DEMO.read_bytes())
    processes.gateway()
    flags = ("--worker-name", "w1", "--model", str(model), "--idle-unload", "0.5")
    processes.process("w1", "worker", *flags)
    processes.await_workers(1)
    until("it rests", lambda: state(processes, "w1") == "resting")
    model.rename(away)
    asked = Reading(processes.url, 8, prompt="Hello!", model="tiny")
    asked.start()
    until("it says so", lambda: "no model at" in served(processes)["w1"]["trouble"])
    away.rename(model)
    asked.finish()
    assert asked.last.get("done"), asked.last
    assert served(processes)["w1"]["trouble"] == ""


def test_models_on_disk_are_listed_without_a_mesh(tmp_path: Path) -> None:
    (tmp_path / "tiny.gguf").symlink_to(DEMO)
    bare = {name: value for name, value in os.environ.items() if not name.startswith("MESH_")}
    told = subprocess.run(
        [sys.executable, "-m", "mesh", "models", "--json", "--models-dir", str(tmp_path)],
        env=bare | {"MESH_DATA_DIR": str(tmp_path / "none"), "HF_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert told.returncode == 0, told.stderr
    found = json.loads(told.stdout)
    assert [each["name"] for each in found["on_disk"]] == ["mesh-demo", "tiny"]
    assert found["served"] == [] and "There is no mesh in" in found["trouble"]


def test_models_can_be_watched_as_they_change(processes: Processes) -> None:
    processes.gateway()
    processes.worker("w1", *A)
    processes.await_workers(1)
    watching = subprocess.Popen(
        [sys.executable, "-m", "mesh", "models", "--watch", "--json"],
        env=os.environ | processes.env,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert watching.stdout is not None
        assert json.loads(watching.stdout.readline())["served"][0]["model"] == "a"
        assert mesh(processes, "switch", "w1", "b").returncode == 0
        seen = (json.loads(line) for line in watching.stdout)
        later = next(each for each in seen if each["served"][0]["model"] == "b")
        assert later["known"] == ["a"]
    finally:
        watching.kill()
        watching.communicate()
