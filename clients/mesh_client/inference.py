"""Models of the mesh's own workers, or of another service behind it, by one word.

for event in get_inference(client, "local", clock).ask("What time is it?"):
    ...
"""

from collections.abc import Callable, Iterator
from functools import cached_property, lru_cache
from typing import Any

from mesh_client.assistants import Assistants, TalkThread
from mesh_client.client import Client
from mesh_client.run_events import RunEvent

KINDS = ("local", "cloud")

KEPT = 128
"""Conversations that are known again, those that were asked for last."""

SERVICE = "openai"
"""The engine that asks another service."""


class Inference:
    """A conversation with models of one kind, which may call some functions. Made by
    `get_inference`; its thread begins with the first question."""

    def __init__(
        self, client: Client, kind: str, functions: tuple[Callable[..., Any], ...]
    ) -> None:
        self.kind = kind
        self._client = client
        self._functions = functions
        self._assistants = Assistants(client)

    @property
    def model(self) -> str:
        """A model of the kind that is served now. Raises LookupError where there is none."""
        for model in self._client.models():
            if model.available and (model.engine == SERVICE) == (self.kind == "cloud"):
                return model.id
        raise LookupError(f"No model for {self.kind} inference is served now.")

    @cached_property
    def thread(self) -> TalkThread:
        """The thread of the conversation."""
        return self._assistants.thread()

    @cached_property
    def _assistant(self) -> str:
        return self._assistants.create(functions=self._functions)

    def ask(self, content: str) -> Iterator[RunEvent]:
        """Say something, and read the answer. Raises LookupError as `model`."""
        model = self.model
        self.thread.say(content)
        yield from self.thread.ask(self._assistant, self._functions, model)


@lru_cache(maxsize=KEPT)
def get_inference(client: Client, kind: str, *functions: Callable[..., Any]) -> Inference:
    """The conversation of a client with models of a kind; the same for the same arguments.

    functions: what models may call, done here. Raises ValueError for any other kind.
    """
    if kind not in KINDS:
        raise ValueError(f"There is inference of the kinds {' and '.join(KINDS)}, not {kind!r}.")
    return Inference(client, kind, functions)
