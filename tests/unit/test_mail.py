"""Carrying steps to the event loop: in order, none lost, and few wakings."""

import asyncio
from threading import Thread

import pytest

from mesh.worker.engines.base import EngineError, Step
from mesh.worker.engines.mail import Mail
from mesh.worker.engines.relay import Relay
from tests.worker.listener import Listener


class CountingLoop:
    """The running loop, with the times it was woken counted."""

    def __init__(self) -> None:
        self.woken = 0
        self._loop = asyncio.get_running_loop()

    def call_soon_threadsafe(self, callback: object) -> None:
        self.woken += 1
        self._loop.call_soon_threadsafe(callback)  # type: ignore[arg-type]


def mail_and_loop() -> tuple[Mail, CountingLoop]:
    loop = CountingLoop()
    return Mail(loop), loop  # type: ignore[arg-type]


class Counted(Relay):
    """A relay whose reader keeps what it hears."""

    def __init__(self) -> None:
        self.listener = Listener()
        super().__init__(self.listener)

    @property
    def unread(self) -> int:
        return self.listener.unread.qsize()


async def turn() -> None:
    """Let the loop deliver what it was woken for."""
    await asyncio.sleep(0)


async def test_a_lone_request_is_served_at_once() -> None:
    mail, _ = mail_and_loop()
    relay = Counted()
    mail.send(relay, Step("a"))
    await turn()
    assert relay.unread == 1


async def test_a_step_of_many_requests_wakes_the_loop_once() -> None:
    mail, loop = mail_and_loop()
    relays = [Counted() for _ in range(8)]
    for relay in relays:
        mail.send(relay, Step("a"))
    await turn()
    before = loop.woken
    for relay in relays[:-1]:
        mail.send(relay, Step("b"))
    assert loop.woken == before
    mail.send(relays[-1], Step("b"))
    await turn()
    assert loop.woken == before + 1
    assert [relay.unread for relay in relays] == [2] * 8


async def test_a_silent_request_holds_the_others_up_for_one_step_at_most() -> None:
    mail, _ = mail_and_loop()
    silent, talking = Counted(), Counted()
    mail.send(silent, Step("a"))
    mail.send(talking, Step("a"))
    await turn()
    mail.send(talking, Step("b"))
    mail.send(talking, Step("c"))
    await turn()
    assert talking.unread == 3


@pytest.mark.parametrize("end", [Step("", (), "stop"), EngineError("broken")])
async def test_an_end_is_delivered_at_once_and_waited_for_no_more(end: Step | EngineError) -> None:
    mail, _ = mail_and_loop()
    ending, other = Counted(), Counted()
    mail.send(ending, Step("a"))
    mail.send(other, Step("a"))
    await turn()
    mail.send(other, Step("b"))
    mail.send(ending, end)
    await turn()
    assert other.unread == 2
    mail.send(other, Step("c"))
    await turn()
    assert other.unread == 3


async def test_nothing_is_lost_or_out_of_order_between_threads() -> None:
    mail = Mail(asyncio.get_running_loop())
    relays = [Counted() for _ in range(4)]

    def talk(relay: Relay) -> None:
        for number in range(2000):
            mail.send(relay, Step(str(number)))
        mail.send(relay, Step("", (), "stop"))

    threads = [Thread(target=talk, args=(relay,)) for relay in relays]
    for thread in threads:
        thread.start()
    await asyncio.wait_for(asyncio.gather(*(relay.over() for relay in relays)), 30)
    heard = [[relay.listener.unread.get_nowait().text for _ in range(2001)] for relay in relays]
    assert heard == [[*(str(number) for number in range(2000)), ""]] * 4
    for thread in threads:
        thread.join()
