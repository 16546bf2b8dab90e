"""Drives a load: so many streams at once, each asking again until the time is over."""

import asyncio
import gc
from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter

from mesh.cli.load.answer import judge
from mesh.cli.load.connection import Connection, Read
from mesh.cli.load.figures import Figures, summary
from mesh.cli.load.processes import Watch
from mesh.cli.load.question import Question

PATIENCE = 120.0
"""Seconds in which an answer has to end."""


class Load:
    """The load on one gateway, with one question. text: the answer, where it is known."""

    def __init__(self, url: str, question: Question, text: str | None, watch: Watch) -> None:
        self._url = url
        self._request = question.request(url)
        self._tokens = question.tokens
        self._text = text
        self._watch = watch

    async def run(self, streams: int, seconds: float) -> Figures:
        """Keep `streams` streams open for `seconds`, or for one answer each if that takes longer.

        Raises OSError where nobody listens.
        """
        opening = (Connection.open(self._url) for _ in range(streams))
        connections = await asyncio.gather(*opening)
        taken: list[tuple[float, list[Read]]] = []
        with _no_collections(), self._watch.running():
            until = perf_counter() + seconds
            asking = (self._keep_asking(connection, until, taken) for connection in connections)
            await asyncio.gather(*asking)
            spent = self._watch.spent()
        answers = [judge(asked, reads, self._tokens, self._text) for asked, reads in taken]
        return summary(streams, answers, spent)

    async def _keep_asking(
        self, connection: Connection, until: float, taken: list[tuple[float, list[Read]]]
    ) -> None:
        while True:
            if not connection.usable:
                connection = await Connection.open(self._url)
            asked = perf_counter()
            taken.append((asked, await connection.ask(self._request, PATIENCE)))
            if perf_counter() >= until:
                return connection.close()


@contextmanager
def _no_collections() -> Iterator[None]:
    """What is read is kept and only grows: looking through it for garbage would stop the clock."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
