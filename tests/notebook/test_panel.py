"""The window of a chat, in a real kernel: the test is the page, and presses its buttons."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.notebook.kernels import Kernel, kernel
from tests.whole_mesh import ECHO, FAILING, SLOW, Mesh

TOO_LONG = " ".join("abcdefghijklmnop")

LATE = """
import asyncio
from mesh_client.async_client import AsyncAnswer
plain = AsyncAnswer.cancel
async def late(answer):
    stop = await plain(answer)
    await asyncio.sleep(0.5)
    return stop
AsyncAnswer.cancel = late
"""
"""Stops are acknowledged long after the last words are drawn, as on a busy machine."""


@pytest.fixture(scope="module")
def a_kernel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    with kernel(tmp_path_factory.mktemp("kernel")) as found:
        found.run("from mesh_client.notebook import Chat, Mesh")
        yield found


@pytest.fixture
def talk(a_kernel: Kernel, tmp_path: Path) -> Kernel:
    """A kernel that has heard nothing yet."""
    a_kernel.heard.clear()
    return a_kernel


def show(talk: Kernel, url: str, model: str, user: str) -> None:
    """Show a chat."""
    talk.run(f"chat = Chat(mesh=Mesh({url!r}, {user!r}), model={model!r})\nchat")


def send(talk: Kernel, text: str) -> None:
    """Type something, and press Send."""
    talk.say(talk.comm(), {"send": text})


def test_what_was_said_stands_above_as_markdown(talk: Kernel, mesh: Mesh) -> None:
    show(talk, mesh.url, ECHO, "panel")
    send(talk, "one two")
    said = talk.until("the answer", lambda: [m for m in talk.markdown() if "<small>echo" in m])
    assert said[-1].startswith("> one two\n\none two\n\n<small>echo")
    talk.until("the draft is taken away", lambda: talk.trait("draft") == "")
    talk.until("nothing is being written", lambda: talk.shown()["phase"] == "idle")


def test_the_lists_offer_models_chats_and_branches(talk: Kernel, mesh: Mesh) -> None:
    show(talk, mesh.url, ECHO, "chooser")
    talk.until("models", lambda: {ECHO, SLOW, FAILING} <= offered(talk))
    send(talk, "a title of its own")
    talk.until("the chat is listed", lambda: "a title of its own" in offered(talk))
    talk.until("the end", lambda: talk.markdown() and "<small>" in talk.markdown()[-1])
    talk.run("chat.edit('another', show=False)")
    talk.until("branches", lambda: "2/2 another" in offered(talk))


def offered(talk: Kernel) -> set[str]:
    """What the lists have offered."""
    return {
        label
        for message in talk.heard
        for label in message["content"].get("data", {}).get("state", {}).get("_options_labels", [])
    }


def test_a_model_that_is_unknown_is_seen_in_the_list(talk: Kernel, mesh: Mesh) -> None:
    show(talk, mesh.url, "no-such-model", "chooser of none")
    talk.until("it is offered", lambda: "no-such-model (unknown)" in offered(talk))


def test_a_gateway_that_is_away_at_the_start_is_said_and_looked_for(
    talk: Kernel, new_mesh: Callable[..., Mesh]
) -> None:
    mesh = new_mesh()
    show(talk, mesh.url, ECHO, "early")
    talk.until("a sentence", lambda: "mesh up" in talk.shown().get("status", ""))
    assert talk.shown()["tone"] == "bad"
    send(talk, "typed too early")
    talk.until("it is still there", lambda: talk.trait("draft") == "typed too early")
    talk.until("a sentence", lambda: "No gateway answers" in talk.shown()["status"])
    mesh.start("store", "gateway", ECHO)
    talk.until("it has been found", lambda: talk.shown()["status"] == "")
    send(talk, "typed again")
    talk.until("an answer", lambda: any("> typed again" in m for m in talk.markdown()))


def test_a_gateway_that_goes_in_the_middle_costs_nothing(
    talk: Kernel, new_mesh: Callable[..., Mesh]
) -> None:
    mesh = new_mesh()
    mesh.start("store", "gateway", SLOW)
    show(talk, mesh.url, SLOW, "unlucky")
    words = " ".join(f"<{n}>" for n in range(60))
    send(talk, words)
    talk.until("text", lambda: talk.shown().get("pieces", 0) > 5)
    mesh.stop("gateway")
    talk.until("it is noticed", lambda: "lost the gateway" in talk.shown()["status"])
    mesh.start("gateway")
    talk.until("all of it", lambda: any(f"\n\n{words}\n\n" in m for m in talk.markdown()))


def test_what_is_typed_while_a_question_is_on_its_way_stays(
    talk: Kernel, new_mesh: Callable[..., Mesh]
) -> None:
    mesh = new_mesh()
    mesh.start("store", "gateway", ECHO)
    show(talk, mesh.url, ECHO, "fast typist")
    send(talk, "first")
    talk.until("the answer", lambda: any("> first" in m for m in talk.markdown()))
    talk.until("nothing is being written", lambda: talk.shown()["phase"] == "idle")
    mesh.stop("gateway")
    talk.change(talk.comm(), draft="second")
    send(talk, "second")
    talk.until("it is on its way", lambda: talk.shown()["phase"] == "sending")
    talk.change(talk.comm(), draft="second, and a third")
    mesh.start("gateway")
    talk.until("the answer", lambda: any("> second" in m for m in talk.markdown()))
    talk.until("nothing is being written", lambda: talk.shown()["phase"] == "idle")
    assert talk.trait("draft") == "second, and a third"


@pytest.mark.parametrize(
    ("model", "text", "sentence"),
    [
        (
            "no-such-model",
            "Hello!",
            "There is no model no-such-model; `%mesh status` lists what there is.",
        ),
        (ECHO, "x" * (1 << 20), "characters"),
    ],
    ids=["model gone", "a megabyte"],
)
def test_what_is_refused_is_said_and_what_was_typed_stays(
    talk: Kernel, mesh: Mesh, model: str, text: str, sentence: str
) -> None:
    show(talk, mesh.url, model, "refused")
    send(talk, text)
    talk.until("a sentence", lambda: sentence in talk.shown().get("status", ""))
    assert talk.shown()["tone"] == "bad"
    talk.until("what was typed", lambda: talk.trait("draft") == text)


def test_a_full_queue_is_said_and_what_was_typed_stays(
    talk: Kernel, new_mesh: Callable[..., Mesh]
) -> None:
    mesh = new_mesh(req_max_msgs=1)
    mesh.start("store", "gateway", "single")
    talk.run(f"other = Chat(mesh=Mesh({mesh.url!r}, 'ada'), model='single')")
    talk.run("running = other.start('/repeat one two', max_tokens=400)")
    talk.run("while not running.pieces: pass")
    show(talk, mesh.url, "single", "late")
    send(talk, "me too")
    talk.until("a sentence", lambda: "full" in talk.shown().get("status", ""))
    talk.until("what was typed", lambda: talk.trait("draft") == "me too")
    talk.run("running.stop()")


def test_a_chat_that_is_full_is_said_and_what_was_typed_stays(
    talk: Kernel, new_mesh: Callable[..., Mesh]
) -> None:
    mesh = new_mesh(chat_max_messages=2)
    mesh.start("store", "gateway", ECHO)
    show(talk, mesh.url, ECHO, "collector")
    send(talk, "first")
    talk.until("the answer", lambda: any("> first" in m for m in talk.markdown()))
    talk.until("nothing is being written", lambda: talk.shown()["phase"] == "idle")
    send(talk, "second")
    talk.until("a sentence", lambda: "messages" in talk.shown().get("status", ""))
    assert talk.shown()["tone"] == "bad"
    talk.until("what was typed", lambda: talk.trait("draft") == "second")


def test_a_disk_that_keeps_nothing_costs_no_answer(mesh: Mesh, tmp_path: Path) -> None:
    (tmp_path / "full").write_text("")  # no folder can be made under a file
    with kernel(tmp_path) as talk:
        talk.run(f"import os; os.environ['XDG_CONFIG_HOME'] = {str(tmp_path / 'full')!r}")
        talk.run("from mesh_client.notebook import Chat, Mesh")
        talk.run(f"chat = Chat(mesh=Mesh({mesh.url!r}, 'diskless'), model={ECHO!r})")
        assert talk.run("print(chat.ask('hello', show=False))") == "hello\n"


def test_a_failed_answer_is_said_and_can_be_tried_again(talk: Kernel, mesh: Mesh) -> None:
    show(talk, mesh.url, FAILING, "failing")
    send(talk, TOO_LONG)
    talk.until("a sentence", lambda: talk.shown().get("tone") == "bad")
    assert any("⚠️" in markdown for markdown in talk.markdown())
    assert talk.trait("draft") == ""
    assert talk.run("print(chat.messages[-1].content[:3])").startswith("a b")


def test_a_sign_in_that_has_run_out_is_renewed(talk: Kernel, new_mesh: Callable[..., Mesh]) -> None:
    mesh = new_mesh(access_ttl=2.5)
    mesh.start("store", "gateway", ECHO)
    show(talk, mesh.url, ECHO, "returning")
    send(talk, "first")
    talk.until("the answer", lambda: any("> first" in m for m in talk.markdown()))
    talk.run("import time; time.sleep(3)")
    send(talk, "second")
    talk.until("the answer", lambda: any("> second" in m for m in talk.markdown()))


def test_nothing_is_sent_twice_while_an_answer_is_written(talk: Kernel, mesh: Mesh) -> None:
    show(talk, mesh.url, SLOW, "hasty")
    send(talk, "/repeat one two three")
    talk.until("text", lambda: talk.shown().get("pieces", 0) > 2)
    send(talk, "and this?")
    talk.until("it stays", lambda: talk.trait("draft") == "and this?")
    talk.say(talk.comm(), {"stop": True})
    talk.until("the end", lambda: "stopped after" in talk.shown()["status"])
    assert talk.run("print(len(chat.answers))").strip() == "1"


def test_a_stop_that_is_acknowledged_late_is_said_and_stays(talk: Kernel, mesh: Mesh) -> None:
    talk.run(LATE)
    try:
        show(talk, mesh.url, SLOW, "stopper")
        send(talk, "/repeat one two three")
        talk.until("text", lambda: talk.shown().get("pieces", 0) > 2)
        talk.say(talk.comm(), {"stop": True})
        talk.until("the end", lambda: talk.shown()["phase"] == "idle")
        talk.run("import time; time.sleep(0.5)")
        assert "stopped after" in talk.shown()["status"]
    finally:
        talk.run("AsyncAnswer.cancel = plain")


def test_a_chat_is_resumed_in_a_window(talk: Kernel, mesh: Mesh) -> None:
    talk.run(f"here = Mesh({mesh.url!r}, 'resumer')\nchat = Chat(mesh=here, model={SLOW!r})")
    talk.run("answer = chat.start('/repeat one two three', max_tokens=60)")
    talk.run("while len(answer.pieces) < 5: pass")
    talk.run("same = Chat.resume(chat.id, mesh=here)\nsame")
    talk.until("it goes on", lambda: talk.shown().get("pieces", 0) > 10)
    assert talk.shown()["question"] == "/repeat one two three"
    talk.until("the whole", lambda: any("60 tokens" in m for m in talk.markdown()))
