"""Trouble at the REPL: a sentence where one types, and no question is lost."""

import signal
from pathlib import Path

import pytest

from tests.sitting import CTRL_B, CTRL_C, CTRL_D, Sitting, idle
from tests.unit.client.conftest import COMMAND, Open
from tests.unit.client.scripted_gateway import Answer, Connection, ScriptedGateway

INSTEAD = ", or choose another with /model"


def test_a_gateway_that_restarts_in_mid_answer_is_resumed(
    mid_answer: Sitting, gateway: ScriptedGateway
) -> None:
    gateway.stop()
    mid_answer.wait_for("offline", "resuming")
    gateway.hold_before = None
    gateway.start()
    mid_answer.wait_for("five.")
    assert mid_answer.wait(idle).count("One two thrée") == 1


def test_the_toolbar_names_the_worker_that_took_over(
    mid_answer: Sitting, gateway: ScriptedGateway
) -> None:
    mid_answer.wait_for("w1")
    gateway.worker = "w2"
    mid_answer.wait_for("w2")


def test_a_question_asked_while_the_gateway_is_away_is_sent_when_it_returns(
    open_chat: Open, gateway: ScriptedGateway
) -> None:
    sitting = open_chat()
    gateway.stop()
    sitting.wait_for("offline")
    sitting.send("Count.")
    sitting.wait_for("waiting for the gateway")
    gateway.start()
    sitting.wait_for("five.")
    assert gateway.questions == ["Count."]


def test_a_question_that_waits_for_the_gateway_can_be_taken_back(
    open_chat: Open, gateway: ScriptedGateway
) -> None:
    sitting = open_chat()
    gateway.stop()
    sitting.send("Count.")
    sitting.wait_for("waiting for the gateway")
    sitting.type(CTRL_C)
    sitting.wait(lambda text: text.count("› Count.") == 2)
    gateway.start()
    sitting.send(" Please.")
    sitting.wait_for("five.")
    assert gateway.questions == ["Count. Please."]


@pytest.mark.parametrize(("key", "left"), [(CTRL_D, True), (CTRL_B, False)])
def test_a_question_that_nobody_has_is_kept_when_one_leaves(
    open_chat: Open, gateway: ScriptedGateway, key: str, left: bool
) -> None:
    sitting = open_chat()
    gateway.stop()
    sitting.send("Count.")
    sitting.wait_for("waiting for the gateway")
    sitting.type(key)
    if left:
        assert sitting.exit_status() == 0
        assert "not sent, but remembered:\n› Count." in sitting.text()
    else:
        sitting.wait(lambda text: text.count("› Count.") == 2)
    gateway.start()


def test_a_retry_that_was_taken_back_can_be_sent_again(
    open_chat: Open, gateway: ScriptedGateway
) -> None:
    sitting = open_chat()
    sitting.say("Count.")
    gateway.stop()
    sitting.send("/retry")
    sitting.wait_for("waiting for the gateway")
    sitting.type(CTRL_C)
    sitting.wait(lambda text: text.count("› /retry") == 2)
    gateway.start()
    sitting.send("")
    sitting.wait(lambda text: text.count("five.") == 2)


@pytest.mark.parametrize(
    ("status", "code", "said"),
    [
        (503, "queue_full", "The mesh is busy and its queue is full. Wait about 3 s."),
        (429, "share_full", "You have as many requests waiting as you may. Wait about 3 s."),
        (503, "no_worker", f"No worker serves echo now. Wait about 3 s{INSTEAD}."),
        (503, "queue_full", "The mesh's log is nearly full. Wait about 3 s."),
        (503, "store_unavailable", "The store's disk is full. Wait about 3 s."),
        (413, "chat_full", "This chat has as many messages as one may have."),
        (403, "forbidden", "You may not do this."),
    ],
)
def test_a_refused_question_comes_back_to_the_input_line(
    open_chat: Open, gateway: ScriptedGateway, status: int, code: str, said: str
) -> None:
    problem = {"detail": said.partition(" Wait")[0], "code": code, "request_id": "r"}
    gateway.refusals = {"messages": [Answer(status, problem, {"Retry-After": "3"})]}
    sitting = open_chat()
    sitting.send("Count.")
    sitting.wait_for(f"✗ {said}")
    sitting.wait(lambda text: text.count("› Count.") == 2)
    sitting.send("")
    sitting.wait_for("five.")
    assert gateway.questions == ["Count."]


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ("", "There is no model that answers where none is chosen; /model lists what there is."),
        ("echo", "There is no model echo; /model lists what there is."),
    ],
)
def test_a_model_that_is_unknown_or_gone_is_said_in_the_words_of_the_terminal(
    open_chat: Open, gateway: ScriptedGateway, model: str, said: str
) -> None:
    problem = {"detail": "GET /v1/models lists them.", "code": "model_not_found"}
    gateway.refusals = {"messages": [Answer(422, problem)]}
    sitting = open_chat(*(["--model", model] if model else []))
    sitting.send("Count.")
    sitting.wait(lambda text: said in " ".join(text.split()) and text.count("› Count.") == 2)
    sitting.send("")
    sitting.wait_for("five.")
    assert gateway.questions == ["Count."]
    assert "GET" not in sitting.text()


def test_a_token_that_expired_is_renewed_without_a_word(
    open_chat: Open, gateway: ScriptedGateway
) -> None:
    sitting = open_chat()
    sitting.say("Count.")
    gateway.tokens_accepted = set()
    sitting.send("And again.")
    sitting.wait(lambda text: text.count("five.") == 2 and idle(text))
    assert "✗" not in sitting.text()


def test_a_token_that_expired_for_good_is_said_and_the_question_kept(
    open_chat: Open, gateway: ScriptedGateway
) -> None:
    sitting = open_chat()
    sitting.say("Count.")
    gateway.tokens_accepted = set()
    refused = Answer(403, {"detail": "No.", "code": "forbidden", "request_id": "r"})
    gateway.refusals = {"refresh": [refused], "debug": [refused]}
    sitting.send("And again.")
    sitting.wait_for(
        "✗ This token is not valid here; sign in again. Run `mesh login`", "MESH_TOKEN"
    )
    sitting.wait(lambda text: text.count("› And again.") == 2)
    sitting.send("")
    sitting.wait(lambda text: text.count("five.") == 2)


def test_a_disk_that_keeps_nothing_costs_only_the_memory(
    environment: dict[str, str], gateway: ScriptedGateway, tmp_path: Path
) -> None:
    (tmp_path / "full").write_text("")  # no folder can be made under a file
    folders = {name: str(tmp_path / "full") for name in ("XDG_CONFIG_HOME", "XDG_STATE_HOME")}
    sitting = Sitting(COMMAND, environment | folders)
    try:
        sitting.wait_for("what you ask is not remembered", "(Not a directory)", "connected")
        sitting.send("Count.")
        sitting.wait_for("five.")
        sitting.wait(idle)
        sitting.type(CTRL_D)
        assert sitting.exit_status() == 0
        assert "Traceback" not in sitting.text()
    finally:
        sitting.close()


def test_a_failed_answer_says_why_and_the_sitting_goes_on(
    open_chat: Open, gateway: ScriptedGateway
) -> None:
    gateway.error = {"event_type": "error", "error": "Out of memory.", "code": "engine_failed"}
    sitting = open_chat()
    sitting.send("Count.")
    sitting.wait_for("five.", "Out of memory.")
    sitting.wait(idle)


def test_a_connection_that_is_cut_again_and_again_loses_nothing(
    open_chat: Open, gateway: ScriptedGateway
) -> None:
    gateway.connections = [Connection(cut_after=cut) for cut in (0, 150, 150, 70)]
    sitting = open_chat()
    sitting.send("Count.")
    sitting.wait_for("One two thrée four", "five.")
    assert sitting.wait(idle).count("One") == 1


def test_without_a_gateway_it_says_how_to_start_one(
    environment: dict[str, str], gateway: ScriptedGateway
) -> None:
    sitting = Sitting(COMMAND, environment | {"MESH_URL": "http://127.0.0.1:9"})
    try:
        assert sitting.exit_status() == 3
        assert "start one with `mesh up`" in sitting.text().replace("\n", "")
    finally:
        sitting.close()


def test_an_interrupt_from_outside_is_a_ctrl_c(
    mid_answer: Sitting, gateway: ScriptedGateway
) -> None:
    mid_answer.process.send_signal(signal.SIGINT)
    mid_answer.wait_for("stopped after 214 tokens")
