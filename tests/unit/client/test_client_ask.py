"""`mesh ask` as a process: what goes to stdout, what to stderr, and how it exits."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.pipes import read_until
from tests.unit.client.scripted_gateway import Answer, Connection, ScriptedGateway

COMMAND = [sys.executable, "-c", "from mesh_client.ask import ask; ask()"]


@pytest.fixture
def environment(tmp_path: Path, gateway: ScriptedGateway) -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
    return kept | {
        "XDG_CONFIG_HOME": str(tmp_path),
        "HOME": str(tmp_path),
        "MESH_URL": gateway.url,
        "MESH_USER": "ada",
        "PYTHONUTF8": "1",
    }


@pytest.fixture
def ask(environment: dict[str, str]) -> Callable[..., subprocess.CompletedProcess[bytes]]:
    def run(*arguments: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            [*COMMAND, *arguments], input=stdin, capture_output=True, env=environment, timeout=60
        )

    return run


Ask = Callable[..., subprocess.CompletedProcess[bytes]]


def start(environment: dict[str, str], *arguments: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [*COMMAND, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment,
    )


def test_stdout_is_the_answer_only(ask: Ask, gateway: ScriptedGateway) -> None:
    result = ask("Count", "to five.")
    assert result.stdout.decode() == gateway.text + "\n"
    assert (result.stderr, result.returncode) == (b"", 0)
    assert b'"content":"Count to five."' in gateway.requests("/messages")[0].body


def test_what_is_piped_in_stands_before_the_words(ask: Ask, gateway: ScriptedGateway) -> None:
    assert ask("Summarise this.", stdin="Zwei Wörter\n".encode()).returncode == 0
    assert b'"Zwei W\xc3\xb6rter\\n\\nSummarise this."' in gateway.requests("/messages")[0].body


def test_the_pipe_alone_is_a_question_too(ask: Ask, gateway: ScriptedGateway) -> None:
    assert ask(stdin=b"Hello?").stdout.decode() == gateway.text + "\n"


def test_files_stand_before_the_question(
    ask: Ask, gateway: ScriptedGateway, tmp_path: Path
) -> None:
    for name in ("old.py", "new.py"):
        (tmp_path / name).write_text(f"print('{name}')\n")
    done = ask("-f", str(tmp_path / "old.py"), "-f", str(tmp_path / "new.py"), "What changed?")
    assert done.returncode == 0
    body = json.loads(gateway.requests("/messages")[-1].body)
    assert body["content"] == (
        "old.py:\n\n```py\nprint('old.py')\n```\n\n"
        "new.py:\n\n```py\nprint('new.py')\n```\n\nWhat changed?"
    )
    done = ask("-f", str(tmp_path / "none.py"), "What changed?")
    assert done.returncode == 2 and b"none.py cannot be read" in done.stderr


def test_a_full_disk_is_said_and_the_answer_cancelled(
    environment: dict[str, str], gateway: ScriptedGateway
) -> None:
    gateway.hold_before = 3
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [*COMMAND, "Count."],
            stdin=subprocess.DEVNULL,
            stdout=full,
            stderr=subprocess.PIPE,
            env=environment,
            timeout=60,
        )
    assert done.returncode == 1
    assert b"mesh: The answer cannot be written: No space left on device." in done.stderr
    assert b"stopped after" in done.stderr and b"Traceback" not in done.stderr
    assert gateway.cancelled


def test_a_sign_in_that_cannot_be_kept_is_used_all_the_same(
    ask: Ask, environment: dict[str, str], gateway: ScriptedGateway, tmp_path: Path
) -> None:
    (tmp_path / "full").write_text("")  # no folder can be made under a file
    environment["XDG_CONFIG_HOME"] = str(tmp_path / "full")
    done = ask("Count.")
    assert (done.returncode, done.stdout) == (0, (gateway.text + "\n").encode())


def test_options_reach_the_gateway(ask: Ask, gateway: ScriptedGateway) -> None:
    ask("--model", "echo", "-s", "Be brief.", "--temperature", "0", "--max-tokens", "9", "Hi")
    assert gateway.requests("/messages")[0].json() == {
        "content": "Hi",
        "model_config_name": "echo",
        "system_prompt": "Be brief.",
        "sampling_parameters": {"temperature": 0.0, "max_new_tokens": 9},
    }


def test_json_is_one_object(ask: Ask, gateway: ScriptedGateway) -> None:
    result = ask("--json", "Hi")
    record = json.loads(result.stdout)
    assert record["text"] == gateway.text
    assert (record["chat_id"], record["state"], record["worker"]) == ("chat-1", "complete", "w1")
    assert "error" not in record


def test_what_did_not_fit_is_said_beside_the_answer(ask: Ask, gateway: ScriptedGateway) -> None:
    gateway.truncated = 1
    result = ask("A long question")
    assert result.stdout.decode() == gateway.text + "\n"
    assert b"mesh: 1 message did not fit into the model's context" in result.stderr
    assert json.loads(ask("--json", "A long question").stdout)["truncated"] == 1


def test_jsonl_is_a_line_per_event(ask: Ask, gateway: ScriptedGateway) -> None:
    gateway.connections = [Connection(cut_after=200)]
    events = [json.loads(line) for line in ask("--jsonl", "Hi").stdout.splitlines()]
    kinds = [event["event_type"] for event in events]
    assert kinds[:2] == ["begun", "pending"] and kinds[-1] == "finished"
    assert "reconnecting" in kinds
    assert "".join(e["text"] for e in events if e["event_type"] == "token") == gateway.text


def test_a_lost_connection_is_told_aside_and_the_answer_is_exact(
    ask: Ask, gateway: ScriptedGateway
) -> None:
    gateway.connections = [Connection(cut_after=200), Connection(cut_after=0)]
    result = ask("Hi")
    assert result.stdout.decode() == gateway.text + "\n"
    assert b"looking for it again" in result.stderr


# --- exit statuses ----------------------------------------------------------------------------


def test_a_failed_generation_exits_with_1_and_keeps_what_there_was(
    ask: Ask, gateway: ScriptedGateway
) -> None:
    gateway.error = {"event_type": "error", "error": "Out of memory.", "code": "engine_failed"}
    result = ask("Hi")
    assert (result.stdout.decode(), result.returncode) == (gateway.text + "\n", 1)
    assert result.stderr == b"mesh: Out of memory.\n"


def test_nothing_asked_is_usage(ask: Ask, gateway: ScriptedGateway) -> None:
    result = ask(stdin=b"  \n")
    assert result.returncode == 2 and b"Nothing was asked" in result.stderr
    assert gateway.seen == []


def test_a_pipe_that_is_not_text_is_usage(ask: Ask) -> None:
    result = ask("Hi", stdin=b"\xff\xfe")
    assert result.returncode == 2 and b"not UTF-8" in result.stderr


def test_words_that_are_not_text_are_usage(ask: Ask) -> None:
    result = ask("caf\udce9")  # the byte E9, as Python passes it on
    assert result.returncode == 2
    assert result.stderr == b"mesh: What is to be sent is not Unicode text; convert it first.\n"


def test_a_request_that_is_wrong_is_usage(ask: Ask, gateway: ScriptedGateway) -> None:
    body = {"detail": "No such model: x.", "code": "model_not_found", "request_id": "r"}
    gateway.refusals = {"messages": [Answer(422, body)]}
    result = ask("--model", "x", "Hi")
    assert (result.returncode, result.stderr) == (
        2,
        b"mesh: There is no model 'x'; there are: echo.\n",
    )


def test_no_gateway_exits_with_3(ask: Ask, environment: dict[str, str]) -> None:
    environment["MESH_URL"] = "http://127.0.0.1:9"
    result = ask("--json", "Hi")
    assert result.returncode == 3 and b"http://127.0.0.1:9" in result.stderr
    assert json.loads(result.stdout)["error"]["code"] == "unreachable"


@pytest.mark.parametrize("status", [429, 503])
def test_a_refusal_exits_with_4(ask: Ask, gateway: ScriptedGateway, status: int) -> None:
    body = {"detail": "The queue is full.", "code": "queue_full", "request_id": "r"}
    gateway.refusals = {"messages": [Answer(status, body, {"Retry-After": "3"})]}
    result = ask("Hi")
    assert (result.returncode, result.stdout) == (4, b"")
    assert b"The queue is full." in result.stderr


def test_the_time_that_is_over_cancels_and_exits_with_5(ask: Ask, gateway: ScriptedGateway) -> None:
    gateway.hold_before = 2
    result = ask("--timeout", "0.5", "Hi")
    assert (result.returncode, result.stdout.decode()) == (5, "One two \n")
    assert gateway.cancelled and b"0.5 s" in result.stderr


def test_a_deadline_of_the_mesh_exits_with_5(ask: Ask, gateway: ScriptedGateway) -> None:
    gateway.ending = "timeout"
    assert ask("Hi").returncode == 5


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_cancels_with_acknowledgement_and_exits_with_130(
    environment: dict[str, str], gateway: ScriptedGateway, number: int
) -> None:
    gateway.hold_before = 3
    process = start(environment, "Hi")
    assert process.stdout is not None
    read_until(process.stdout, "thrée ".encode())
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (130, b"\n")
    assert gateway.cancelled
    assert b"stopped after 214 tokens (freed in " in err and b"Traceback" not in err


def test_a_second_interrupt_leaves_at_once(
    environment: dict[str, str], gateway: ScriptedGateway
) -> None:
    gateway.hold_before = 3
    process = start(environment, "Hi")
    assert process.stdout is not None
    read_until(process.stdout, "thrée ".encode())
    gateway.stop()
    process.send_signal(signal.SIGINT)
    time.sleep(1.5)  # nothing shows from outside that the first one has arrived
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130 and time.monotonic() - began < 6
    assert b"Traceback" not in err


def test_a_reader_that_hangs_up_is_no_error_and_the_answer_is_cancelled(
    environment: dict[str, str], gateway: ScriptedGateway
) -> None:
    gateway.hold_before = 2
    process = start(environment, "Hi")
    assert process.stdout is not None and process.stderr is not None
    read_until(process.stdout, b"two ")
    process.stdout.close()
    gateway.release()
    assert process.wait(20) == 141
    assert process.stderr.read() == b""
    process.stderr.close()
    assert gateway.requests("/cancel")


def test_tokens_are_kept_for_the_next_time(ask: Ask, gateway: ScriptedGateway) -> None:
    ask("Hi")
    ask("Hi")
    assert len(gateway.requests("/debug")) == 1


def test_another_user_signs_in_anew(ask: Ask, gateway: ScriptedGateway) -> None:
    ask("Hi")
    gateway.tokens_accepted = set()
    ask("--user", "bob", "Hi")
    assert [seen.path[-3:] for seen in gateway.requests("/debug")] == ["ada", "bob"]
