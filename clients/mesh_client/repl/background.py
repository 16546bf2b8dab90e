"""Answers that were left while they are written: kept in sight until somebody comes back."""

import asyncio
from collections.abc import Callable

from mesh_client.async_client import AsyncAnswer
from mesh_client.errors import MeshClientError
from mesh_client.terminal import in_one_line


class Background:
    """The answers that were left, latest last. `tell` is told when one of them has ended."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self._answers: dict[str, AsyncAnswer] = {}
        self._watching: dict[str, asyncio.Task[None]] = {}

    def __len__(self) -> int:
        return len(self._answers)

    def __contains__(self, id: str) -> bool:
        return id in self._answers

    def add(self, answer: AsyncAnswer) -> None:
        """Keep an eye on an answer."""
        self._answers[answer.id] = answer
        self._watching[answer.id] = asyncio.create_task(self._watch(answer))

    def last(self) -> AsyncAnswer | None:
        """The one that was left last; it is kept here no longer."""
        if not self._answers:
            return None
        id = next(reversed(self._answers))
        answer = self._answers[id]
        self.forget(id)
        return answer

    def forget(self, id: str) -> None:
        """Somebody reads it again."""
        self._answers.pop(id, None)
        watching = self._watching.pop(id, None)
        if watching is not None:
            watching.cancel()

    async def close(self) -> None:
        """Watch no more; the answers go on."""
        tasks = list(self._watching.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _watch(self, answer: AsyncAnswer) -> None:
        try:
            await answer.wait()
        except MeshClientError:
            pass  # it has ended all the same, and says how when it is read
        question = in_one_line(answer.chat.thread.last_question().content or "")
        self._tell(f"“{question[:24]}” is answered: /attach")
