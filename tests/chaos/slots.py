"""Whether every slot takes an answer: what a worker says of its tasks tells nothing of its engine.

Each echo worker is asked for as many answers at once as it has slots, and all have to begin while
none has ended. A slot that leaked in an engine keeps one of them waiting.
"""

import asyncio
import time
from collections.abc import Sequence
from contextlib import suppress

from tests.chaos.plan import ECHO
from tests.chaos.web import Broken, send

BEGUN = 5.0
"""Seconds within which all have begun, also on a busy machine; on another, half of one will do."""

TRIES = 2
"""Times that they are asked: who has not begun by chance has another one, and a leak stays."""

FREE = 1.0
"""Seconds in which the slots of those who have hung up are free again."""

WRITING = 3600
"""Tokens that each asks for: a minute of writing, which nobody waits for."""

BODY = {"prompt": "/repeat alpha beta ", "model": ECHO, "params": {"max_tokens": WRITING}}


async def not_taken(urls: Sequence[str], slots: int) -> int:
    """How many of so many answers did not begin, at whichever of these gateways."""
    missing = slots
    for _ in range(TRIES):
        missing = slots - await _begun(urls, slots)
        if not missing:
            break
        await asyncio.sleep(FREE)
    return missing


async def _begun(urls: Sequence[str], count: int) -> int:
    """How many of so many began; all are asked for at once, and hung up when that is known."""
    begun: set[int] = set()

    async def ask(number: int) -> None:
        with suppress(*Broken):
            async with send("POST", f"{urls[number % len(urls)]}/generate", BODY) as response:
                async for _, event in response.events():
                    if "token" in event:
                        begun.add(number)
                        await asyncio.Event().wait()  # its connection stays

    asking = [asyncio.create_task(ask(number)) for number in range(count)]
    until = time.monotonic() + BEGUN
    while len(begun) < count and time.monotonic() < until:
        await asyncio.sleep(0.02)
    for task in asking:
        task.cancel()
    await asyncio.gather(*asking, return_exceptions=True)
    return len(begun)
