"""`mesh ask` against a real mesh: what stdout gets, how it exits, and what the log says then."""

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest

from mesh.protocol.events import Cancelled, Done
from mesh.protocol.run import Run
from mesh_client import Client, MemoryStore
from tests.acceptance.conftest import Processes
from tests.conftest import Broker, free_port
from tests.pipes import read_until
from tests.truth import truth_of

ENDLESS = "/repeat one two three"
Ask = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def mesh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Processes]:
    """Workers of a quick, a slow and a failing model; that of a fourth one has gone."""
    folder = tmp_path_factory.mktemp("ask")
    broker = Broker(folder / "mesh data")
    broker.data_dir.mkdir()
    broker.start()
    mesh = Processes(broker, folder)
    mesh.env |= {
        "HOME": str(folder),
        "XDG_CONFIG_HOME": str(folder),
        "MESH_URL": mesh.url,
        "MESH_USER": "ada",
    }
    try:
        mesh.gateway("--worker-wait", "0.2", "--default-model", "quick")
        mesh.store()
        gone = mesh.worker("w4", "--model", "gone")
        mesh.worker("w1", "--model", "quick")
        mesh.worker("w2", "--model", "slow", "--echo-rate", "20")
        mesh.worker("w3", "--model", "failing", "--echo-fail-after", "3")
        mesh.await_workers(4)
        assert gone.stop() == 0
        mesh.await_workers(3)
        mesh.await_store()
        yield mesh
    finally:
        mesh.end()
        broker.kill()


@pytest.fixture
def ask(mesh: Processes) -> Ask:
    def run(*words: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "mesh", "ask", *words],
            env=mesh.env,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=60,
        )

    return run


@pytest.fixture
def begin(mesh: Processes) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Starts a `mesh ask` that goes on; whatever a test leaves of it is ended."""
    begun: list[subprocess.Popen[bytes]] = []

    def start(*words: str) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            [sys.executable, "-m", "mesh", "ask", "--model", "slow", *words],
            env=mesh.env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        begun.append(process)
        return process

    yield start
    for process in begun:
        process.kill()
        process.communicate()


def logged(mesh: Processes, message_id: str) -> Run:
    """One answer as the log has it, which has to be whole."""
    truth = truth_of(mesh.broker)
    truth.check()
    return truth.runs[message_id]


def newest(mesh: Processes) -> str:
    """The id of the answer that was asked for last."""
    with Client(mesh.url, username="ada", store=MemoryStore()) as client:
        return client.chat(next(client.chats()).id).messages[-1].id


def test_stdout_is_the_answer_and_nothing_else(ask: Ask) -> None:
    result = ask("Well", "met by", "moonlight.")
    assert (result.stdout, result.stderr) == ("Well met by moonlight.\n", "")
    assert result.returncode == 0


def test_what_is_piped_in_stands_before_the_words(ask: Ask) -> None:
    result = ask("Summarise this.", stdin="Zwei Wörter\n漢字\n")
    assert result.stdout == "Zwei Wörter\n漢字\n\nSummarise this.\n"
    assert result.returncode == 0


def test_json_is_one_object_that_the_log_agrees_with(ask: Ask, mesh: Processes) -> None:
    result = ask("--json", "--max-tokens", "7", ENDLESS)
    record = json.loads(result.stdout)
    assert record["text"] == "one two three one two three one "
    assert (record["state"], record["tokens"], record["worker"]) == ("complete", 7, "w1")
    run = logged(mesh, record["message_id"])
    assert isinstance(run.end, Done) and run.text == record["text"]


def test_jsonl_is_a_line_per_event(ask: Ask) -> None:
    lines = [json.loads(line) for line in ask("--jsonl", "one two three").stdout.splitlines()]
    assert [lines[0]["event_type"], lines[-1]["event_type"]] == ["begun", "finished"]
    tokens = [line for line in lines if line["event_type"] == "token"]
    assert [token["index"] for token in tokens] == list(range(len(tokens)))
    assert "".join(token["text"] for token in tokens) == lines[-1]["text"] == "one two three"


def test_a_failed_generation_is_status_1_and_keeps_what_there_was(ask: Ask) -> None:
    result = ask("--model", "failing", ENDLESS)
    assert result.returncode == 1
    assert set(result.stdout.split()) == {"one", "two", "three"}
    assert result.stderr.startswith("mesh: ") and "fail" in result.stderr


def test_an_unknown_model_is_status_2_and_leaves_no_empty_chat(ask: Ask, mesh: Processes) -> None:
    ask("remember me")
    result = ask("--model", "nosuch", "hello")
    assert "There is no model 'nosuch'; there are: " in result.stderr
    assert "quick" in result.stderr and "/v1/" not in result.stderr
    assert (result.returncode, result.stdout) == (2, "")
    assert "'nosuch'" in result.stderr
    with Client(mesh.url, username="ada", store=MemoryStore()) as client:
        assert next(client.chats()).title == "remember me"


@pytest.mark.parametrize("words", [[], ["--max-tokens", "0", "hi"], ["--url", "nowhere", "hi"]])
def test_wrong_usage_is_status_2(ask: Ask, words: list[str]) -> None:
    result = ask(*words)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr


def test_no_gateway_is_status_3_and_says_how_to_start_one(ask: Ask) -> None:
    result = ask("--url", f"http://127.0.0.1:{free_port()}", "hello")
    assert (result.returncode, result.stdout) == (3, "")
    assert "start one with `mesh up`" in result.stderr


def test_a_model_without_a_worker_is_status_4(ask: Ask) -> None:
    result = ask("--json", "--model", "gone", "hello")
    assert result.returncode == 4
    assert "'gone'" in result.stderr
    problem = json.loads(result.stdout)["error"]
    assert problem["code"] == "no_worker" and problem["retry_after"] > 0


def test_a_time_out_is_status_5_and_cancels(ask: Ask, mesh: Processes) -> None:
    result = ask("--model", "slow", "--timeout", "1.5", ENDLESS)
    assert result.returncode == 5
    assert "stopped after" in result.stderr and "after 1.5 s" in result.stderr
    assert isinstance(logged(mesh, newest(mesh)).end, Cancelled)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_cancels_and_says_what_the_log_says(
    begin: Callable[..., subprocess.Popen[bytes]], mesh: Processes, number: signal.Signals
) -> None:
    process = begin(ENDLESS)
    shown = read_until(process.stdout, b"one two three one ")
    process.send_signal(number)
    rest, said = process.communicate(timeout=60)
    assert process.returncode == 130
    run = logged(mesh, newest(mesh))
    assert isinstance(run.end, Cancelled)
    assert (shown + rest).decode().rstrip("\n") == run.text.rstrip("\n")
    assert said.decode().startswith(f"mesh: stopped after {len(run.texts)} tokens (freed in ")


def test_a_reader_that_goes_away_cancels(
    begin: Callable[..., subprocess.Popen[bytes]], mesh: Processes
) -> None:
    process = begin(ENDLESS)
    read_until(process.stdout, b"one two three one ")
    assert process.stdout is not None and process.stderr is not None
    process.stdout.close()
    assert process.wait(20) == 141
    assert process.stderr.read() == b""
    assert isinstance(logged(mesh, newest(mesh)).end, Cancelled)
