"""A wire that holds up what is said to the broker from a word on, until it is let go."""

import asyncio

from tests.chaos.wires import Wire


class Held(Wire):
    """Forwards connections to a port. `reached`: the word was said, and goes no further."""

    def __init__(self, target: int) -> None:
        super().__init__(target)
        self._word = b""
        self._go = asyncio.Event()
        self.reached = asyncio.Event()

    def hold(self, word: bytes) -> None:
        """Hold up the next message with this word, and all behind it."""
        self._word = word

    def let_go(self) -> None:
        """Pass on what was held up, and hold up nothing more."""
        self._go.set()

    async def _arrive(self, due: float, data: bytes) -> None:
        if self._word and self._word in data and not self._go.is_set():
            self.reached.set()
            await self._go.wait()
