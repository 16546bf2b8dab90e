"""The views of a running answer, with a page that only listens: what is sent, and how much."""

import asyncio
import time
from collections.abc import Callable
from itertools import pairwise

import msgspec
import pytest

from mesh_client.events import Failed, Finished, Pending, Reconnecting, Token
from mesh_client.notebook import Mesh as NotebookMesh
from mesh_client.notebook.answer import Answer
from mesh_client.notebook.background import Background
from mesh_client.notebook.chat import Chat
from mesh_client.notebook.live import drive, line_of
from mesh_client.notebook.pacing import LIMIT, Pacer
from mesh_client.notebook.patience import Patience
from mesh_client.notebook.plain import Plain
from mesh_client.notebook.smooth import Smooth
from tests.notebook.conftest import Page
from tests.whole_mesh import SLOW

LONG = "/repeat " + " ".join(f"<{n}>" for n in range(40))


@pytest.fixture
def answer(here: NotebookMesh) -> Answer:
    """An answer that the test itself tells what it hears."""
    return Answer("<b>Why?</b>", here.background)


def hear(answer: Answer, *texts: str) -> None:
    for text in texts:
        answer.hear(Token(text, len(answer.pieces)))


def parts(page: Page, smooth: Smooth) -> list[str]:
    found = [message["draw"]["part"] for message in page.custom(smooth.widget.comm.comm_id)]
    return [part["text"] for part in found if part]


def test_only_what_is_new_is_sent(here: NotebookMesh, page: Page, answer: Answer) -> None:
    smooth = Smooth(here)
    hear(answer, "one ", "two ")
    smooth.draw(answer)  # a keyframe, for the phase is new
    hear(answer, "three ")
    smooth.draw(answer)
    hear(answer, "four ", "five ")
    smooth.draw(answer)
    assert parts(page, smooth) == ["three ", "four five "]
    assert smooth.widget.shown["text"] == "one two three four five "


def test_a_page_that_comes_later_finds_all_of_it(
    here: NotebookMesh, page: Page, answer: Answer
) -> None:
    smooth = Smooth(here)
    for number in range(50):
        hear(answer, f"{number} ")
        smooth.draw(answer)
    state = smooth.widget.get_state()["shown"]
    assert (state["text"], state["pieces"]) == (answer.text, 50)


def test_a_page_that_missed_something_is_told_all_within_a_while(
    here: NotebookMesh, page: Page, answer: Answer, monkeypatch: pytest.MonkeyPatch
) -> None:
    smooth = Smooth(here)
    clock = [0.0]
    monkeypatch.setattr("mesh_client.notebook.smooth.time.monotonic", lambda: clock[0])
    for _ in range(200):  # ten seconds
        hear(answer, "x")
        smooth.draw(answer)
        clock[0] += 0.05
    keyframes = [
        len(state["shown"]["text"])
        for state in page.states(smooth.widget.comm.comm_id)
        if "shown" in state
    ]
    gaps = [later - one for one, later in pairwise([*keyframes, len(answer.text)])]
    assert max(gaps) <= 41 and len(keyframes) < 12


def test_one_view_shows_one_answer_after_the_other(
    here: NotebookMesh, page: Page, answer: Answer
) -> None:
    smooth = Smooth(here)
    hear(answer, "first")
    smooth.draw(answer)
    second = Answer("And?", here.background)
    hear(second, "second")
    smooth.draw(second)
    assert smooth.widget.shown["text"] == "second"


def test_the_state_of_a_widget_holds_no_sign_in(here: NotebookMesh, page: Page) -> None:
    smooth = Smooth(here, composer=True)
    chat = Chat(mesh=here, model=SLOW)
    answer = chat.start(LONG)
    drawing = here.background.start(drive(answer, smooth))
    here.background.wait(until(lambda: smooth.widget.shown["cancel_token"]))
    kept = here.client._store.load()
    assert kept is not None
    told = msgspec.json.encode([data for _, data in page.told]).decode()
    assert answer.cancel_token in told
    assert kept.access_token not in told and kept.refresh_token not in told
    answer.stop()
    drawing.result(60)
    assert smooth.widget.shown["cancel_token"] == ""


def test_stop_in_the_page_stops_the_answer(here: NotebookMesh, page: Page) -> None:
    smooth = Smooth(here)
    answer = Chat(mesh=here, model=SLOW).start(LONG)
    smooth.on_stop(answer.stop_soon)
    drawing = here.background.start(drive(answer, smooth))
    here.background.wait(until(lambda: answer.pieces))
    page.say(smooth.widget.comm.comm_id, {"stop": True})
    drawing.result(60)
    assert answer.state == "cancelled"
    assert smooth.widget.shown["status"] == str(answer.stopped)
    assert "freed in" in smooth.widget.shown["status"]


def test_fifty_answers_stream_at_once_within_twenty_redraws_a_second(
    here: NotebookMesh, page: Page
) -> None:
    patience = Patience()  # a store that falls behind refuses some of so many, for a moment
    answers = [
        Chat(mesh=here, model=SLOW).start_patiently(LONG, patience, max_tokens=4000)
        for _ in range(50)
    ]
    pacer, views = Pacer(), [Smooth(here) for _ in range(50)]
    drawing = [
        here.background.start(drive(answer, view, pacer))
        for answer, view in zip(answers, views, strict=True)
    ]
    here.background.wait(until(lambda: all(answer.pieces for answer in answers), seconds=100))
    page.told.clear()
    before, began = [len(answer.pieces) for answer in answers], time.monotonic()
    time.sleep(4.0)
    told, seconds = len(page.told), time.monotonic() - began
    assert 0 < told <= LIMIT * seconds
    assert all(len(answer.pieces) > one for answer, one in zip(answers, before, strict=True))
    for answer in answers:
        answer.stop_soon()
    for drawn in drawing:
        drawn.result(60)
    words = LONG.removeprefix("/repeat ").split()
    for answer, view in zip(answers, views, strict=True):
        whole = "".join(f"{words[k % 40]} " for k in range(answer.tokens))
        assert (answer.state, answer.text, view.widget.shown["text"]) == ("cancelled", whole, whole)


async def test_a_pacer_keeps_its_gaps_whoever_asks() -> None:
    pacer = Pacer(per_second=100)
    times: list[float] = []

    async def ask() -> None:
        for _ in range(5):
            await pacer.turn()
            times.append(time.monotonic())

    await asyncio.gather(*(ask() for _ in range(4)))
    assert len(times) == 20
    assert times[-1] - times[0] >= 19 * 0.01 - 0.005


def test_the_plain_view_escapes_what_it_shows(here: NotebookMesh, answer: Answer) -> None:
    plain = Plain(composer=True)
    hear(answer, "<script>alert(1)</script>")
    plain.draw(answer)
    assert "<script>" not in plain._text.value and "&lt;script&gt;" in plain._text.value
    assert "<b>" not in plain._question.value
    assert plain._stop.layout.display == ""


def test_the_plain_view_stops_and_sends(here: NotebookMesh) -> None:
    plain = Plain(composer=True)
    heard: list[str] = []
    plain.on_stop(lambda: heard.append("stop"))
    plain.on_send(heard.append)
    plain._stop.click()
    plain._input.value = "Hello!"
    plain._send.click()
    assert heard == ["stop", "Hello!"]


def test_the_line_says_how_an_answer_stands(answer: Answer) -> None:
    assert line_of(answer).text == "sending …"
    answer.hear(Pending(queue_position=2, queue_size=5))
    assert line_of(answer).text == "in the queue, 2 before this one"
    answer.hear(Pending(queue_position=0, queue_size=5))
    assert line_of(answer).text == "waiting for the first token …"
    hear(answer, "one ")
    assert "1 tokens" in line_of(answer).text
    answer.hear(Reconnecting(1, 0.1, "the connection was cut"))
    assert "looking for it again" in line_of(answer).text
    answer.hear(Finished("one ", 1))
    answer.close()
    assert line_of(answer).tone == ""


def test_a_failure_is_said_as_one(answer: Answer) -> None:
    hear(answer, "one ")
    answer.hear(Failed("engine_failed", "The engine failed.", "one "))
    answer.close()
    assert line_of(answer) == type(line_of(answer))("The engine failed.", "bad")


def test_a_background_loop_ends_with_what_runs_on_it() -> None:
    background = Background()
    future = background.start(asyncio.sleep(60))
    background.close()
    assert future.cancelled()


async def until(holds: Callable[[], object], seconds: float = 60.0) -> None:
    async with asyncio.timeout(seconds):
        while not holds():
            await asyncio.sleep(0.01)
