"""DataFrames, plots and Markdown of answers and chats."""

from datetime import UTC, datetime

import pytest

from mesh_client.events import Failed, Finished, Token
from mesh_client.notebook import Chat, messages_df, plot_speed, plot_timeline
from mesh_client.notebook import Mesh as NotebookMesh
from mesh_client.notebook.answer import Answer
from mesh_client.notebook.beside import table
from mesh_client.notebook.branches import choices
from mesh_client.notebook.plots import _pauses, _rate
from mesh_client.notebook.transcript import answer_markdown, branch_markdown, closed, quoted
from mesh_client.objects import Message
from mesh_client.thread import Thread
from tests.whole_mesh import ECHO


def said(answer: Answer, *texts: str) -> Answer:
    """Let an answer have been written."""
    for text in texts:
        answer.hear(Token(text, len(answer.pieces)))
    answer.hear(Finished("".join(texts), len(texts)))
    answer.close()
    return answer


@pytest.fixture
def answer(here: NotebookMesh) -> Answer:
    return Answer("Why?", here.background, model="m")


def test_frames_have_a_row_for_each(here: NotebookMesh) -> None:
    chat = Chat(mesh=here, model=ECHO)
    chat.ask("one two three", show=False)
    found = messages_df(chat)
    assert list(found.role) == ["prompter", "assistant"]
    assert found.tokens[1] == 3 and found.worker[1] == ECHO
    assert list(here.messages_df(chat.id).content) == list(found.content)
    assert list(here.chats_df().id) == [chat.id]
    workers = here.workers_df().set_index("name")
    assert workers.models[ECHO] == ECHO and 0 <= workers.load[ECHO] <= 1
    events = here.events_df(1000)
    assert {"started", "claimed", "finished"} <= set(events.kind)
    assert list(events["at"]) == sorted(events["at"])


def test_the_events_of_an_answer_are_what_was_heard_of_it(here: NotebookMesh) -> None:
    answer = Chat(mesh=here, model=ECHO).ask("one two three", show=False)
    kinds = list(answer.events_df().kind)
    assert kinds[:2] == ["asked", "accepted"] and kinds[-1] == "complete"
    assert "first token" in kinds


def test_plots_are_pictures(answer: Answer) -> None:
    said(answer, "one ", "two ", "three")
    for plot in (answer.plot(), plot_speed([answer]), plot_timeline([answer, answer])):
        data, metadata = plot._repr_mimebundle_()
        assert data["image/png"].startswith(b"\x89PNG") and metadata["image/png"]["width"] > 300


def test_plots_of_nothing_are_empty_and_no_error(here: NotebookMesh) -> None:
    for plot in (plot_speed([]), plot_timeline([]), Answer("Why?", here.background).plot()):
        assert plot._repr_mimebundle_()[0]["image/png"]


def test_a_rate_counts_what_came_within_the_window() -> None:
    at, rate = _rate([0.1 * n for n in range(1, 101)], window=1.0)
    assert rate[at.index(5.0)] == pytest.approx(10, abs=1)
    assert rate[0] == 0


def test_a_pause_is_much_longer_than_most_gaps() -> None:
    times = [0.05 * n for n in range(20)] + [1.5 + 0.05 * n for n in range(20)]
    ((left, right),) = _pauses(times)
    assert (left, right) == pytest.approx((0.95, 1.5))
    assert _pauses([0.0, 1.0, 2.0, 3.0]) == []


def test_an_answer_stays_with_its_figures(answer: Answer) -> None:
    said(answer, "**bold** ", "$x$")
    assert answer_markdown(answer).startswith("**bold** $x$\n\n<small>m · 2 tokens")


def test_a_failure_stays_with_its_sentence(answer: Answer) -> None:
    answer.hear(Token("half ", 0))
    answer.hear(Failed("engine_failed", "The <engine> failed.", "half "))
    answer.close()
    assert answer_markdown(answer) == "half\n\n⚠️ **The &lt;engine&gt; failed.**"


@pytest.mark.parametrize(
    ("text", "whole"),
    [
        ("```py\nx = 1", "```py\nx = 1\n```"),
        ("```py\nx = 1\n```", "```py\nx = 1\n```"),
        ("~~~~\n```\n", "~~~~\n```\n~~~~"),
        ("a ``` b", "a ``` b"),
        ("", ""),
    ],
)
def test_an_open_code_block_is_closed(text: str, whole: str) -> None:
    assert closed(text) == whole


def test_a_question_is_quoted_and_a_book_is_not_repeated() -> None:
    assert quoted("one\n\ntwo") == "> one\n>\n> two"
    assert quoted("x" * 1_000_000).endswith("… and 998,000 more characters")


def message(id: str, parent: str | None, role: str, text: str, state: str = "complete") -> Message:
    return Message(
        id=id,
        parent_id=parent,
        role=role,  # type: ignore[arg-type]
        state=state,  # type: ignore[arg-type]
        content=text,
        created_at=datetime.fromtimestamp(len(id), UTC),
    )


def test_what_is_still_written_stands_not_yet_in_the_transcript() -> None:
    over = [message("a", None, "prompter", "Why?"), message("bb", "a", "assistant", "So.")]
    running = [
        message("ccc", "bb", "prompter", "And?"),
        message("dddd", "ccc", "assistant", "", "in_progress"),
    ]
    assert branch_markdown(over + running) == branch_markdown(over) == "> Why?\n\nSo."


def test_branches_are_named_by_what_tells_them_apart() -> None:
    thread = Thread(
        [
            message("a", None, "prompter", "Why?"),
            message("bb", "a", "assistant", "Because it is so."),
            message("ccc", "a", "assistant", "x" * 100),
        ]
    )
    assert choices(thread) == [
        ("1/2 Because it is so.", "bb"),
        (f"2/2 {'x' * 31}…", "ccc"),
    ]


def test_a_table_survives_what_stands_in_it(answer: Answer) -> None:
    said(answer, "a | b\n<b>")
    head, line, row, _ = table([answer], ["m|1"]).splitlines()
    assert (head, line) == ("| m&#124;1 |", "| --- |")
    assert row == "| a &#124; b<br>&lt;b&gt; |"
