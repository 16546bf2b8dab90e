"""The REPL in a real pty, as the eye sees it."""

import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from tests.terminal import Terminal
from tests.unit.client.scripted_gateway import Answer, Connection, ScriptedGateway

COMMAND = [sys.executable, "-c", "from mesh_client.repl import chat; chat()"]
CTRL_B, CTRL_C, CTRL_D, CTRL_G = "\x02", "\x03", "\x04", "\x07"
CTRL_J, CTRL_R, ALT_ENTER = "\n", "\x12", "\x1b\r"

Open = Callable[..., Terminal]


@pytest.fixture
def environment(tmp_path: Path, gateway: ScriptedGateway) -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("PATH",) if name in os.environ}
    return kept | {
        "XDG_CONFIG_HOME": str(tmp_path),
        "XDG_STATE_HOME": str(tmp_path),
        "HOME": str(tmp_path),
        "MESH_URL": gateway.url,
        "MESH_USER": "ada",
        "PYTHONUTF8": "1",
    }


@pytest.fixture
def open_chat(environment: dict[str, str]) -> Iterator[Open]:
    opened: list[Terminal] = []

    def open_it(*arguments: str, columns: int = 80, rows: int = 24) -> Terminal:
        opened.append(Terminal([*COMMAND, *arguments], environment, columns, rows))
        opened[-1].wait_for("mesh chat at", "echo · connected")
        return opened[-1]

    yield open_it
    for terminal in opened:
        terminal.close()


def asked(gateway: ScriptedGateway) -> list[object]:
    """The questions that the gateway accepted, each once."""
    return [exchange["prompter_message"]["content"] for exchange in gateway.asked.values()]


def body(gateway: ScriptedGateway) -> dict[str, object]:
    """What was last asked, as it arrived."""
    return msgspec.json.decode(gateway.requests("/messages")[-1].body, type=dict[str, object])


def idle(text: str) -> bool:
    """An empty input line stands above the toolbar."""
    *_, prompt, toolbar = ["", "", *filter(None, (line.strip() for line in text.split("\n")))]
    return prompt == "›" and "connected" in toolbar


# --- talking ----------------------------------------------------------------------------------


def test_a_question_is_answered_and_the_next_one_awaited(
    open_chat: Open, gateway: ScriptedGateway
) -> None:
    terminal = open_chat()
    terminal.type("Count to five.\r")
    terminal.wait_for("five.")
    lines = terminal.wait(idle).split("\n")
    at = lines.index("› Count to five.")
    assert lines[at + 1 : at + 4] == ["", "One two thrée four", "five."]
    assert "w1" in lines[-1]


def test_the_answer_grows_while_it_is_written(open_chat: Open, gateway: ScriptedGateway) -> None:
    gateway.hold_before = 2
    terminal = open_chat()
    terminal.type("Count.\r")
    text = terminal.wait_for("One two", "answering")
    assert "thrée" not in text
    gateway.release()
    terminal.wait_for("five.")


def test_the_place_in_the_queue_is_shown(open_chat: Open, gateway: ScriptedGateway) -> None:
    gateway.hold_before = 0
    terminal = open_chat()
    terminal.type("Count.\r")
    terminal.wait_for("queued, 2 of 3 before you")
    gateway.release()
    terminal.wait_for("five.")


def test_every_line_is_printed_exactly_once(open_chat: Open, gateway: ScriptedGateway) -> None:
    """With wide glyphs, lines longer than the window, more lines than rows, and a resize."""
    numbered = [f"line {n} 漢字 {'wide ' * (n % 30)}end{n}.\n" for n in range(60)]
    gateway.pieces = [part for line in numbered for part in (line[:9], line[9:])]
    gateway.hold_before = 61
    terminal = open_chat(columns=60, rows=12)
    terminal.type("Go on.\r")
    terminal.wait_for("end29.", "line 30")
    terminal.resize(76, 16)
    gateway.release()
    terminal.wait_for("end59.")
    text = terminal.wait(idle).replace("\n", "")
    assert [text.count(f"end{n}.") for n in range(60)] == [1] * 60
    assert [text.count(f"line {n} ") for n in range(60)] == [1] * 60


def test_of_a_line_that_is_higher_than_the_window_its_end_is_seen(
    open_chat: Open, gateway: ScriptedGateway
) -> None:
    gateway.pieces = ["```\n", "x" * 5000 + "END", "\n```\n"]
    gateway.hold_before = 2
    terminal = open_chat(columns=60, rows=12)
    terminal.type("Go on.\r")
    terminal.wait_for("xEND", "answering")
    gateway.release()
    terminal.wait(idle)
    assert terminal.text().count("END") == 1
    assert terminal.text().count("x") == 5000


def marked(n: int) -> str:
    """A piece of Markdown whose rows are all told apart, of another kind for each number."""
    kinds = (
        f"- item **<{n}a>** with 漢字 that goes on over the edge of the row, and on <{n}b>\n",
        f"```python\ndef f{n}():  # <{n}a>\n    return '<{n}b>'\n```\n",
        f"\n| a | b |\n|---|---|\n| <{n}a> | `<{n}b>` |\n\n",
        f"A paragraph <{n}a> of {'some ' * 40}words and 👍 <{n}b>\n\n",
        f"## A heading <{n}a>\n> and *a quote* <{n}b>\n\n",
    )
    return kinds[n % len(kinds)]


def test_every_row_of_markdown_is_printed_exactly_once_also_after_a_resize(
    open_chat: Open, gateway: ScriptedGateway
) -> None:
    text = "".join(marked(n) for n in range(40))
    gateway.pieces = [text[at : at + 7] for at in range(0, len(text), 7)]
    gateway.hold_before = len(gateway.pieces) // 2
    terminal = open_chat(columns=60, rows=14)
    terminal.type("Go on.\r")
    terminal.wait_for("answering", "<15b>")
    terminal.resize(73, 18)
    terminal.type("typed ahead")
    gateway.release()
    terminal.wait_for("<39b>", "typed ahead")
    terminal.type(CTRL_C)
    shown = terminal.wait(idle)
    for n in range(40):
        assert (n, shown.count(f"<{n}a>"), shown.count(f"<{n}b>")) == (n, 1, 1)


def test_an_answer_cannot_command_the_terminal(open_chat: Open, gateway: ScriptedGateway) -> None:
    gateway.pieces = ["safe \x1b[2J\x1b]0;owned\x07", "and sound\n"]
    terminal = open_chat()
    terminal.type("Hi\r")
    terminal.wait_for("› Hi", "safe [2J]0;ownedand sound")


def colours(terminal: Terminal) -> set[str]:
    return {colour for row in terminal.screen() for cell in row for colour in (cell.fg, cell.bg)}


@pytest.mark.parametrize(("value", "coloured"), [("1", False), ("", True)])
def test_without_colours_nothing_is_coloured(
    open_chat: Open,
    environment: dict[str, str],
    gateway: ScriptedGateway,
    value: str,
    coloured: bool,
) -> None:
    environment["NO_COLOR"] = value
    gateway.pieces = ["`code`\n\n```python\n", "def f(): return 1\n", "```\n", "done"]
    gateway.hold_before = 3
    terminal = open_chat()
    terminal.type("Count.\r")
    terminal.wait_for("return 1", "answering")
    assert (colours(terminal) != {"default"}) == coloured
    gateway.release()
    terminal.wait_for("done")
    terminal.wait(idle)
    assert (colours(terminal) != {"default"}) == coloured


# --- stopping ---------------------------------------------------------------------------------


def test_ctrl_c_stops_the_answer_and_keeps_the_chat(
    open_chat: Open, gateway: ScriptedGateway
) -> None:
    gateway.hold_before = 3
    terminal = open_chat()
    terminal.type("Count.\r")
    terminal.wait_for("One two thrée", "answering")
    terminal.type(CTRL_C)
    terminal.wait_for("stopped after 214 tokens (freed in ")
    terminal.wait(idle)
    assert terminal.text().count("One two thrée") == 1
    gateway.cancelled, gateway.hold_before = False, None
    terminal.type("Go on.\r")
    terminal.wait_for("five.")
    assert (body(gateway)["content"], body(gateway)["parent_id"]) == ("Go on.", "answer-1")


def test_ctrl_c_clears_what_is_typed(open_chat: Open, gateway: ScriptedGateway) -> None:
    terminal = open_chat()
    terminal.type("half a thou")
    terminal.wait_for("half a thou")
    terminal.type(CTRL_C)
    terminal.wait(idle)
    assert terminal.process.poll() is None


def test_ctrl_c_twice_leaves(open_chat: Open) -> None:
    terminal = open_chat()
    terminal.type(CTRL_C)
    terminal.wait_for("Ctrl-C again leaves")
    terminal.type(CTRL_C)
    assert terminal.exit_status() == 0


def test_ctrl_c_twice_leaves_also_when_the_stop_is_not_acknowledged(
    open_chat: Open, gateway: ScriptedGateway
) -> None:
    gateway.hold_before = 3
    terminal = open_chat()
    terminal.type("Count.\r")
    terminal.wait_for("One two thrée", "answering")
    gateway.stop()
    terminal.type(CTRL_C)
    terminal.wait_for("stopping")
    terminal.type(CTRL_C)
    assert terminal.exit_status() == 0
    assert "Traceback" not in terminal.text()


def test_ctrl_d_leaves_and_says_how_to_go_on(open_chat: Open, gateway: ScriptedGateway) -> None:
    terminal = open_chat()
    terminal.type("Count.\r")
    terminal.wait_for("five.")
    terminal.wait(idle)
    terminal.type(CTRL_D)
    assert terminal.exit_status() == 0
    assert terminal.text().endswith("go on with: mesh chat --resume chat-1")


def test_ctrl_d_leaves_a_running_answer_running(open_chat: Open, gateway: ScriptedGateway) -> None:
    gateway.hold_before = 3
    terminal = open_chat()
    terminal.type("Count.\r")
    terminal.wait_for("One two thrée", "answering")
    terminal.type(CTRL_D)
    assert terminal.exit_status() == 0
    assert not gateway.cancelled and "--resume chat-1" in terminal.text()
    gateway.release()
    again = open_chat("--resume", "chat-1")
    again.wait_for("› Count.", "five.")
    assert again.wait(idle).count("One two thrée") == 1


def test_what_was_not_sent_when_one_left_is_remembered(
    open_chat: Open, gateway: ScriptedGateway
) -> None:
    gateway.hold_before = 3
    terminal = open_chat()
    terminal.type("Count.\r")
    terminal.wait_for("One two thrée", "answering")
    terminal.type("And then?\r")
    terminal.wait_for("next: And then?")
    terminal.type(CTRL_D)
    assert terminal.exit_status() == 0
    assert "not sent, but remembered:\n› And then?\n" in terminal.text()
    again = open_chat()
    again.type("\x1b[A")
    again.wait_for("› And then?")


# --- typing -----------------------------------------------------------------------------------


@pytest.mark.parametrize("key", [CTRL_J, ALT_ENTER], ids=["Ctrl-J", "Alt-Enter"])
def test_a_new_line_is_not_sent(open_chat: Open, gateway: ScriptedGateway, key: str) -> None:
    terminal = open_chat()
    terminal.type(f"one{key}two\r")
    terminal.wait_for("five.")
    assert asked(gateway) == ["one\ntwo"]


def test_pasting_never_sends(open_chat: Open, gateway: ScriptedGateway) -> None:
    terminal = open_chat()
    terminal.type("\x1b[200~first\rsecond\r\x1b[201~")
    terminal.wait_for("first", "second")
    assert asked(gateway) == []
    terminal.type("\r")
    terminal.wait_for("five.")
    assert asked(gateway) == ["first\nsecond"]


def test_what_is_typed_ahead_is_kept_and_what_is_sent_ahead_is_sent(
    open_chat: Open, gateway: ScriptedGateway
) -> None:
    gateway.hold_before = 3
    terminal = open_chat()
    terminal.type("Count.\r")
    terminal.wait_for("One two thrée")
    terminal.type("And then?\r")
    terminal.wait_for("next: And then?")
    terminal.type("And aft")
    terminal.wait_for("› And aft")
    gateway.hold_before = None
    gateway.release()
    terminal.wait(lambda text: text.count("five.") == 2 and "› And aft" in text.split("five.")[2])
    assert terminal.lines().count("› And then?") == 1
    assert asked(gateway) == ["Count.", "And then?"]


def test_history_is_kept_between_sittings_and_searched(
    open_chat: Open, environment: dict[str, str], gateway: ScriptedGateway
) -> None:
    first = open_chat()
    first.type("tell me of foxes\r")
    first.wait_for("five.")
    first.wait(idle)
    first.type(CTRL_D)
    first.exit_status()
    history = Path(environment["XDG_STATE_HOME"], "mesh", "history")
    assert stat.S_IMODE(history.stat().st_mode) == 0o600
    second = open_chat()
    second.type("tell")
    second.wait_for("tell me of foxes")  # suggested
    second.type(CTRL_C)
    second.wait(idle)
    second.type(CTRL_R + "fox")
    second.wait_for("I-search backward: fox", "› tell me of foxes")
    second.type("\r\r")
    second.wait_for("five.")
    assert asked(gateway) == ["tell me of foxes"] * 2


# --- commands ---------------------------------------------------------------------------------


def test_help_lists_commands_and_keys(open_chat: Open) -> None:
    terminal = open_chat()
    terminal.type("/help\r")
    terminal.wait_for("/resume [NUMBER|ID]", "/quit", "Alt-Enter, Ctrl-J")


def test_commands_complete(open_chat: Open) -> None:
    terminal = open_chat()
    terminal.type("/mod")
    terminal.wait_for("list the models, or choose one")
    terminal.type("\t")
    terminal.wait_for("› /model")


def test_an_unknown_command_is_not_sent(open_chat: Open, gateway: ScriptedGateway) -> None:
    terminal = open_chat()
    terminal.type("/modl\r")
    terminal.wait_for("did you mean /model?")
    assert asked(gateway) == []


def test_chats_are_listed_and_resumed_by_number(open_chat: Open, gateway: ScriptedGateway) -> None:
    terminal = open_chat()
    terminal.type("Count.\r")
    terminal.wait_for("five.")
    terminal.wait(idle)
    terminal.type("/chats\r")
    terminal.wait_for("1  chat-1  newer", "2  chat-0  older")
    terminal.type("/new\r")
    terminal.wait_for("a new chat")
    terminal.type("/resume 1\r")
    terminal.wait(lambda text: text.count("› Count.") == 2 and text.count("five.") == 2)


def test_model_and_system_prompt_are_used_from_then_on(
    open_chat: Open, gateway: ScriptedGateway
) -> None:
    terminal = open_chat()
    terminal.type("/model echo\r")
    terminal.type("/system Be brief.\r")
    terminal.wait_for("system prompt: Be brief.")
    terminal.type("Count.\r")
    terminal.wait_for("five.")
    sent = body(gateway)
    assert (sent["model_config_name"], sent["system_prompt"]) == ("echo", "Be brief.")


def test_a_model_that_nobody_serves_is_not_chosen(open_chat: Open) -> None:
    terminal = open_chat()
    terminal.type("/model ecko\r")
    terminal.wait_for("There is no model ecko (did you mean echo?)")


def test_an_answer_that_was_cut_off_says_so(open_chat: Open, gateway: ScriptedGateway) -> None:
    gateway.finish = "length"
    terminal = open_chat()
    terminal.type("Count.\r")
    terminal.wait_for("five.", "cut off at the limit of tokens")


def test_retry_answers_the_last_question_again(open_chat: Open, gateway: ScriptedGateway) -> None:
    terminal = open_chat()
    terminal.type("/retry\r")
    terminal.wait_for("Nothing was asked in this chat yet.")
    terminal.wait(idle)
    terminal.type("Count.\r")
    terminal.wait_for("five.")
    terminal.wait(idle)
    terminal.type("/retry\r")
    terminal.wait(lambda text: text.count("five.") == 2)
    assert asked(gateway) == ["Count."]


def test_branches_are_made_by_edit_and_retry_drawn_and_chosen(
    open_chat: Open, gateway: ScriptedGateway
) -> None:
    terminal = open_chat()
    terminal.type("Count to five.\r")
    terminal.wait(lambda text: text.count("\nfive.") == 1 and idle(text))
    terminal.type("/edit\r")
    terminal.wait_for("› /edit Count to five.")
    terminal.type(" Slowly.\r")
    terminal.wait(lambda text: text.count("\nfive.") == 2 and idle(text))
    assert (body(gateway)["content"], body(gateway)["beside"]) == (
        "Count to five. Slowly.",
        "question-1",
    )
    terminal.type("/retry\r")
    terminal.wait(lambda text: text.count("\nfive.") == 3 and idle(text))
    terminal.wait_for("branch 3 of 3")
    terminal.type("/tree\r")
    text = terminal.wait_for("← here")
    drawn = [line.strip() for line in text.partition("/tree")[2].split("\n")]
    assert drawn[1:6] == [
        "├─› Count to five.",
        "│ 1 One two thrée four five.",
        "└─› Count to five. Slowly.",
        "├─2 One two thrée four five.",
        "└─3 One two thrée four five. ← here",
    ]
    terminal.type("/branch 1\r")
    terminal.wait_for("branch 1 of 3")
    assert gateway.tail == "answer-1"
    terminal.type("And six?\r")
    terminal.wait(lambda text: text.count("\nfive.") == 5 and idle(text))
    assert body(gateway)["parent_id"] == "answer-1"


def test_parameters_are_set_per_turn(open_chat: Open, gateway: ScriptedGateway) -> None:
    terminal = open_chat()
    terminal.type("/set temperature 0.5\r")
    terminal.wait(lambda text: "0.5" in text.partition("/set")[2].partition("temperature  ")[2])
    terminal.type("/set max_tokens 9\r")
    terminal.type("Count.\r")
    terminal.wait_for("five.")
    assert body(gateway)["sampling_parameters"] == {"temperature": 0.5, "max_new_tokens": 9}
    terminal.wait(idle)
    terminal.type("/set temperature -\r")
    terminal.type("Again.\r")
    terminal.wait(lambda text: text.count("five.") == 2)
    assert body(gateway)["sampling_parameters"] == {"max_new_tokens": 9}


def test_an_answer_is_left_another_chat_begun_and_the_answer_rejoined(
    open_chat: Open, gateway: ScriptedGateway
) -> None:
    gateway.hold_before = 3
    terminal = open_chat()
    terminal.type("Count.\r")
    terminal.wait_for("One two thrée", "answering")
    terminal.type(CTRL_B)
    terminal.wait_for("it goes on without you", "1 in the background")
    terminal.type("/attach\r")
    terminal.wait(lambda text: text.count("One two thrée") == 2 and "answering" in text)
    terminal.type("/detach\r")
    terminal.wait(lambda text: text.count("it goes on without you") == 2 and idle(text))
    gateway.release()
    terminal.wait_for("“Count.” is answered: /attach")
    terminal.type("/attach\r")
    terminal.wait_for("five.")
    terminal.wait(idle)
    assert not gateway.cancelled and asked(gateway) == ["Count."]


def test_a_question_behind_an_answer_that_was_left_waits_for_its_end(
    open_chat: Open, gateway: ScriptedGateway
) -> None:
    gateway.hold_before = 3
    terminal = open_chat()
    terminal.type("Count.\r")
    terminal.wait_for("One two thrée", "answering")
    terminal.type(CTRL_B)
    terminal.wait_for("it goes on without you")
    terminal.type("And then?\r")
    terminal.wait(lambda text: text.count("One two thrée") == 2 and "answering" in text)
    gateway.hold_before = None
    gateway.release()
    terminal.wait(lambda text: text.count("five.") == 2 and idle(text))
    assert asked(gateway) == ["Count.", "And then?"]


def test_a_file_goes_with_the_next_question_alone(
    open_chat: Open, gateway: ScriptedGateway, tmp_path: Path
) -> None:
    (tmp_path / "notes.txt").write_text("Buy milk.\n")
    terminal = open_chat()
    terminal.type(f"/file {tmp_path}/not")
    terminal.wait_for("notes.txt")
    terminal.type("\t\r\r")
    terminal.wait_for("notes.txt, 10 characters, goes with the next question", "1 file attached")
    terminal.type("What is to do?\r")
    terminal.wait_for("five.")
    assert body(gateway)["content"] == "notes.txt:\n\n```txt\nBuy milk.\n```\n\nWhat is to do?"
    terminal.wait(idle)
    terminal.type("And now?\r")
    terminal.wait(lambda text: text.count("five.") == 2)
    assert body(gateway)["content"] == "And now?"


def test_a_chat_is_exported(open_chat: Open, tmp_path: Path) -> None:
    terminal = open_chat()
    terminal.type("Count.\r")
    terminal.wait_for("five.")
    terminal.wait(idle)
    terminal.type(f"/export {tmp_path}/chat.md\r")
    terminal.wait(lambda text: "written to" in text)
    assert "## You\n\nCount.\n\n## Answer\n\nOne two" in (tmp_path / "chat.md").read_text()
    terminal.wait(idle)
    terminal.type(f"/export {tmp_path}/chat.md\r")
    terminal.wait_for("give another name.")


@pytest.mark.parametrize("keys", [CTRL_G, "\x18\x05"], ids=["Ctrl-G", "Ctrl-X Ctrl-E"])
def test_the_editor_is_opened_with_what_is_typed(
    open_chat: Open, environment: dict[str, str], gateway: ScriptedGateway, keys: str
) -> None:
    editor = Path(environment["HOME"], "editor")
    editor.write_text("#!/bin/sh\nprintf 'and five.' >> \"$1\"\n")
    editor.chmod(0o755)
    environment["EDITOR"] = str(editor)
    terminal = open_chat()
    terminal.type(f"Four, {keys}")
    terminal.wait_for("› Four, and five.\n ● echo")
    assert asked(gateway) == []
    terminal.type("\r")
    terminal.wait_for("thrée")
    assert asked(gateway) == ["Four, and five."]


def test_a_megabyte_is_pasted_sent_and_taken_back_when_it_is_too_much(
    open_chat: Open, gateway: ScriptedGateway
) -> None:
    detail = "content has 1,048,585 characters; at most 100,000 are accepted."
    problem = {"detail": detail, "code": "too_large", "request_id": "r"}
    gateway.refusals = {"messages": [Answer(413, problem)]}
    terminal = open_chat(columns=100)
    terminal.type("Read: ")
    for _ in range(16):
        terminal.type("\x1b[200~" + "x" * 65_536 + "\x1b[201~")
    terminal.wait_for("[pasted text 1: 65,536 characters]", timeout=30)
    terminal.type("\r")
    terminal.wait_for("at most 100,000 are accepted.", timeout=30)
    terminal.wait(lambda text: text.count("› Read: [pasted text 1") == 2)
    terminal.type("\r")
    terminal.wait_for("five.")
    assert asked(gateway) == ["Read: " + "x" * 65_536 * 16]


def test_quit_leaves(open_chat: Open) -> None:
    terminal = open_chat()
    terminal.type("/quit\r")
    assert terminal.exit_status() == 0


# --- trouble ----------------------------------------------------------------------------------


def test_a_gateway_that_restarts_in_mid_answer_is_resumed(
    open_chat: Open, gateway: ScriptedGateway
) -> None:
    gateway.hold_before = 3
    terminal = open_chat()
    terminal.type("Count.\r")
    terminal.wait_for("One two thrée", "answering")
    gateway.stop()
    terminal.wait_for("offline", "resuming")
    gateway.hold_before = None
    gateway.start()
    terminal.wait_for("five.")
    assert terminal.wait(idle).count("One two thrée") == 1


def test_a_question_asked_while_the_gateway_is_away_is_sent_when_it_returns(
    open_chat: Open, gateway: ScriptedGateway
) -> None:
    terminal = open_chat()
    gateway.stop()
    terminal.wait_for("offline", timeout=20)
    terminal.type("Count.\r")
    terminal.wait_for("waiting for the gateway", timeout=30)
    gateway.start()
    terminal.wait_for("five.")
    assert asked(gateway) == ["Count."]


def test_a_question_that_waits_for_the_gateway_can_be_taken_back(
    open_chat: Open, gateway: ScriptedGateway
) -> None:
    terminal = open_chat()
    gateway.stop()
    terminal.type("Count.\r")
    terminal.wait_for("waiting for the gateway", timeout=30)
    terminal.type(CTRL_C)
    terminal.wait(lambda text: text.count("› Count.") == 2)
    gateway.start()
    terminal.type(" Please.\r")
    terminal.wait_for("five.")
    assert asked(gateway) == ["Count. Please."]


@pytest.mark.parametrize(("key", "left"), [(CTRL_D, True), (CTRL_B, False)])
def test_a_question_that_nobody_has_is_kept_when_one_leaves(
    open_chat: Open, gateway: ScriptedGateway, key: str, left: bool
) -> None:
    terminal = open_chat()
    gateway.stop()
    terminal.type("Count.\r")
    terminal.wait_for("waiting for the gateway")
    terminal.type(key)
    if left:
        assert terminal.exit_status() == 0
        assert "not sent, but remembered:\n› Count." in terminal.text()
    else:
        terminal.wait(lambda text: text.count("› Count.") == 2)
    gateway.start()


def test_a_retry_that_was_taken_back_can_be_sent_again(
    open_chat: Open, gateway: ScriptedGateway
) -> None:
    terminal = open_chat()
    terminal.type("Count.\r")
    terminal.wait_for("five.")
    terminal.wait(idle)
    gateway.stop()
    terminal.type("/retry\r")
    terminal.wait_for("waiting for the gateway", timeout=30)
    terminal.type(CTRL_C)
    terminal.wait(lambda text: text.count("› /retry") == 2)
    gateway.start()
    terminal.type("\r")
    terminal.wait(lambda text: text.count("five.") == 2)


@pytest.mark.parametrize(
    ("status", "code", "said"),
    [
        (503, "queue_full", "The mesh is busy and its queue is full. Wait about 3 s."),
        (429, "share_full", "You have as many requests waiting as you may. Wait about 3 s."),
        (503, "no_worker", "No worker serves echo now. Wait about 3 s."),
        (422, "model_not_found", "There is no model echo any more."),
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
    terminal = open_chat()
    terminal.type("Count.\r")
    terminal.wait_for(f"✗ {said}")
    terminal.wait(lambda text: text.count("› Count.") == 2)
    terminal.type("\r")
    terminal.wait_for("five.")
    assert asked(gateway) == ["Count."]


def test_a_token_that_expired_is_renewed_without_a_word(
    open_chat: Open, gateway: ScriptedGateway
) -> None:
    terminal = open_chat()
    terminal.type("Count.\r")
    terminal.wait_for("five.")
    terminal.wait(idle)
    gateway.tokens_accepted = set()
    terminal.type("And again.\r")
    terminal.wait(lambda text: text.count("five.") == 2 and idle(text))
    assert "✗" not in terminal.text()


def test_a_token_that_expired_for_good_is_said_and_the_question_kept(
    open_chat: Open, gateway: ScriptedGateway
) -> None:
    terminal = open_chat()
    terminal.type("Count.\r")
    terminal.wait_for("five.")
    terminal.wait(idle)
    gateway.tokens_accepted = set()
    detail = "This gateway has no such user; ask who runs it."
    refused = Answer(403, {"detail": detail, "code": "forbidden", "request_id": "r"})
    gateway.refusals = {"refresh": [refused], "debug": [refused]}
    terminal.type("And again.\r")
    terminal.wait_for(f"✗ {detail}")
    terminal.wait(lambda text: text.count("› And again.") == 2)
    terminal.type("\r")
    terminal.wait(lambda text: text.count("five.") == 2)


def test_a_disk_that_keeps_nothing_costs_only_the_memory(
    environment: dict[str, str], gateway: ScriptedGateway, tmp_path: Path
) -> None:
    (tmp_path / "full").write_text("")  # no folder can be made under a file
    folders = {name: str(tmp_path / "full") for name in ("XDG_CONFIG_HOME", "XDG_STATE_HOME")}
    terminal = Terminal(COMMAND, environment | folders)
    try:
        terminal.wait_for("what you ask is not remembered", "(Not a directory)", "connected")
        terminal.type("Count.\r")
        terminal.wait_for("five.")
        terminal.wait(idle)
        terminal.type(CTRL_D)
        assert terminal.exit_status() == 0
        assert "Traceback" not in terminal.text()
    finally:
        terminal.close()


def test_a_failed_answer_says_why_and_the_sitting_goes_on(
    open_chat: Open, gateway: ScriptedGateway
) -> None:
    gateway.error = {"event_type": "error", "error": "Out of memory.", "code": "engine_failed"}
    terminal = open_chat()
    terminal.type("Count.\r")
    terminal.wait_for("five.", "Out of memory.")
    terminal.wait(idle)


def test_a_connection_that_is_cut_again_and_again_loses_nothing(
    open_chat: Open, gateway: ScriptedGateway
) -> None:
    gateway.connections = [Connection(cut_after=cut) for cut in (0, 150, 150, 70)]
    terminal = open_chat()
    terminal.type("Count.\r")
    terminal.wait_for("One two thrée four", "five.")
    assert terminal.wait(idle).count("One") == 1


def test_without_a_gateway_it_says_how_to_start_one(
    environment: dict[str, str], gateway: ScriptedGateway
) -> None:
    terminal = Terminal(COMMAND, environment | {"MESH_URL": "http://127.0.0.1:9"})
    try:
        assert terminal.exit_status() == 3
        assert "start one with `mesh up`" in terminal.text().replace("\n", "")
    finally:
        terminal.close()


def test_an_interrupt_from_outside_is_a_ctrl_c(open_chat: Open, gateway: ScriptedGateway) -> None:
    gateway.hold_before = 3
    terminal = open_chat()
    terminal.type("Count.\r")
    terminal.wait_for("One two thrée", "answering")
    terminal.process.send_signal(signal.SIGINT)
    terminal.wait_for("stopped after 214 tokens")


@pytest.mark.skipif(shutil.which("tmux") is None, reason="needs tmux: a terminal that wraps anew")
def test_every_line_stays_once_when_a_resized_terminal_wraps_anew(
    environment: dict[str, str], gateway: ScriptedGateway, tmp_path: Path
) -> None:
    lines = [f"line {n} {'word ' * 17}end{n}.\n" for n in range(30)]
    gateway.pieces = [part for line in lines for part in (line[:70], line[70:])]
    gateway.hold_before = 41

    def tmux(*words: str) -> str:
        command = ["tmux", "-S", str(tmp_path / "tmux"), "-f", os.devnull, *words]
        return subprocess.run(command, env=environment, capture_output=True, text=True).stdout

    def wait_for(*words: str) -> str:
        until = time.monotonic() + 20
        while not all(word in (text := tmux("capture-pane", "-pJ", "-S", "-")) for word in words):
            assert time.monotonic() < until, text
            time.sleep(0.05)
        return text

    tmux("new-session", "-d", "-x", "80", "-y", "12", *COMMAND)
    try:
        wait_for("connected")
        tmux("send-keys", "Go on.", "Enter")
        wait_for("end19.", "line 20 ")
        for columns in ("50", "95", "61"):
            tmux("resize-window", "-x", columns)
            wait_for("answering")
        gateway.release()
        text = wait_for("end29.", "\n›")
    finally:
        tmux("kill-server")
    whole = re.sub(r"\s", "", text)
    assert [whole.count(f"end{n}.") for n in range(30)] == [1] * 30
    assert [whole.count(f"line{n}word") for n in range(30)] == [1] * 30
