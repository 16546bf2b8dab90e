"""A client of /generate that reads in the background, and what it should have read."""

import json
import threading
from collections.abc import Iterator
from typing import Any

import httpx

from tests.acceptance.conftest import Process, Processes, until
from tests.truth import truth_of

WORDS = "one two three four five six seven eight nine ten "
SLOW = ("--echo-rate", "60")

LASTING = 900
"""Tokens of an answer that is still being written when a command has begun on a busy machine."""


def said(count: int) -> list[str]:
    """What the echo engine says to `/repeat` WORDS, in tokens."""
    words = WORDS.split()
    return [f"{words[k % len(words)]} " for k in range(count)]


class Reading(threading.Thread):
    """A client of /generate that reads in the background."""

    def __init__(
        self,
        url: str,
        tokens: int,
        prompt: str = f"/repeat {WORDS}",
        key: str = "",
        after: int | None = None,
        model: str = "",
    ) -> None:
        super().__init__(daemon=True)
        self._headers = {"Idempotency-Key": key} if key else {}
        if after is not None:
            self._headers["Last-Event-ID"] = str(after)
        self._body = {"prompt": prompt, "params": {"max_tokens": tokens}}
        if model:
            self._body["model"] = model
        self._url = url
        self.texts: list[str] = []
        self.indexes: list[int] = []
        self.last: dict[str, Any] = {}
        self.failure: Exception | None = None

    @classmethod
    def whole(cls, url: str, tokens: int, key: str = "") -> "Reading":
        """A client that has read an answer of so many tokens of `WORDS`, all of it."""
        reading = cls(url, tokens, key=key)
        reading.start()
        reading.finish()
        assert reading.texts == said(tokens), reading.last
        return reading

    def run(self) -> None:
        try:
            with httpx.stream(
                "POST",
                f"{self._url}/generate",
                json=self._body,
                headers=self._headers,
                timeout=60,
            ) as response:
                for event in events(response):
                    if "token" in event:
                        self.texts.append(event["token"])
                        self.indexes.append(event["index"])
                    else:
                        self.last = event
        except httpx.TransportError as error:
            self.failure = error

    def await_tokens(self, count: int) -> None:
        until(f"{count} tokens were read", lambda: len(self.texts) >= count)

    def finish(self) -> None:
        self.join(60)
        assert not self.is_alive(), f"no end after {len(self.texts)} tokens"


def events(response: httpx.Response) -> Iterator[dict[str, Any]]:
    for line in response.iter_lines():
        if line.startswith("data: "):
            yield json.loads(line.removeprefix("data: "))


def holder(processes: Processes, workers: dict[str, Process]) -> Process:
    """The worker with the latest claim on the one request there is."""
    ((_, claims),) = truth_of(processes.broker).claims.items()
    return workers[claims[-1]]
