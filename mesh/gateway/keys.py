"""What an idempotency key leads to: what ids are made of, and who used it for something else. Pure.

Gateways of all versions arrive at the same ids, so what those are made of stays as it is.
"""

from collections.abc import Callable

from mesh.protocol.errors import ErrorCode, MeshError

_ELSEWHERE = "This idempotency key was used with another body or on another route; use a new key."


def answer(key: str) -> str:
    """An answer, on whatever route; the first choice of several."""
    return key


def nth(key: str, number: int) -> str:
    """One of several that belong together; "" without a key."""
    return key and f"{key}\n{number}"


def drafts(key: str) -> str:
    """The first of several drafts."""
    return nth(key, 0)


def run(key: str) -> str:
    """A run of messages of its own."""
    return key and f"run\n{key}"


def process(key: str) -> str:
    """The run that a processed message begins."""
    return key and f"process\n{key}"


def thread_run(key: str, thread_id: str) -> str:
    """A run on a thread, which has its own keys."""
    return key and f"run\n{thread_id}\n{key}"


def posted(key: str) -> str:
    """Which thread `POST /v1/runs` has begun a run on, for the key alone leads to none of those."""
    return key and f"posted\n{key}"


def message(key: str) -> str:
    """What a person says, which has its own keys: its answer may have the same one."""
    return key and f"message\n{key}"


def thread_message(key: str) -> str:
    """What somebody writes in a thread, which has its own keys, on whatever of its routes."""
    return key and f"thread message\n{key}"


def made(key: str, path: str) -> str:
    """What is made on a route, which has its own keys."""
    return key and f"made\n{path}\n{key}"


KINDS: tuple[Callable[[str], str], ...] = (answer, drafts, run, process, posted)
"""The kinds that a key alone leads to. Which of them a route finds again itself it says in
`leads_to`, where that is not an answer."""


def led_elsewhere() -> MeshError:
    """The refusal of a key that was used for something else."""
    return MeshError(ErrorCode.CONFLICT, _ELSEWHERE)


def check_whole(kept: str, sent: str) -> None:
    """Raise MeshError (conflict) where a key led to what was asked for otherwise. "": not known."""
    if kept and sent and kept != sent:
        raise led_elsewhere()
