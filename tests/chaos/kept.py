"""What the store keeps of a campaign, and what by the log it has to keep."""

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from mesh.protocol.messages import Done, End, Failed, Usage
from tests.chaos.story import Story


class Row(NamedTuple):
    """A run. attempts: its claims; error: the code of a failure; prompt, completion, cached:
    tokens; question: of the chat that it is an answer in."""

    state: str
    text: str
    attempts: int
    error: str | None
    prompt: int
    completion: int
    cached: int
    question: str | None


class Used(NamedTuple):
    """What is charged for, all in all: requests, those that failed, and their tokens."""

    requests: int
    failed: int
    prompt: int
    completion: int
    cached: int


@dataclass
class Kept:
    """rows: by request id."""

    rows: dict[str, Row] = field(default_factory=dict)
    used: Used = Used(0, 0, 0, 0, 0)

    def settled(self, stories: Iterable[Story]) -> bool:
        """Whether it has an end of each."""
        states = {self.rows[each.rid].state if each.rid in self.rows else "" for each in stories}
        return states <= {"done", "failed", "cancelled"}


def row_of(story: Story, end: End) -> Row:
    """The row of a request that has ended, by the log."""
    queued = story.run.queued
    turn = queued.turn if queued is not None else None
    return Row(
        "done" if isinstance(end, Done) else type(end).__name__.lower(),
        end.text,
        story.run.n,
        end.code.value if isinstance(end, Failed) else None,
        *_tokens(end.usage),
        turn.user_message.content if turn is not None else None,
    )


def used_by(stories: Iterable[Story]) -> Used:
    """What is to be charged for, by the log."""
    ends = [story.run.end for story in stories if story.run.end is not None]
    failed = sum(isinstance(end, Failed) for end in ends)
    tokens = [_tokens(end.usage) for end in ends]
    prompt, completion, cached = (sum(each[k] for each in tokens) for k in range(3))
    return Used(len(ends), failed, prompt, completion, cached)


def _tokens(usage: Usage) -> tuple[int, int, int]:
    return usage.prompt_tokens, usage.completion_tokens, usage.cached_tokens


def read(path: Path) -> Kept:
    """What a database has. Raises sqlite3.DatabaseError."""
    tokens = "prompt_tokens", "completion_tokens", "cached_tokens"
    database = sqlite3.connect(path)
    try:
        found = database.execute(
            "select rid, state, text, attempts, error_code, "
            f"{', '.join(tokens)}, question.content from runs "
            "left join messages answer on answer.id = rid "
            "left join messages question on question.id = answer.parent_id"
        )
        rows = {rid: Row(*columns) for rid, *columns in found}
        sums = ", ".join(f"coalesce(sum({name}), 0)" for name in ("requests", "failed", *tokens))
        ((*used,),) = database.execute(f"select {sums} from usage_days")
        return Kept(rows, Used(*used))
    finally:
        database.close()
