"""`mesh chat` in a real terminal against a real mesh, as the eye sees it."""

import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mesh.protocol.events import Cancelled
from tests.acceptance.conftest import Process, Processes
from tests.acceptance.whole import Mesh
from tests.sitting import CTRL_C, CTRL_D, Sitting, idle
from tests.truth import truth_of

RATE = 25
COUNT = 150
NUMBERED = " ".join(f"<{n}>" for n in range(COUNT))
"""A question whose every word is told apart; the echo engine says it back, a token a word."""

Open = Callable[..., Sitting]


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Callable[..., Sitting]]:
    """Opens `mesh chat` in terminals that are closed with the test."""
    terminals: list[Sitting] = []

    def open_it(environment: dict[str, str], *words: str) -> Sitting:
        environment = {
            name: value
            for name, value in environment.items()
            if name not in ("COLUMNS", "LINES", "NO_COLOR")
        } | {
            "HOME": str(tmp_path),
            "XDG_CONFIG_HOME": str(tmp_path),
            "XDG_STATE_HOME": str(tmp_path),
            "MESH_USER": "ada",
            "PYTHONUTF8": "1",
            "TERM": "xterm-256color",
        }
        command = [sys.executable, "-m", "mesh", "chat", *words]
        terminals.append(Sitting(command, environment, columns=100, rows=30))
        return terminals[-1]

    yield open_it
    for terminal in terminals:
        terminal.close()


@pytest.fixture
def gateway(processes: Processes) -> Process:
    """The gateway of a mesh with one worker of 25 tokens a second."""
    gateway = processes.gateway("--ack-wait", "2")
    processes.store()
    processes.worker("w1", "--echo-rate", str(RATE))
    processes.await_store()
    processes.await_workers(1)
    return gateway


@pytest.fixture
def chat(
    processes: Processes, gateway: Process, opened: Callable[..., Sitting]
) -> Callable[..., Sitting]:
    def open_it(*words: str) -> Sitting:
        terminal = opened(processes.env | {"MESH_URL": processes.url}, *words)
        terminal.wait_for("mesh chat at", "echo · connected")
        return terminal

    return open_it


def answered(question: str) -> Callable[[str], bool]:
    """Sees that a question was asked and its answer has ended."""
    return lambda text: f"› {question}" in text and idle(text)


def answer_to(question: str, text: str) -> str:
    """What stands between the question and the next input line, without the terminal's breaks."""
    shown = re.sub(r"\s", "", text)
    asked = "›" + re.sub(r"\s", "", question)
    assert shown.count(asked) == 1, text
    return shown.split(asked)[1].split("›")[0]


def test_two_turns_with_the_bundled_model(tmp_path: Path, opened: Open) -> None:
    mesh = Mesh(tmp_path, engine="auto")
    try:
        mesh.start()
        terminal = opened(mesh.environment | {"MESH_URL": mesh.url})
        terminal.wait_for("mesh-demo · connected")
        for question in ("Hello!", "What is 2 plus 3?"):
            terminal.type(f"{question}\r")
            terminal.wait(answered(question))
            assert answer_to(question, terminal.text())
        assert "5" in answer_to("What is 2 plus 3?", terminal.text())
        terminal.type(CTRL_D)
        assert terminal.exit_status() == 0
        assert mesh.stop() == 0
    finally:
        mesh.end()


def test_ctrl_c_stops_with_the_count_of_the_log_and_retry_answers_again(
    chat: Open, processes: Processes
) -> None:
    terminal = chat()
    terminal.type("//repeat one two three\r")
    terminal.wait_for("one two three one", "answering", "tokens/s")
    terminal.type(CTRL_C)
    text = terminal.wait(lambda text: "stopped after" in text and idle(text))
    stopped = re.search(r"stopped after (\d+) tokens \(freed in \d+ ms\)", text)
    assert stopped is not None
    truth = truth_of(processes.broker)
    truth.check()
    (run,) = truth.runs.values()
    assert isinstance(run.end, Cancelled)
    assert len(run.texts) == int(stopped[1])
    assert re.sub(r"\s", "", run.text) + "■stoppedafter" in re.sub(r"\s", "", text)

    terminal.type("/retry\r")
    terminal.wait(lambda text: "one two three one" in text.partition("› /retry")[2])
    terminal.type(CTRL_C)
    terminal.wait(lambda text: text.count("stopped after") == 2 and idle(text))
    assert len(truth_of(processes.broker).runs) == 2


def test_an_answer_is_left_and_rejoined_by_another_client(chat: Open) -> None:
    first = chat()
    first.type("//repeat one two three\r")
    first.wait_for("one two three one", "answering")
    first.type(CTRL_D)
    assert first.exit_status() == 0
    told = re.search(r"go on with: mesh chat (--resume \w+)", first.text())
    assert told is not None

    second = chat(*told[1].split())
    second.wait_for("› /repeat one two three", "one two three one", "answering")
    second.type(CTRL_C)
    second.wait(lambda text: "stopped after" in text and idle(text))
    second.type("And now?\r")
    second.wait(lambda text: text.count("And now?") == 2 and idle(text))

    third = chat()
    third.type("/chats\r")
    third.wait_for("1  ", "/repeat one two three")
    third.type("/resume 1\r")
    text = third.wait(lambda text: text.count("And now?") == 2 and idle(text))
    assert text.index("› /repeat one") < text.index("› And now?")


def test_branches_that_one_client_made_are_the_ones_that_another_sees(chat: Open) -> None:
    first = chat()
    for line, answer in (("one", "one"), ("two", "two"), ("/edit three", "three")):
        first.type(f"{line}\r")
        first.wait_for(f"\n\n{answer}\n")
        first.wait(idle)
    first.wait_for("branch 2 of 2")
    second = chat("--resume")
    text = second.wait(lambda text: text.count("three") == 2 and idle(text))
    assert "two" not in text
    second.type("/branch\r")
    second.wait(lambda text: text.count("two") == 2 and "branch 1 of 2" in text)
    first.type("/tree\r")
    first.wait(lambda text: "├─› two" in text and "└─› three" in text)
    third = chat("--resume")
    assert "three" not in third.wait(lambda text: text.count("two") == 2 and idle(text))


def test_a_gateway_killed_in_mid_answer_costs_no_word_and_doubles_none(
    chat: Open, gateway: Process, processes: Processes
) -> None:
    terminal = chat()
    terminal.type(f"{NUMBERED}\r")
    terminal.wait(lambda text: text.count("<40>") == 2)
    gateway.kill()
    terminal.wait_for("offline", "resuming")
    gateway.start()
    terminal.wait(lambda text: text.count(f"<{COUNT - 1}>") == 2 and idle(text))
    assert answer_to(NUMBERED, terminal.text()) == NUMBERED.replace(" ", "")
    truth_of(processes.broker).check()


def test_a_worker_killed_in_mid_answer_is_followed_by_another(
    chat: Open, processes: Processes
) -> None:
    terminal = chat()
    terminal.type(f"{NUMBERED}\r")
    terminal.wait(lambda text: text.count("<40>") == 2)
    processes.started[-1].kill()
    processes.worker("w2", "--echo-rate", str(RATE))
    terminal.wait(lambda text: idle(text) and "w2" in text.split("\n")[-1])
    assert answer_to(NUMBERED, terminal.text()) == NUMBERED.replace(" ", "")
    truth_of(processes.broker).check()


def test_while_the_store_is_away_it_says_so_and_keeps_the_question(
    chat: Open, processes: Processes
) -> None:
    terminal = chat()
    store = next(process for process in processes.started if process.name == "store")
    store.kill()
    terminal.type("Are you there?\r")
    terminal.wait_for("The store does not answer")
    terminal.wait(lambda text: text.count("› Are you there?") == 2)
    store.start()
    terminal.wait_for("connected")

    def ask_again(text: str) -> bool:
        if text.rstrip().split("\n")[-2].strip() == "› Are you there?":
            terminal.type("\r")
        return "\nAre you there?" in text

    terminal.wait(ask_again)


@pytest.mark.parametrize(
    ("limit", "said"),
    [("--req-max-msgs", "queue is full"), ("--req-max-per-tenant", "as many requests waiting")],
)
def test_a_full_queue_is_said_and_the_question_given_back(
    opened: Open, processes: Processes, limit: str, said: str
) -> None:
    processes.gateway(limit, "1")
    processes.store()
    processes.worker("w1", "--echo-rate", str(RATE))
    processes.await_store()
    processes.await_workers(1)
    first, second = [opened(processes.env | {"MESH_URL": processes.url}) for _ in range(2)]
    for each in (first, second):
        each.wait_for("echo · connected")
    first.type("//repeat one two three\r")
    first.wait_for("one two three one", "answering")
    second.type("Is there room?\r")
    second.wait_for(said)
    second.wait(lambda text: text.count("› Is there room?") == 2)
    first.type(CTRL_C)
    first.wait(lambda text: "stopped after" in text and idle(text))


def test_without_a_gateway_it_says_how_to_start_one(opened: Open, processes: Processes) -> None:
    terminal = opened(processes.env | {"MESH_URL": processes.url})
    assert terminal.exit_status() == 3
    said = terminal.text().replace("\n", "")
    assert f"No gateway answers at {processes.url}" in said and "`mesh up`" in said
