"""The pure parts of the REPL: lines, toolbar, commands, completion, Ctrl-C."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prompt_toolkit.completion import CompleteEvent
from prompt_toolkit.document import Document
from prompt_toolkit.utils import get_cwidth

from mesh_client.events import Finished, Pending, Reconnecting, Token
from mesh_client.objects import ChatInfo, Message, Model, Timings, Usage
from mesh_client.repl.commands import COMMANDS, Do, Say, Unknown, parse, typed
from mesh_client.repl.completion import CommandCompleter, Known
from mesh_client.repl.keys import Interrupts
from mesh_client.repl.printer import LinePrinter, last_rows
from mesh_client.repl.toolbar import Status, fragments
from mesh_client.terminal import printable

# --- lines ------------------------------------------------------------------------------------


@given(st.lists(st.text(st.sampled_from("ab\n漢 "), max_size=6)), st.data())
def test_each_line_leaves_the_printer_exactly_once(pieces: list[str], data: st.DataObject) -> None:
    printer, printed = LinePrinter(), ""
    for piece in pieces:
        printer.feed(piece)
        if data.draw(st.booleans()):
            printed += printer.take()
            assert (printed + printer.tail) == "".join(pieces)[: len(printed + printer.tail)]
    text = "".join(pieces)
    printed += printer.finish()
    assert printed == (text if text.endswith("\n") or not text else text + "\n")


def test_an_answer_cannot_command_the_terminal() -> None:
    assert printable("a\x1b[2Jb\x07\x9bc\r\n\td") == "a[2Jbc\n\td"


@given(st.text(st.sampled_from("ab漢👍"), max_size=80), st.integers(2, 20), st.integers(1, 5))
def test_the_end_of_a_long_line_fits_the_rows_and_keeps_their_borders(
    text: str, columns: int, rows: int
) -> None:
    shown = last_rows(text, columns, rows)
    assert text.endswith(shown)
    assert last_rows(shown, columns, 10_000) == shown
    assert last_rows(shown, columns, rows) == shown
    assert sum(map(get_cwidth, shown)) <= columns * rows


# --- toolbar ----------------------------------------------------------------------------------


def shown(status: Status, now: float = 0.0) -> str:
    return "".join(fragment[1] for fragment in fragments(status, now))


def test_the_toolbar_names_model_and_connection() -> None:
    assert shown(Status(model="echo")) == " echo · connected"
    assert shown(Status(model="echo", online=False)) == " echo · offline"


def test_the_toolbar_follows_an_answer() -> None:
    status = Status(model="echo")
    status.begin(0.0)
    status.event(Pending(2, 5), 0.1)
    assert "queued, 2 of 5 before you" in shown(status)
    for index in range(11):
        status.event(Token("x", index), 1.0 + index / 20)
    assert shown(status) == " echo · connected · answering · 20 tokens/s · first after 1.00 s"
    status.event(Reconnecting(1, 0.1, "the connection was cut"), 2.0)
    assert "offline · the connection was cut; resuming, attempt 1" in shown(status)
    message = Message(id="a", role="assistant", state="complete", worker="gpu-2")
    status.event(Finished("x" * 11, 11, "complete", message), 3.0)
    assert shown(status) == " echo · connected · gpu-2 · 20 tokens/s · first after 1.00 s"


def test_the_toolbar_says_when_nothing_comes_any_more() -> None:
    status = Status(model="echo")
    status.begin(0.0)
    status.event(Token("x", 0), 1.0)
    assert "answering" in shown(status, 2.0)
    assert "nothing for 7 s" in shown(status, 8.0)
    status.event(Token("x", 1), 9.0)
    assert "answering" in shown(status, 9.0)


@pytest.mark.parametrize(("attempts", "pace"), [(1, "50 tokens/s"), (2, "10.0 tokens/s")])
def test_the_pace_of_a_whole_answer_is_the_workers_unless_it_had_several(
    attempts: int, pace: str
) -> None:
    status = Status()
    status.begin(0.0)
    for index in range(2):
        status.event(Token("one two three ", index), 1.0 + index / 10)
    message = Message(
        id="a",
        role="assistant",
        state="complete",
        attempts=attempts,
        usage=Usage(completion_tokens=6),
        timings=Timings(generate=0.1),
    )
    status.event(Finished("", 6, "complete", message), 2.0)
    assert pace in shown(status)


def test_what_is_caught_up_on_at_once_does_not_count_as_pace_for_long() -> None:
    status = Status()
    status.begin(None)
    for index in range(1000):
        status.event(Token("x", index), 0.0)
    for index in range(100):
        status.event(Token("x", 1000 + index), index / 20)
    assert "20 tokens/s" in shown(status) and "first after" not in shown(status)


def test_while_an_answer_is_being_stopped_the_toolbar_says_so() -> None:
    status = Status()
    status.begin(0.0)
    status.stopping = True
    status.event(Token("x", 0), 1.0)
    assert "stopping" in shown(status) and "answering" not in shown(status)


# --- commands ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "meaning"),
    [
        ("hello", Say("hello")),
        ("  ", Say("")),
        ("/usr/bin is a folder", Say("/usr/bin is a folder")),
        ("/ what", Say("/ what")),
        ("//repeat one two", Say("/repeat one two")),
        ("// a comment", Say("// a comment")),
        ("/new", Do(COMMANDS["new"], "")),
        ("/MODEL  tiny ", Do(COMMANDS["model"], "tiny")),
        ("/system Be brief.\nBe kind.", Do(COMMANDS["system"], "Be brief.\nBe kind.")),
    ],
)
def test_a_line_is_a_question_or_a_command(line: str, meaning: Say | Do) -> None:
    assert parse(line) == meaning


@given(st.text(st.sampled_from("/new \n"), max_size=8))
def test_any_text_can_be_typed(text: str) -> None:
    assert parse(typed(text)) == Say(text.strip())


@pytest.mark.parametrize(
    ("line", "nearest"), [("/modl x", "/model"), ("/q", "/quit"), ("/resum", "/resume")]
)
def test_an_unknown_command_names_the_nearest(line: str, nearest: str) -> None:
    meaning = parse(line)
    assert isinstance(meaning, Unknown) and f"did you mean {nearest}?" in meaning.sentence


def test_an_unknown_command_like_no_other_names_the_help() -> None:
    sentence = "There is no /xyzzy; /help lists the commands, and //xyzzy sends it as text."
    assert parse("/xyzzy") == Unknown(sentence)


# --- completion -------------------------------------------------------------------------------


def completions(line: str) -> list[str]:
    known = Known()
    known.models = [Model(id="tiny"), Model(id="tiny-2"), Model(id="large")]
    known.chats = [ChatInfo(id="c1", title="Foxes"), ChatInfo(id="c2")]
    found = CommandCompleter(known).get_completions(Document(line), CompleteEvent())
    return [completion.text for completion in found]


@pytest.mark.parametrize(
    ("line", "texts"),
    [
        ("/re", ["resume ", "retry"]),
        ("/model ti", ["tiny", "tiny-2"]),
        ("/resume fox", ["c1"]),
        ("/resume c", ["c1", "c2"]),
        ("/new ", []),
        ("/nothing ", []),
        ("hello /re", []),
        ("re", []),
    ],
)
def test_commands_and_their_arguments_complete(line: str, texts: list[str]) -> None:
    assert completions(line) == texts


# --- Ctrl-C -----------------------------------------------------------------------------------


def test_only_a_quick_second_interrupt_is_the_second_one() -> None:
    now = 0.0
    interrupts = Interrupts(lambda: now)
    assert not interrupts.twice()
    now = 2.1
    assert not interrupts.twice()
    now = 4.0
    assert interrupts.twice()
    interrupts.forget()
    assert not interrupts.twice()
