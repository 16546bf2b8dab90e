"""The slash commands of the REPL, in a real pty, against a scripted gateway."""

from pathlib import Path

from tests.sitting import CTRL_B, Sitting, idle
from tests.unit.client.conftest import Open
from tests.unit.client.scripted_gateway import ScriptedGateway


def test_help_lists_commands_and_keys(open_chat: Open) -> None:
    sitting = open_chat()
    sitting.send("/help")
    sitting.wait_for("/resume [NUMBER|ID]", "/quit", "Alt-Enter, Ctrl-J")


def test_an_unknown_command_is_not_sent(open_chat: Open, gateway: ScriptedGateway) -> None:
    sitting = open_chat()
    sitting.send("/modl")
    sitting.wait_for("did you mean /model?")
    assert gateway.questions == []


def test_chats_are_listed_and_resumed_by_number(open_chat: Open, gateway: ScriptedGateway) -> None:
    sitting = open_chat()
    sitting.say("Count.")
    sitting.send("/chats")
    sitting.wait_for("1  chat-1  newer", "2  chat-0  older")
    sitting.send("/new")
    sitting.wait_for("a new chat")
    sitting.send("/resume 1")
    sitting.wait(lambda text: text.count("› Count.") == 2 and text.count("five.") == 2)


def test_model_and_system_prompt_are_used_from_then_on(
    open_chat: Open, gateway: ScriptedGateway
) -> None:
    sitting = open_chat()
    sitting.send("/model echo")
    sitting.send("/system Be brief.")
    sitting.wait_for("system prompt: Be brief.")
    sitting.send("Count.")
    sitting.wait_for("five.")
    sent = gateway.last_body()
    assert (sent["model_config_name"], sent["system_prompt"]) == ("echo", "Be brief.")


def test_a_model_that_nobody_serves_is_not_chosen(open_chat: Open) -> None:
    sitting = open_chat()
    sitting.send("/model ecko")
    sitting.wait_for("There is no model ecko (did you mean echo?)")


def test_an_answer_that_was_cut_off_says_so(open_chat: Open, gateway: ScriptedGateway) -> None:
    gateway.finish = "length"
    sitting = open_chat()
    sitting.send("Count.")
    sitting.wait_for("five.", "cut off at the limit of tokens")


def test_retry_answers_the_last_question_again(open_chat: Open, gateway: ScriptedGateway) -> None:
    sitting = open_chat()
    sitting.send("/retry")
    sitting.wait_for("Nothing was asked in this chat yet.")
    sitting.wait(idle)
    sitting.say("Count.")
    sitting.send("/retry")
    sitting.wait(lambda text: text.count("five.") == 2)
    assert gateway.questions == ["Count."]


def test_branches_are_made_by_edit_and_retry_drawn_and_chosen(
    open_chat: Open, gateway: ScriptedGateway
) -> None:
    sitting = open_chat()
    sitting.send("Count to five.")
    sitting.wait(lambda text: text.count("\nfive.") == 1 and idle(text))
    sitting.send("/edit")
    sitting.wait_for("› /edit Count to five.")
    sitting.send(" Slowly.")
    sitting.wait(lambda text: text.count("\nfive.") == 2 and idle(text))
    assert (gateway.last_body()["content"], gateway.last_body()["beside"]) == (
        "Count to five. Slowly.",
        "question-1",
    )
    sitting.send("/retry")
    sitting.wait(lambda text: text.count("\nfive.") == 3 and idle(text))
    sitting.wait_for("branch 3 of 3")
    sitting.send("/tree")
    text = sitting.wait_for("← here")
    drawn = [line.strip() for line in text.partition("/tree")[2].split("\n")]
    assert drawn[1:6] == [
        "├─› Count to five.",
        "│ 1 One two thrée four five.",
        "└─› Count to five. Slowly.",
        "├─2 One two thrée four five.",
        "└─3 One two thrée four five. ← here",
    ]
    sitting.send("/branch 1")
    sitting.wait_for("branch 1 of 3")
    assert gateway.tail == "answer-1"
    sitting.send("And six?")
    sitting.wait(lambda text: text.count("\nfive.") == 5 and idle(text))
    assert gateway.last_body()["parent_id"] == "answer-1"


def test_parameters_are_set_per_turn(open_chat: Open, gateway: ScriptedGateway) -> None:
    sitting = open_chat()
    sitting.send("/set temperature 0.5")
    sitting.wait(lambda text: "0.5" in text.partition("/set")[2].partition("temperature  ")[2])
    sitting.send("/set max_tokens 9")
    sitting.send("Count.")
    sitting.wait_for("five.")
    assert gateway.last_body()["sampling_parameters"] == {"temperature": 0.5, "max_new_tokens": 9}
    sitting.wait(idle)
    sitting.send("/set temperature -")
    sitting.send("Again.")
    sitting.wait(lambda text: text.count("five.") == 2)
    assert gateway.last_body()["sampling_parameters"] == {"max_new_tokens": 9}


def test_an_answer_is_left_another_chat_begun_and_the_answer_rejoined(
    mid_answer: Sitting, gateway: ScriptedGateway
) -> None:
    mid_answer.type(CTRL_B)
    mid_answer.wait_for("it goes on without you", "1 in the background")
    mid_answer.send("/attach")
    mid_answer.wait(lambda text: text.count("One two thrée") == 2 and "answering" in text)
    mid_answer.send("/detach")
    mid_answer.wait(lambda text: text.count("it goes on without you") == 2 and idle(text))
    gateway.release()
    mid_answer.wait_for("“Count.” is answered: /attach")
    mid_answer.say("/attach")
    assert not gateway.cancelled and gateway.questions == ["Count."]


def test_a_question_behind_an_answer_that_was_left_waits_for_its_end(
    mid_answer: Sitting, gateway: ScriptedGateway
) -> None:
    mid_answer.type(CTRL_B)
    mid_answer.wait_for("it goes on without you")
    mid_answer.send("And then?")
    mid_answer.wait(lambda text: text.count("One two thrée") == 2 and "answering" in text)
    gateway.hold_before = None
    gateway.release()
    mid_answer.wait(lambda text: text.count("five.") == 2 and idle(text))
    assert gateway.questions == ["Count.", "And then?"]


def test_a_file_goes_with_the_next_question_alone(
    open_chat: Open, gateway: ScriptedGateway, tmp_path: Path
) -> None:
    (tmp_path / "notes.txt").write_text("Buy milk.\n")
    sitting = open_chat(columns=250)
    sitting.type(f"/file {tmp_path}/not")
    sitting.wait_for(f"› /file {tmp_path}/not\n", "notes.txt")
    sitting.type("\t\r\r")
    sitting.wait_for("notes.txt, 10 characters, goes with the next question", "1 file attached")
    sitting.send("What is to do?")
    sitting.wait_for("five.")
    assert (
        gateway.last_body()["content"] == "notes.txt:\n\n```txt\nBuy milk.\n```\n\nWhat is to do?"
    )
    sitting.wait(idle)
    sitting.send("And now?")
    sitting.wait(lambda text: text.count("five.") == 2)
    assert gateway.last_body()["content"] == "And now?"


def test_a_chat_is_exported(open_chat: Open, tmp_path: Path) -> None:
    sitting = open_chat()
    sitting.say("Count.")
    sitting.send(f"/export {tmp_path}/chat.md")
    sitting.wait(lambda text: "written to" in text)
    assert "## You\n\nCount.\n\n## Answer\n\nOne two" in (tmp_path / "chat.md").read_text()
    sitting.wait(idle)
    sitting.send(f"/export {tmp_path}/chat.md")
    sitting.wait_for("give another name.")


def test_quit_leaves(open_chat: Open) -> None:
    sitting = open_chat()
    sitting.send("/quit")
    assert sitting.exit_status() == 0
