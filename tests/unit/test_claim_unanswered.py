"""A worker whom no gateway tells how a request stands: it waits as long as that has time."""

import asyncio
import time
from collections.abc import Coroutine
from typing import Any, TypeVar

import pytest
from msgspec.structs import replace

from mesh.bus.pull import Item
from mesh.protocol.request import Prompt
from mesh.protocol.subjects import Writer
from mesh.worker.claim import LEAST, Claims, Settled, StatusUnknown
from tests.integration.bus.conftest import a_request
from tests.unit.bus.memory import Clockwork, MemoryLog

E = TypeVar("E", bound=Exception)
LIMIT = 200.0


def took(work: Coroutine[Any, Any, object], failure: type[E]) -> tuple[float, E]:
    """Seconds until something fails, which it has to in time, and how."""
    loop = Clockwork()
    try:
        began = loop.time()
        with pytest.raises(failure) as found:
            loop.run_until_complete(asyncio.wait_for(work, LIMIT))
        return loop.time() - began, found.value
    finally:
        loop.close()


def claims() -> Claims:
    log = MemoryLog()  # where nobody listens
    return Claims(log.bus, log.js, Writer("w1", "a"), "print")


def test_the_question_is_given_up_when_the_request_has_no_time_left() -> None:
    request = replace(a_request("r"), deadline=time.time() + 60)
    seconds, _ = took(claims().status(request), StatusUnknown)
    assert 55 < seconds < 65


def test_it_is_asked_for_a_while_also_after_that() -> None:
    request = replace(a_request("r"), deadline=time.time() - 60)
    seconds, _ = took(claims().status(request), StatusUnknown)
    assert LEAST <= seconds < LEAST + 5


def test_an_item_that_nobody_speaks_for_is_left_in_the_queue() -> None:
    request = replace(a_request("r"), deadline=time.time())
    item = Item(Prompt(queued=1, request=request), "ack", seq=1, deliveries=2)
    _, settled = took(claims().claim(item), Settled)
    assert not settled.ack
