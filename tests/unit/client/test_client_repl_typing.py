"""Typing at the REPL, in a real pty: lines, pastes, history, completion, an editor."""

import stat
from contextlib import suppress
from pathlib import Path

import pytest

from tests.sitting import ALT_ENTER, CTRL_C, CTRL_D, CTRL_G, CTRL_J, CTRL_R, TAB, UP, Sitting, idle
from tests.unit.client.conftest import Open
from tests.unit.client.scripted_gateway import Answer, ScriptedGateway


@pytest.mark.parametrize("key", [CTRL_J, ALT_ENTER], ids=["Ctrl-J", "Alt-Enter"])
def test_a_new_line_is_not_sent(open_chat: Open, gateway: ScriptedGateway, key: str) -> None:
    sitting = open_chat()
    sitting.send(f"one{key}two")
    sitting.wait_for("five.")
    assert gateway.questions == ["one\ntwo"]


def test_pasting_never_sends(open_chat: Open, gateway: ScriptedGateway) -> None:
    sitting = open_chat()
    sitting.type("\x1b[200~first\rsecond\r\x1b[201~")
    sitting.wait_for("first", "second")
    assert gateway.questions == []
    sitting.send("")
    sitting.wait_for("five.")
    assert gateway.questions == ["first\nsecond"]


def test_what_is_typed_ahead_is_kept_and_what_is_sent_ahead_is_sent(
    open_chat: Open, gateway: ScriptedGateway
) -> None:
    gateway.hold_before = 3
    sitting = open_chat()
    sitting.send("Count.")
    sitting.wait_for("One two thrée")
    sitting.send("And then?")
    sitting.wait_for("next: And then?")
    sitting.type("And aft")
    sitting.wait_for("› And aft")
    gateway.hold_before = None
    gateway.release()
    sitting.wait(lambda text: text.count("five.") == 2 and "› And aft" in text.split("five.")[2])
    assert sitting.lines().count("› And then?") == 1
    assert gateway.questions == ["Count.", "And then?"]


def test_history_is_kept_between_sittings_and_searched(
    open_chat: Open, environment: dict[str, str], gateway: ScriptedGateway
) -> None:
    first = open_chat()
    first.say("tell me of foxes")
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
    assert gateway.questions == ["tell me of foxes"] * 2


def test_commands_complete(open_chat: Open) -> None:
    sitting = open_chat()
    sitting.type("/mod")
    sitting.wait_for("› /mod\n", "list the models, or choose one")
    sitting.type(TAB)
    sitting.wait_for("› /model")


def test_chats_complete_by_their_titles_without_being_listed_first(open_chat: Open) -> None:
    sitting = open_chat()
    sitting.type("/resume ol")

    def offered(text: str) -> bool:
        if "older" not in text:
            sitting.type("d\x7f")  # another look at what is known by now
        return "older" in text

    sitting.wait(offered)
    for _ in range(5):  # Tab only shows again what the last of those looks has closed
        sitting.type(TAB)
        with suppress(AssertionError):
            sitting.wait_for("› /resume chat-0", timeout=10.0)
            return
    raise AssertionError(sitting.text())


def test_commands_complete_also_while_an_answer_is_written(
    mid_answer: Sitting, gateway: ScriptedGateway
) -> None:
    mid_answer.type("/mod")
    mid_answer.wait_for("› /mod\n", "list the models, or choose one")
    mid_answer.type(TAB)
    mid_answer.wait_for("› /model")
    mid_answer.type("ec")
    mid_answer.wait_for("› /model ec\n echo")
    mid_answer.type(f"{TAB}\r")
    mid_answer.wait(lambda text: "› /model echo\n ● echo" in text)  # chosen, and not yet sent
    mid_answer.type("\r")
    mid_answer.wait_for("next: /model echo")
    gateway.release()
    text = mid_answer.wait(lambda text: "echo answers from now on" in text and idle(text))
    assert text.count("One two thrée") == 1


def test_what_was_asked_before_is_searched_also_while_an_answer_is_written(
    open_chat: Open, gateway: ScriptedGateway
) -> None:
    sitting = open_chat()
    sitting.say("tell me of foxes")
    gateway.hold_before = 3
    sitting.send("Count.")
    sitting.wait(lambda text: text.count("One two thrée") == 2 and "answering" in text)
    sitting.type(CTRL_R + "fox")
    sitting.wait_for("I-search backward: fox", "› tell me of foxes\nI-search")
    sitting.type(CTRL_C)  # gives up the search, and neither the answer nor the sitting
    sitting.wait(lambda text: "I-search" not in text and "answering" in text)
    sitting.type(CTRL_R + "fox\r")
    sitting.wait(lambda text: "› tell me of foxes\n ● echo" in text)
    sitting.type("\x05 and ravens\r")  # Ctrl-E: to the end
    sitting.wait_for("next: tell me of foxes and ravens")
    gateway.hold_before = None
    gateway.release()
    text = sitting.wait(lambda text: text.count("five.") == 3 and idle(text))
    assert gateway.questions == ["tell me of foxes", "Count.", "tell me of foxes and ravens"]
    assert text.count("One two thrée") == 3 and not gateway.cancelled


def test_what_was_asked_before_is_walked_through_also_while_an_answer_is_written(
    mid_answer: Sitting,
) -> None:
    mid_answer.type(UP)
    mid_answer.wait(lambda text: text.count("› Count.") == 2)


def test_a_search_is_given_up_by_ctrl_c(open_chat: Open) -> None:
    sitting = open_chat()
    sitting.type("kept" + CTRL_R + "fox")
    sitting.wait_for("I-search backward: fox")
    sitting.type(CTRL_C)
    sitting.wait(lambda text: "I-search" not in text and "› kept" in text)


@pytest.mark.parametrize("keys", [CTRL_G, "\x18\x05"], ids=["Ctrl-G", "Ctrl-X Ctrl-E"])
def test_the_editor_is_opened_with_what_is_typed(
    open_chat: Open, environment: dict[str, str], gateway: ScriptedGateway, keys: str
) -> None:
    editor = Path(environment["HOME"], "editor")
    editor.write_text("#!/bin/sh\nprintf 'and five.' >> \"$1\"\n")
    editor.chmod(0o755)
    environment["EDITOR"] = str(editor)
    sitting = open_chat()
    sitting.type(f"Four, {keys}")
    sitting.wait_for("› Four, and five.\n ● echo")
    assert gateway.questions == []
    sitting.send("")
    sitting.wait_for("thrée")
    assert gateway.questions == ["Four, and five."]


def test_a_megabyte_is_pasted_sent_and_taken_back_when_it_is_too_much(
    open_chat: Open, gateway: ScriptedGateway
) -> None:
    detail = "content has 1,048,585 characters; at most 100,000 are accepted."
    problem = {"detail": detail, "code": "too_large", "request_id": "r"}
    gateway.refusals = {"messages": [Answer(413, problem)]}
    sitting = open_chat(columns=100)
    sitting.type("Read: ")
    for _ in range(16):
        sitting.type("\x1b[200~" + "x" * 65_536 + "\x1b[201~")
    sitting.wait_for("[pasted text 1: 65,536 characters]")
    sitting.send("")
    sitting.wait_for("at most 100,000 are accepted.")
    sitting.wait(lambda text: text.count("› Read: [pasted text 1") == 2)
    sitting.send("")
    sitting.wait_for("five.")
    assert gateway.questions == ["Read: " + "x" * 65_536 * 16]
