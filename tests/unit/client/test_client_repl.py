"""The REPL in a real pty, as the eye sees it: questions, answers, stopping, leaving."""

import os
import re
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from tests.sitting import CTRL_C, UP, Sitting, idle
from tests.unit.client.conftest import COMMAND, Open
from tests.unit.client.scripted_gateway import ScriptedGateway


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


def colours(sitting: Sitting) -> set[str]:
    return {colour for row in sitting.screen() for cell in row for colour in (cell.fg, cell.bg)}


def test_a_question_is_answered_and_the_next_one_awaited(
    open_chat: Open, gateway: ScriptedGateway
) -> None:
    sitting = open_chat()
    sitting.send("Count to five.")
    sitting.wait_for("five.")
    lines = sitting.wait(idle).split("\n")
    at = lines.index("› Count to five.")
    assert lines[at + 1 : at + 4] == ["", "One two thrée four", "five."]
    assert "w1" in lines[-1]


def test_the_answer_grows_while_it_is_written(open_chat: Open, gateway: ScriptedGateway) -> None:
    gateway.hold_before = 2
    sitting = open_chat()
    sitting.send("Count.")
    text = sitting.wait_for("One two", "answering")
    assert "thrée" not in text
    gateway.release()
    sitting.wait_for("five.")


def test_the_place_in_the_queue_is_shown(open_chat: Open, gateway: ScriptedGateway) -> None:
    gateway.hold_before = 0
    sitting = open_chat()
    sitting.send("Count.")
    sitting.wait_for("queued, 2 of 3 before you")
    gateway.release()
    sitting.wait_for("five.")


def test_every_line_is_printed_exactly_once(open_chat: Open, gateway: ScriptedGateway) -> None:
    """With wide glyphs, lines longer than the window, more lines than rows, and a resize."""
    numbered = [f"line {n} 漢字 {'wide ' * (n % 30)}end{n}.\n" for n in range(60)]
    gateway.pieces = [part for line in numbered for part in (line[:9], line[9:])]
    gateway.hold_before = 61
    sitting = open_chat(columns=60, rows=12)
    sitting.send("Go on.")
    sitting.wait_for("end29.", "line 30")
    sitting.resize(76, 16)
    gateway.release()
    sitting.wait_for("end59.")
    text = sitting.wait(idle).replace("\n", "")
    assert [text.count(f"end{n}.") for n in range(60)] == [1] * 60
    assert [text.count(f"line {n} ") for n in range(60)] == [1] * 60


def test_of_a_line_that_is_higher_than_the_window_its_end_is_seen(
    open_chat: Open, gateway: ScriptedGateway
) -> None:
    gateway.pieces = ["```\n", "x" * 5000 + "END", "\n```\n"]
    gateway.hold_before = 2
    sitting = open_chat(columns=60, rows=12)
    sitting.send("Go on.")
    sitting.wait_for("xEND", "answering")
    gateway.release()
    sitting.wait(idle)
    assert sitting.text().count("END") == 1
    assert sitting.text().count("x") == 5000


def test_every_row_of_markdown_is_printed_exactly_once_also_after_a_resize(
    open_chat: Open, gateway: ScriptedGateway
) -> None:
    text = "".join(marked(n) for n in range(40))
    gateway.pieces = [text[at : at + 7] for at in range(0, len(text), 7)]
    gateway.hold_before = len(gateway.pieces) // 2
    sitting = open_chat(columns=60, rows=14)
    sitting.send("Go on.")
    sitting.wait_for("answering", "<15b>")
    sitting.resize(73, 18)
    sitting.type("typed ahead")
    gateway.release()
    sitting.wait_for("<39b>", "typed ahead")
    sitting.type(CTRL_C)
    shown = sitting.wait(idle)
    for n in range(40):
        assert (n, shown.count(f"<{n}a>"), shown.count(f"<{n}b>")) == (n, 1, 1)


def test_an_answer_cannot_command_the_terminal(open_chat: Open, gateway: ScriptedGateway) -> None:
    gateway.pieces = ["safe \x1b[2J\x1b]0;owned\x07", "and sound\n"]
    sitting = open_chat()
    sitting.send("Hi")
    sitting.wait_for("› Hi", "safe [2J]0;ownedand sound")


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
    sitting = open_chat()
    sitting.send("Count.")
    sitting.wait_for("return 1", "answering")
    assert (colours(sitting) != {"default"}) == coloured
    gateway.release()
    sitting.wait_for("done")
    sitting.wait(idle)
    assert (colours(sitting) != {"default"}) == coloured


def test_ctrl_c_stops_the_answer_and_keeps_the_chat(
    mid_answer: Sitting, gateway: ScriptedGateway
) -> None:
    mid_answer.type(CTRL_C)
    mid_answer.wait_for("stopped after 214 tokens (freed in ")
    mid_answer.wait(idle)
    assert mid_answer.text().count("One two thrée") == 1
    gateway.cancelled, gateway.hold_before = False, None
    mid_answer.send("Go on.")
    mid_answer.wait_for("five.")
    assert (gateway.last_body()["content"], gateway.last_body()["parent_id"]) == (
        "Go on.",
        "answer-1",
    )


def test_ctrl_c_clears_what_is_typed(open_chat: Open, gateway: ScriptedGateway) -> None:
    sitting = open_chat()
    sitting.type("half a thou")
    sitting.wait_for("half a thou")
    sitting.type(CTRL_C)
    sitting.wait(idle)
    assert sitting.process.poll() is None


def test_ctrl_c_twice_leaves(open_chat: Open) -> None:
    sitting = open_chat()
    sitting.type(CTRL_C)
    sitting.wait_for("Ctrl-C again leaves")
    sitting.type(CTRL_C)
    assert sitting.exit_status() == 0


def test_ctrl_c_twice_leaves_also_when_the_stop_is_not_acknowledged(
    mid_answer: Sitting, gateway: ScriptedGateway
) -> None:
    gateway.stop()
    mid_answer.type(CTRL_C)
    mid_answer.wait_for("stopping")
    mid_answer.type(CTRL_C)
    assert mid_answer.exit_status() == 0
    assert "Traceback" not in mid_answer.text()


def test_ctrl_d_leaves_and_says_how_to_go_on(open_chat: Open, gateway: ScriptedGateway) -> None:
    sitting = open_chat()
    sitting.say("Count.")
    sitting.leave()
    assert sitting.text().endswith("go on with: mesh chat --resume chat-1")


def test_ctrl_d_leaves_a_running_answer_running(
    mid_answer: Sitting, open_chat: Open, gateway: ScriptedGateway
) -> None:
    mid_answer.leave()
    assert not gateway.cancelled and "--resume chat-1" in mid_answer.text()
    gateway.release()
    again = open_chat("--resume", "chat-1")
    again.wait_for("› Count.", "five.")
    assert again.wait(idle).count("One two thrée") == 1


def test_what_was_not_sent_when_one_left_is_remembered(
    mid_answer: Sitting, open_chat: Open, gateway: ScriptedGateway
) -> None:
    mid_answer.send("And then?")
    mid_answer.wait_for("next: And then?")
    mid_answer.leave()
    assert "not sent, but remembered:\n› And then?\n" in mid_answer.text()
    again = open_chat()
    again.type(UP)
    again.wait_for("› And then?")


@pytest.mark.skipif(shutil.which("tmux") is None, reason="needs tmux: a sitting that wraps anew")
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
        until = time.monotonic() + 60
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
