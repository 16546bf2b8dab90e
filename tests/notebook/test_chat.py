"""`Chat` from code: asking in every way, stopping, branches, resuming, and what can go wrong."""

import asyncio
import signal
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from mesh_client import GenerationFailed, MeshClientError, NotFound, Refused, Rejected, Unreachable
from mesh_client.notebook import Chat, ask_many, side_by_side
from mesh_client.notebook import Mesh as NotebookMesh
from mesh_client.notebook.mesh import here as default_mesh
from tests.conftest import free_port
from tests.whole_mesh import ECHO, FAILING, SINGLE, SLOW, Mesh

LONG = "/repeat " + " ".join(f"<{n}>" for n in range(400))

TOO_LONG = " ".join("abcdefghijklmnop")
"""More than three claims of three tokens each can say."""


@pytest.fixture
def chat(here: NotebookMesh) -> Chat:
    return Chat(mesh=here, model=ECHO)


def test_ask_prints_in_a_script(chat: Chat, capsys: pytest.CaptureFixture[str]) -> None:
    answer = chat.ask("one two three")
    assert str(answer) == "one two three"
    assert capsys.readouterr().out == "one two three\n"
    assert (answer.state, answer.tokens, answer.model) == ("complete", 3, ECHO)
    assert [message.content for message in chat.messages] == ["one two three"] * 2


async def test_the_same_awaited(chat: Chat) -> None:
    answer = await chat.aask("one two", show=False)
    assert str(answer) == "one two"
    assert "".join([piece async for piece in chat.astream("three four")]) == "three four"


def test_pieces_come_one_by_one(here: NotebookMesh) -> None:
    chat = Chat(mesh=here, model=SLOW)
    pieces = list(chat.stream("/repeat one two", max_tokens=30))
    assert pieces == ["one ", "two "] * 15


def test_leaving_a_stream_stops_the_answer(here: NotebookMesh) -> None:
    chat = Chat(mesh=here, model=SLOW)
    for piece in chat.stream(LONG):
        assert piece == "<0> "
        break
    (answer,) = chat.answers
    assert answer.wait().state == "cancelled"
    assert answer.stopped is not None


async def test_leaving_an_awaited_stream_stops_the_answer(here: NotebookMesh) -> None:
    chat = Chat(mesh=here, model=SLOW)
    stream = chat.astream(LONG)
    await anext(stream)
    await stream.aclose()
    assert (await chat.answers[0].await_()).state == "cancelled"


def test_an_interrupt_stops_the_answer_and_says_so(here: NotebookMesh) -> None:
    chat = Chat(mesh=here, model=SLOW)

    def interrupt() -> None:
        here.background.wait(until(lambda: len(answer.pieces) > 2))
        main = threading.main_thread().ident
        assert main is not None
        signal.pthread_kill(main, signal.SIGINT)

    answer = chat.start(LONG)
    threading.Thread(target=interrupt).start()
    with pytest.raises(KeyboardInterrupt, match=r"stopped after \d+ tokens"):
        answer.wait()
    assert answer.ended and answer.state == "cancelled"


async def test_cancelling_what_awaits_stops_the_answer(here: NotebookMesh) -> None:
    chat = Chat(mesh=here, model=SLOW)
    asking = asyncio.create_task(chat.aask(LONG, show=False))
    while not (chat.answers and chat.answers[0].pieces):
        await asyncio.sleep(0.01)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert (await chat.answers[0].await_()).state == "cancelled"


def test_retry_edit_and_switch_keep_everything(chat: Chat) -> None:
    first = chat.ask("one", show=False)
    chat.retry(show=False)
    chat.edit("two", show=False)
    assert [message.content for message in chat.messages] == ["two", "two"]
    assert len(chat.messages_df()) == 5
    chat.switch(first.id)
    assert [message.content for message in chat.messages] == ["one", "one"]


def test_a_chat_is_resumed_in_mid_answer(here: NotebookMesh) -> None:
    chat = Chat(mesh=here, model=SLOW)
    answer = chat.start("/repeat one two three four five", max_tokens=30)
    here.background.wait(until(lambda: len(answer.pieces) > 5))
    same = Chat.resume(chat.id, mesh=here)
    assert same.running is not None
    assert same.running.question == answer.question
    assert str(same.running.wait()) == str(answer.wait())
    assert answer.tokens == 30


def test_what_is_resumed_has_to_be_there(here: NotebookMesh) -> None:
    with pytest.raises(NotFound):
        Chat.resume("0" * 32, mesh=here)


def test_a_failed_answer_raises_and_keeps_its_text(here: NotebookMesh) -> None:
    chat = Chat(mesh=here, model=FAILING)
    with pytest.raises(GenerationFailed):
        chat.ask(TOO_LONG, show=False)
    assert chat.answers[0].state == "failed"
    assert chat.answers[0].sentence


def test_a_model_that_is_not_there_is_said_by_name_and_leaves_no_chat(here: NotebookMesh) -> None:
    chat = Chat(mesh=here, model="no-such-model")
    with pytest.raises(Rejected, match="no-such-model"):
        chat.ask("Hello!", show=False)
    assert chat.id == "" and here.chats() == []


def test_a_question_that_goes_to_a_model_of_its_own_says_so_from_its_beginning(chat: Chat) -> None:
    answer = chat.start(LONG, model=SLOW)
    assert answer.model == SLOW
    answer.stop()


def test_a_model_that_is_unknown_or_gone_is_said_in_the_words_of_the_notebook(chat: Chat) -> None:
    with pytest.raises(Rejected) as refused:
        chat.ask("hello", show=False, model="none")
    assert refused.value.sentence == "There is no model none; `%mesh status` lists what there is."
    assert (refused.value.status, refused.value.code) == (422, "model_not_found")


def test_a_pasted_megabyte_is_refused_in_a_sentence(chat: Chat) -> None:
    with pytest.raises(MeshClientError) as refused:
        chat.ask("x" * (1 << 20), show=False)
    assert refused.value.sentence.endswith(".")
    assert str(chat.ask("Hello!", show=False)) == "Hello!"


def test_a_gateway_that_is_away_is_said_at_once(tmp_path: Path) -> None:
    away = NotebookMesh(f"http://127.0.0.1:{free_port()}", "ada")
    try:
        chat = Chat(mesh=away)
        with pytest.raises(Unreachable, match="mesh up"):
            chat.ask("Hello!", show=False)
    finally:
        away.close()


def test_a_full_queue_is_said_when_to_try_again(
    new_mesh: Callable[..., Mesh], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    full = new_mesh(req_max_msgs=1)
    full.start("store", "gateway", "single")
    mesh = NotebookMesh(full.url, "ada")
    try:
        chats = [Chat(mesh=mesh, model="single") for _ in range(4)]
        answers = [chat.start(LONG) for chat in chats]
        mesh.background.wait(until(lambda: any(answer.ended for answer in answers)))
        refused = next(answer for answer in answers if answer.ended)
        assert isinstance(refused.error, Refused) and refused.error.retry_after
        for answer in answers:
            if not answer.ended:
                answer.stop()
    finally:
        mesh.close()


def test_many_questions_are_answered_in_their_order(here: NotebookMesh) -> None:
    questions = [f"question {n}" for n in range(60)]
    answers = ask_many(questions, mesh=here, model=ECHO, at_once=50, show=False)
    assert [str(answer) for answer in answers] == questions
    assert list(answers.df.answer) == questions
    assert set(answers.df.state) == {"complete"}
    assert here.chats() == []


def test_of_many_questions_those_wait_that_find_no_room(
    new_mesh: Callable[..., Mesh], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setattr("mesh.gateway.crowd.UNKNOWN", 1.0)  # until some have ended
    full = new_mesh(req_max_msgs=1)
    full.start("store", "gateway", SINGLE)
    mesh = NotebookMesh(full.url, "ada")
    try:
        answers = ask_many(["/repeat word"] * 5, mesh=mesh, model=SINGLE, max_tokens=10, show=False)
        assert list(answers.df.state) == ["complete"] * 5
        assert mesh.chats() == []
    finally:
        mesh.close()


def test_of_many_one_failure_is_a_row(here: NotebookMesh) -> None:
    answers = ask_many([TOO_LONG], mesh=here, model=FAILING, show=False)
    assert list(answers.df.state) == ["failed"]
    assert answers.df.error[0]


def test_two_models_answer_side_by_side(here: NotebookMesh) -> None:
    one, two = side_by_side("one two", [ECHO, SLOW], mesh=here)
    assert (str(one), one.model) == ("one two", ECHO)
    assert (str(two), two.model) == ("one two", SLOW)


def test_the_default_mesh_is_the_environments(here: NotebookMesh) -> None:
    default_mesh.cache_clear()
    assert Chat().mesh.url == here.url
    default_mesh().close()
    default_mesh.cache_clear()


async def until(holds: Callable[[], object], seconds: float = 60.0) -> None:
    async with asyncio.timeout(seconds):
        while not holds():
            await asyncio.sleep(0.01)
