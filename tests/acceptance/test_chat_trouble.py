"""Chats while processes are killed: what the Python client read, the log and the database agree."""

import threading
from collections.abc import Iterator

import openai
import pytest

from mesh_client import (
    Chat,
    Client,
    Event,
    Failed,
    Finished,
    MemoryStore,
    Reconnecting,
    Refused,
    Token,
)
from tests.acceptance.conftest import Process, Processes, until
from tests.truth import truth_of

WORDS = "one two three four five six seven eight nine ten"
RATE = ("--echo-rate", "50")


def said(count: int) -> str:
    """What the echo engine says to `/repeat` WORDS."""
    words = WORDS.split()
    return "".join(f"{words[k % len(words)]} " for k in range(count))


class Reading(threading.Thread):
    """Asks in a chat, and reads the answer in the background."""

    def __init__(self, chat: Chat, count: int) -> None:
        super().__init__(daemon=True)
        self.answer = chat.ask(f"/repeat {WORDS}", max_tokens=count)
        self.events: list[Event] = []
        self.failure: Exception | None = None
        self.start()

    def run(self) -> None:
        try:
            for event in self.answer:
                self.events.append(event)
        except Exception as error:
            self.failure = error

    @property
    def tokens(self) -> list[Token]:
        return [event for event in self.events if isinstance(event, Token)]

    @property
    def text(self) -> str:
        return "".join(token.text for token in self.tokens)

    @property
    def losses(self) -> int:
        return sum(isinstance(event, Reconnecting) for event in self.events)

    def await_tokens(self, count: int) -> None:
        until(f"{count} tokens were read", lambda: self.failed or len(self.tokens) >= count)
        assert not self.failed, (self.failure, self.events[-1:])

    @property
    def failed(self) -> bool:
        return self.failure is not None or any(isinstance(e, Failed) for e in self.events)

    def stored(self) -> bool:
        """Whether the database has its end."""
        return not self.answer.message().unfinished

    def end(self) -> Finished:
        """The last event, which has to be a whole answer's."""
        self.join(60)
        assert not self.is_alive() and self.failure is None, (self.failure, len(self.tokens))
        last = self.events[-1]
        assert isinstance(last, Finished), last
        assert last.state == "complete"
        return last


@pytest.fixture
def client(processes: Processes) -> Iterator[Client]:
    """Signed in to a mesh of gateway, store and two slow workers."""
    processes.gateway("--ack-wait", "6")
    processes.store()
    for name in ("w1", "w2"):
        processes.worker(name, *RATE)
    processes.await_store()
    processes.await_workers(2)
    with Client(processes.url, username="ada", store=MemoryStore()) as client:
        yield client


def named(processes: Processes, name: str) -> Process:
    return next(process for process in processes.started if process.name == name)


def check(processes: Processes, reading: Reading, count: int) -> None:
    """Client, log and database have the same whole answer, of `count` tokens."""
    end = reading.end()
    assert reading.text == end.text == said(count)
    assert [token.index for token in reading.tokens] == list(range(len(reading.tokens)))
    truth = truth_of(processes.broker)
    truth.check()
    assert truth.runs[reading.answer.id].texts == [token.text for token in reading.tokens]
    stored = reading.answer.message()
    assert (stored.state, stored.content) == ("complete", said(count))
    assert stored.usage is not None and stored.usage.completion_tokens == count
    assert stored.attempts == len(truth.claims[reading.answer.id])


def test_a_client_resumes_at_the_restarted_gateway(processes: Processes, client: Client) -> None:
    reading = Reading(client.new_chat(), 500)
    reading.await_tokens(30)
    named(processes, "gateway").kill()
    until("the loss was noticed", lambda: reading.losses > 0)
    named(processes, "gateway").start()
    check(processes, reading, 500)
    assert not truth_of(processes.broker).runs[reading.answer.id].cancel


def test_an_answer_whose_gateway_was_away_until_its_end_is_read_whole(
    processes: Processes, client: Client
) -> None:
    reading = Reading(client.new_chat(), 60)
    reading.await_tokens(10)
    named(processes, "gateway").kill()
    ended = lambda: truth_of(processes.broker).runs[reading.answer.id].end is not None  # noqa: E731
    until("the answer has ended in the log", ended)
    named(processes, "gateway").start()
    check(processes, reading, 60)


def test_a_chat_survives_the_death_of_its_worker(processes: Processes, client: Client) -> None:
    reading = Reading(client.new_chat(), 500)
    reading.await_tokens(30)
    (claimant,) = truth_of(processes.broker).claims[reading.answer.id]
    named(processes, claimant).kill()
    check(processes, reading, 500)
    assert reading.losses == 0
    assert len(truth_of(processes.broker).claims[reading.answer.id]) == 2


def test_answers_stream_while_the_store_is_dead_and_it_catches_up(
    processes: Processes, client: Client
) -> None:
    chats = [client.new_chat() for _ in range(3)]
    readings = [Reading(chat, 150) for chat in chats]
    for reading in readings:
        reading.await_tokens(20)
    named(processes, "store").kill()
    for reading in readings:
        assert reading.end().text == said(150)
        assert reading.losses == 0
    named(processes, "store").start()
    processes.await_store()
    for reading in readings:
        until("it is stored", reading.stored)
        check(processes, reading, 150)
    follow_up = Reading(chats[0], 20)
    check(processes, follow_up, 20)
    assert len(client.chat(chats[0].id).messages) == 4


def test_a_store_that_dies_again_and_again_neither_loses_nor_doubles(
    processes: Processes, client: Client
) -> None:
    store = named(processes, "store")
    chat = client.new_chat()
    for _ in range(3):
        reading = Reading(chat, 25)
        reading.await_tokens(5)
        store.kill()
        reading.end()
        store.start()
        processes.await_store()
        until("it is stored", reading.stored)
        check(processes, reading, 25)
    assert len(client.chat(chat.id).messages) == 6


def test_without_a_store_prompts_are_answered_and_chats_say_why_not(
    processes: Processes, client: Client
) -> None:
    assert client.user()
    named(processes, "store").kill()
    *_, end = client.generate("one two three")
    assert isinstance(end, Finished) and end.text == "one two three"
    with openai.OpenAI(base_url=f"{processes.url}/v1", api_key="guest") as openai_client:
        answer = openai_client.chat.completions.create(
            model="echo", messages=[{"role": "user", "content": "one two three"}]
        )
    assert answer.choices[0].message.content == "one two three"
    with pytest.raises(Refused, match="store") as refused:
        client.new_chat()
    assert (refused.value.status, refused.value.code) == (503, "store_unavailable")
    assert refused.value.retry_after
    assert (processes.health() or {})["store"] == "unavailable"
