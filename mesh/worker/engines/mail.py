"""Carries steps from a library's own threads to their relays on the event loop.

A library with continuous batching hands out the tokens of one step request by request, each in a
thread of its own. Waking the event loop for each of them costs more than all the rest, so it is
woken once: when every generating request has its token, or one has its next already (then
another is silent, for instance in the middle of a character), or one has ended.
"""

from asyncio import AbstractEventLoop
from collections import deque

from mesh.worker.engines.base import EngineError, Step
from mesh.worker.engines.relay import Relay


class Mail:
    """`send` may be called from any thread; everything is delivered in order."""

    def __init__(self, loop: AbstractEventLoop) -> None:
        self._loop = loop
        self._items: deque[tuple[Relay, Step | EngineError]] = deque()
        self._generating: set[Relay] = set()
        self._served: set[Relay] = set()
        self._woken = False

    def send(self, relay: Relay, item: Step | EngineError) -> None:
        """Hand on a step, the last one, or an error. RuntimeError when the loop is closed."""
        # An item is in before the flag is read, and the flag is cleared before items are taken
        # out: none is left behind. Sets and deque are safe under the interpreter's lock.
        self._items.append((relay, item))
        if isinstance(item, EngineError) or item.finish is not None:
            self._generating.discard(relay)
        elif not self._is_step_complete(relay):
            return
        if not self._woken:
            self._woken = True
            self._loop.call_soon_threadsafe(self._deliver)

    def _is_step_complete(self, relay: Relay) -> bool:
        again = relay in self._served
        self._generating.add(relay)
        self._served.add(relay)
        return again or len(self._served) >= len(self._generating)

    def _deliver(self) -> None:
        self._woken = False
        self._served.clear()
        while self._items:
            relay, item = self._items.popleft()
            if isinstance(item, Step):
                relay.put(item)
            else:
                relay.fail(item)
