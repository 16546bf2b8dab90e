"""The pure parts of the REPL: toolbar, commands, completion, parameters, tree, pastes, files."""

import re
from io import StringIO
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prompt_toolkit.application import create_app_session
from prompt_toolkit.completion import CompleteEvent
from prompt_toolkit.document import Document
from prompt_toolkit.output.plain_text import PlainTextOutput
from prompt_toolkit.utils import get_cwidth

from mesh_client import files
from mesh_client.errors import MeshClientError
from mesh_client.events import Finished, Pending, Reconnecting, Token
from mesh_client.objects import ChatInfo, Message, MessageState, Model, Timings, Usage
from mesh_client.repl import saying, tree
from mesh_client.repl.commands import COMMANDS, Do, Say, Unknown, parse, typed
from mesh_client.repl.completion import CommandCompleter, Known
from mesh_client.repl.history import open_history
from mesh_client.repl.keys import Interrupts
from mesh_client.repl.parameters import setting
from mesh_client.repl.pastes import Pastes
from mesh_client.repl.toolbar import Status, fragments
from mesh_client.thread import Thread


def question(id: str, parent: str | None = None, text: str = "") -> Message:
    return Message(
        id=id, role="prompter", state="manual", parent_id=parent, content=text or f"{id}?"
    )


def answer(id: str, parent: str, state: MessageState = "complete") -> Message:
    return Message(id=id, role="assistant", state=state, parent_id=parent, content=f"{id}!")


# --- toolbar ----------------------------------------------------------------------------------


def shown(status: Status, now: float = 0.0) -> str:
    return "".join(fragment[1] for fragment in fragments(status, now))


def test_the_toolbar_names_model_and_connection() -> None:
    assert shown(Status(model="echo")) == " ● echo · connected"
    assert shown(Status(model="echo", online=False)) == " ○ echo · offline"


def test_the_toolbar_follows_an_answer() -> None:
    status = Status(model="echo")
    status.begin(0.0)
    status.event(Pending(2, 5), 0.1)
    assert "queued, 2 of 5 before you" in shown(status)
    for index in range(11):
        status.event(Token("x", index), 1.0 + index / 20)
    assert shown(status) == " ● echo · connected · answering · 20 tokens/s · first after 1.00 s"
    status.event(Reconnecting(1, 0.1, "the connection was cut"), 2.0)
    assert "offline · the connection was cut; resuming, attempt 1" in shown(status)
    message = Message(id="a", role="assistant", state="complete", worker="gpu-2")
    status.event(Finished("x" * 11, 11, "complete", message), 3.0)
    assert shown(status) == " ● echo · connected · gpu-2 · 20 tokens/s · first after 1.00 s"


def test_the_wait_in_the_queue_is_told_and_guessed_from_those_who_went() -> None:
    status = Status()
    status.begin(0.0)
    status.event(Pending(4, 6), 0.0)
    assert "queued, 4 of 6 before you · 3 s" in shown(status, 3.0)
    status.event(Pending(2, 6), 6.0)
    assert "queued, 2 of 6 before you · 7 s, about 8 s to go" in shown(status, 7.0)
    status.event(Pending(0, 6), 12.0)
    assert "next in the queue · 13 s, about 2 s to go" in shown(status, 13.0)
    assert "to go" not in shown(status, 20.0), "it takes longer than that"
    status.event(Token("x", 0), 21.0)
    assert "21 s" not in shown(status, 21.0)


def test_the_toolbar_tells_context_branch_files_and_background() -> None:
    status = Status(context=(1200, 8192), branch=(2, 3), files=1, background=1)
    said = "branch 2 of 3 · 1 in the background · 1 file attached · context 1,200 of 8,192"
    assert said in shown(status)
    assert "context 1,200" in shown(Status(context=(1200, None)))


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
    known.recent = [ChatInfo(id="c1", title="Foxes"), ChatInfo(id="c2")]
    known.answers = [answer("a1", "q1"), answer("a2", "q1")]
    found = CommandCompleter(known).get_completions(Document(line), CompleteEvent())
    return [completion.text for completion in found]


@pytest.mark.parametrize(
    ("line", "texts"),
    [
        ("/re", ["resume ", "retry "]),
        ("/retry l", ["large"]),
        ("/set temp", ["temperature "]),
        ("/branch ", ["1", "2"]),
        ("/help tr", ["tree"]),
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


# --- parameters -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("typed_in", "meaning"),
    [
        ("temperature 0.2", ("temperature", 0.2)),
        ("top_k=40", ("top_k", 40)),
        ("max_tokens -", ("max_tokens", None)),
    ],
)
def test_a_parameter_is_set_or_cleared(typed_in: str, meaning: tuple[str, float | None]) -> None:
    assert setting(typed_in) == meaning


@pytest.mark.parametrize(
    ("typed_in", "sentence"),
    [
        ("temprature 1", "did you mean temperature?"),
        ("temperature hot", "temperature takes a number from 0 to 5, not hot."),
        ("top_k 1.5", "top_k takes a whole number, at least 0, not 1.5."),
        ("top_p nan", "top_p takes a number from 0 to 1, not nan."),
    ],
)
def test_a_wrong_parameter_says_what_would_do(typed_in: str, sentence: str) -> None:
    with pytest.raises(MeshClientError, match=re.escape(sentence)):
        setting(typed_in)


# --- the tree ---------------------------------------------------------------------------------

FORKED = [
    question("q1"), answer("a1", "q1"), question("q2", "a1"), answer("a2", "q2"),
    question("q3", "a1"), answer("a3", "q3"), answer("a4", "q3", "cancelled"),
]  # fmt: skip


def drawn(thread: Thread, width: int = 40) -> list[str]:
    return ["".join(text for _, text in row) for row in tree.draw(thread, width)]


def test_a_tree_is_drawn_with_forks_only_where_they_are() -> None:
    assert drawn(Thread(FORKED)) == [
        "› q1?",
        "1 a1!",
        "├─› q2?",
        "│ 2 a2!",
        "└─› q3?",
        "  ├─3 a3!",
        "  └─4 a4! (stopped) ← here",
    ]


def test_what_is_long_is_cut_off_in_the_tree() -> None:
    thread = Thread([question("q", text="漢字 " * 30), answer("a", "q")])
    assert all(sum(map(get_cwidth, row)) <= 40 for row in drawn(thread))


def test_a_deep_chat_is_drawn() -> None:
    chat = [question("q0"), answer("a0", "q0")]
    for n in range(1, 2000):
        chat += [question(f"q{n}", f"a{n - 1}"), answer(f"a{n}", f"q{n}")]
    assert len(drawn(Thread(chat))) == 4000


def test_the_next_branch_is_the_one_beside_the_last_fork_in_turn() -> None:
    thread = Thread(FORKED)
    assert tree.place(thread) == (3, 3)
    for expected in ("a3", "a4"):
        following = tree.next_branch(thread)
        assert following is not None and following.id == expected
        thread.switch(following.id)
    assert tree.next_branch(Thread(FORKED[:2])) is None


# --- what is pasted, attached, written --------------------------------------------------------


def test_a_long_paste_is_shown_as_a_label_and_sent_whole() -> None:
    pastes = Pastes()
    assert pastes.shown("short") == "short"
    long, many = "x" * 1_048_576, "y\n" * 99
    line = f"see {pastes.shown(long)} and {pastes.shown(many)}, {pastes.shown(long)}"
    assert "[pasted text 1: 1,048,576 characters] and [pasted text 2: 100 lines], [pasted" in line
    assert pastes.expanded(line) == f"see {long} and {many}, {long}"
    assert Pastes().expanded(line) == line


def test_a_file_stands_before_the_question_as_code_with_enough_marks(tmp_path: Path) -> None:
    (tmp_path / "notes.md").write_text("a\n```\nb\n")
    attached = files.attach(str(tmp_path / "notes.md"))
    asked = files.with_files("What is this?", [attached])
    assert asked == "notes.md:\n\n````md\na\n```\nb\n````\n\nWhat is this?"


@pytest.mark.parametrize(
    ("content", "sentence"),
    [(None, "cannot be read"), (b"\xff", "no UTF-8 text"), (b" ", "is empty"),
     (b"x" * (files.LARGEST + 1), "more than 1 MiB")],
)  # fmt: skip
def test_a_file_that_cannot_be_sent_says_why(
    tmp_path: Path, content: bytes | None, sentence: str
) -> None:
    path = tmp_path / "file"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(MeshClientError, match=sentence):
        files.attach(str(path))


def test_a_chat_is_written_as_markdown_or_json_and_nothing_overwritten(tmp_path: Path) -> None:
    info, thread = ChatInfo(id="c", title="On foxes"), Thread(FORKED)
    path = files.export(info, thread, str(tmp_path / "chat.md"))
    assert path.read_text().startswith("# On foxes\n\n## You\n\nq1?\n\n## Answer\n\na1!\n")
    whole = msgspec.json.decode(
        files.export(info, thread, str(tmp_path / "chat.json")).read_bytes(), type=files.Exported
    )
    assert (len(whole.messages), whole.branch) == (7, ["q1", "a1", "q3", "a4"])
    for name, sentence in ((str(path), "is there already"), ("chat.pdf", "as .md or .json")):
        with pytest.raises(MeshClientError, match=sentence):
            files.export(info, thread, name)


def test_a_history_that_cannot_be_written_costs_no_question(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    history = open_history(tmp_path / "file" / "history", str)
    history.append_string("asked")
    assert history.get_strings()[-1] == "asked"
    assert history.trouble is not None and "cannot be used" in history.trouble


def test_columns_stay_below_one_another_where_glyphs_are_wide() -> None:
    out = StringIO()
    with create_app_session(output=PlainTextOutput(out)):
        saying.table([("1", "漢字", "then"), ("2", "plain", "now")])
    first, second = out.getvalue().splitlines()
    before = get_cwidth(first.partition("then")[0]), get_cwidth(second.partition("now")[0])
    assert before[0] == before[1]
